// The backup system on real dumps by mariadb-dump: whole ones, one that was cut off, and those that the lab spoils.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import { createGzip } from 'node:zlib';
import { ports } from '../../deploy/lab/address.ts';
import { program } from '../../deploy/lab/context.ts';
import { backupFaults } from '../../deploy/lab/faults.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { systemClock, type Clock } from '../../exporter/runtime/clock.ts';
import { backup } from '../../exporter/systems/backup/index.ts';
import { WatchedTarget, type Measured } from '../support/watched-target.ts';

let lab: Lab;
/** Moves the exporter's clock: a file is finished ten seconds after its last change. */
let laterMs = 0;
const clock: Clock = {
  wallMs: () => systemClock.wallMs() + laterMs,
  monoMs: () => systemClock.monoMs() + laterMs,
};
const full = { type: 'full' };

before(async () => {
  lab = await startLab({ parts: ['source', 'backup'], backupEverySeconds: 2 });
  await waitFor(() => lab.backups().length >= 2, { deadlineMs: 30_000, what: 'two backups' });
  await lab.part('backup').stop();
});

after(async () => {
  await lab.stop();
});

function watch(directory: string): WatchedTarget {
  return new WatchedTarget(backup, { address: { directory, pattern: 'orders-*.sql.gz', max_age: '1d' } }, clock);
}

/** Looks as often as it takes for every file to count as finished and to be read. */
async function settled(target: WatchedTarget, is: (m: Measured) => boolean): Promise<Measured> {
  await target.measure();
  laterMs += 11_000;
  return await waitFor(
    async () => {
      const measured = await target.measure();
      return is(measured) && measured;
    },
    { deadlineMs: 10_000, what: 'the evidence to be read' },
  );
}

async function dumpInto(file: string, killAfterBytes = Infinity): Promise<void> {
  const options = join(lab.dir, 'dump.cnf');
  const login = `host=${lab.address}\nport=${ports.source}\nuser=lab\npassword=${lab.secret('lab')}\n`;
  writeFileSync(options, `[client]\n${login}`, { mode: 0o600 });
  const dump = spawn(program('mariadb-dump'), [`--defaults-extra-file=${options}`, '--single-transaction', '--databases', 'mysql', 'shop'], { stdio: ['ignore', 'pipe', 'inherit'] }); // prettier-ignore
  let bytes = 0;
  dump.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > killAfterBytes) dump.kill('SIGKILL');
  });
  await pipeline(dump.stdout, createGzip(), createWriteStream(file));
}

test('backups that are well: ok, with the time in their last line', async () => {
  const newest = lab.backups().at(-1) ?? '';
  await using target = watch(dirname(newest));
  const measured = await settled(target, (m) => m.state('backup_state', full) === 'ok');
  assert.equal(measured.value('backup_last_complete', full), 1);
  assert.equal(measured.value('backup_files', full), lab.backups().length);
  const success = measured.value('backup_last_success_timestamp_seconds', full) ?? 0;
  const newestAt = measured.value('backup_newest_file_timestamp_seconds', full) ?? 0;
  assert.ok(success <= newestAt + 1 && success > newestAt - 10, `${success} and ${newestAt}`);
  assert.ok((measured.value('backup_last_duration_seconds', full) ?? -1) >= 0);
});

test('a dump that was killed on its way into gzip: a sound archive, and no backup', async () => {
  const directory = join(lab.dir, 'killed');
  mkdirSync(directory);
  await using target = watch(directory);
  assert.equal((await target.measure()).state('backup_state', full), 'never');
  await dumpInto(join(directory, 'orders-1.sql.gz'));
  const good = await settled(target, (m) => m.state('backup_state', full) === 'ok');
  await dumpInto(join(directory, 'orders-2.sql.gz'), 20_000);
  const measured = await settled(target, (m) => m.state('backup_state', full) === 'incomplete');
  assert.equal(measured.value('backup_last_complete', full), 0);
  const name = 'backup_last_success_timestamp_seconds';
  assert.equal(measured.value(name, full), good.value(name, full));
});

for (const fault of backupFaults) {
  test(`a backup that the lab spoils (${fault}) is incomplete, the one before it counts`, async (t) => {
    const newest = lab.backups().at(-1) ?? '';
    const content = readFileSync(newest);
    t.after(() => {
      writeFileSync(newest, content);
    });
    await using target = watch(dirname(newest));
    await settled(target, (m) => m.state('backup_state', full) !== 'unknown');
    const success = 'backup_last_success_timestamp_seconds';
    const before = await target.measure();
    lab.corruptBackup(fault);
    const measured = await settled(
      target,
      (m) => m.state('backup_state', full) === 'incomplete' && m.value(success, full) !== undefined,
    );
    assert.equal(measured.value('backup_last_complete', full), 0);
    assert.ok((measured.value(success, full) ?? 0) < (before.value(success, full) ?? Infinity));
  });
}

test('the folder is gone: unknown, and never "never"', async () => {
  const directory = join(lab.dir, 'gone');
  mkdirSync(directory);
  await using target = watch(directory);
  assert.equal((await target.measure()).state('backup_state', full), 'never');
  rmSync(directory, { recursive: true });
  const measured = await target.measure();
  assert.equal(measured.failure?.class, 'failed');
  assert.equal(measured.state('backup_state', full), 'unknown');
  assert.equal(measured.value('backup_last_success_timestamp_seconds', full), undefined);
});
