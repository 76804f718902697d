// The kill switch: the file as anybody may make it, and the row in the store.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import {
  clearSwitchFile,
  readSwitchFile,
  readSwitchStore,
  setSwitchFile,
  type SwitchFile,
} from '../../../remediator/switch.ts';

async function folder(): Promise<{ readonly dir: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-switch-'));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

test('clear only when the folder can be read and the file is not there', async () => {
  await using place = await folder();
  const file = join(place.dir, 'PAUSED');
  assert.equal((await readSwitchFile(file)).file, 'clear');
  await writeFile(file, '');
  assert.deepEqual(await readSwitchFile(file), { file: 'set', fileDetail: `${file} is there` });
  await writeFile(file, 'change window, ann\n');
  assert.match((await readSwitchFile(file)).fileDetail, /change window, ann/);
  const gone = await readSwitchFile(join(place.dir, 'not-mounted', 'PAUSED'));
  assert.equal(gone.file, 'unreadable', 'a folder that is not there');
  assert.equal((await readSwitchFile(join(file, 'PAUSED'))).file, 'unreadable', 'ENOTDIR');
  await mkdir(join(place.dir, 'folder'));
  assert.equal((await readSwitchFile(join(place.dir, 'folder'))).file, 'unreadable', 'EISDIR');
});

test('a link to what is not there is unreadable: its folder may not be mounted', async () => {
  await using place = await folder();
  const file = join(place.dir, 'PAUSED');
  await symlink(join(place.dir, 'not-mounted', 'PAUSED'), file);
  const seen = await readSwitchFile(file);
  assert.equal(seen.file, 'unreadable');
  assert.match(seen.fileDetail, /a link to what is not there/);
  await mkdir(join(place.dir, 'not-mounted'));
  await writeFile(join(place.dir, 'not-mounted', 'PAUSED'), 'by link');
  assert.match((await readSwitchFile(file)).fileDetail, /by link/);
});

test('a pipe with nobody at its other end pauses too, and is not waited for', async () => {
  await using place = await folder();
  const file = join(place.dir, 'PAUSED');
  execFileSync('mkfifo', [file]);
  assert.equal((await readSwitchFile(file)).file, 'set');
});

test('a file that does not answer is unreadable; meanwhile no other reading waits for it', async () => {
  await using place = await folder();
  const file = join(place.dir, 'PAUSED');
  let reads = 0;
  let answer = (_: SwitchFile): void => undefined;
  const hung = {
    answersMs: 30,
    read: (): Promise<SwitchFile> => {
      reads += 1;
      return new Promise((resolve) => (answer = resolve));
    },
  };
  assert.match((await readSwitchFile(file, hung)).fileDetail, /no answer in time/);
  assert.equal((await readSwitchFile(file, hung)).file, 'unreadable');
  assert.equal(reads, 1);
  assert.equal((await readSwitchFile(join(place.dir, 'OTHER'))).file, 'clear', 'another file is read');
  answer({ file: 'clear', fileDetail: '' });
  await waitFor(async () => (await readSwitchFile(file)).file === 'clear', { what: 'the file to be read again' });
});

test('a folder without permission is unreadable', async (t) => {
  if (process.getuid?.() === 0) {
    t.skip('root may read everything: NOT tested');
    return;
  }
  await using place = await folder();
  await chmod(place.dir, 0);
  assert.equal((await readSwitchFile(join(place.dir, 'PAUSED'))).file, 'unreadable');
  await chmod(place.dir, 0o700);
});

test('set and cleared whole, with who, why and when; nothing is left beside it', async () => {
  await using place = await folder();
  const file = join(place.dir, 'PAUSED');
  await setSwitchFile(file, { by: 'ann', reason: 'work', at: '2026-01-31T12:00:00Z' });
  await setSwitchFile(file, { by: 'bob', reason: 'more work', at: '2026-01-31T12:01:00Z' });
  assert.deepEqual(await readSwitchFile(file), {
    file: 'set',
    fileDetail: 'paused by bob at 2026-01-31T12:01:00Z: more work',
  });
  assert.match(await readFile(file, 'utf8'), /more work/);
  assert.deepEqual(await readdir(place.dir), ['PAUSED']);
  assert.equal(await clearSwitchFile(file), true);
  assert.equal(await clearSwitchFile(file), false);
  await assert.rejects(setSwitchFile(join(place.dir, 'no', 'PAUSED'), { by: 'a', reason: 'b', at: 'c' }));
});

test('the row in the store: missing is not clear, and a pause that is over is', () => {
  const row = { scope: 'global', paused: true, by: 'ann', reason: 'work', setMs: 0, untilMs: undefined };
  assert.equal(readSwitchStore([], 0).store, 'missing');
  assert.equal(readSwitchStore([{ ...row, scope: 'target:x' }], 0).store, 'missing');
  assert.deepEqual(readSwitchStore([row], 0), { store: 'set', storeDetail: 'paused by ann: work' });
  assert.equal(readSwitchStore([{ ...row, untilMs: 10 }], 9).store, 'set');
  assert.equal(readSwitchStore([{ ...row, untilMs: 10 }], 10).store, 'clear');
  assert.equal(readSwitchStore([{ ...row, paused: false }], 0).store, 'clear');
});
