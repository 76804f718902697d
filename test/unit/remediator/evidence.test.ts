// The files of a run: whole, durable, bounded; and a place that hangs holds up that run and nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { memoryVerdict } from '../../../remediator/actions/service/capture.ts';
import { EvidenceError, evidencePlace, writeEvidence, type Files } from '../../../remediator/evidence.ts';
import { inFolder } from '../../../remediator/slow-folder.ts';
import { harness } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

const two = [
  { name: 'evidence.json', text: '{}\n', mayBeCut: true },
  { name: 'undo.sql', text: 'UPDATE …;\n', mayBeCut: false },
];

async function inTemporary(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-evidence-'));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('files and sums are there, for their owner only; written again they are the same', () =>
  inTemporary(async (dir) => {
    const written = await writeEvidence(dir, 'r1', two);
    assert.deepEqual(await writeEvidence(dir, 'r1', two), written);
    assert.deepEqual((await readdir(written.path)).toSorted(), ['SHA256SUMS', 'evidence.json', 'undo.sql']);
    assert.equal(await readFile(join(written.path, 'undo.sql'), 'utf8'), 'UPDATE …;\n');
    const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: written.path, encoding: 'utf8' });
    assert.equal(checked, 'evidence.json: OK\nundo.sql: OK\n');
    const file = await open(join(written.path, 'undo.sql'));
    assert.equal((await file.stat()).mode & 0o777, 0o600);
    await file.close();
  }));

test('every file and both folders are synced before it is said to be kept', () =>
  inTemporary(async (dir) => {
    const synced: string[] = [];
    const files: Files = {
      ...{ mkdir, statfs },
      open: async (path, flags, mode) => {
        const file = await open(path, flags, mode);
        const sync = async (): Promise<void> => {
          await file.sync();
          synced.push(path.slice(dir.length));
        };
        return { writeFile: (bytes) => file.writeFile(bytes), sync, [Symbol.asyncDispose]: () => file.close() };
      },
    };
    await writeEvidence(dir, 'r1', two, { ...evidencePlace, files });
    assert.deepEqual(synced, ['/r1/evidence.json', '/r1/undo.sql', '/r1/SHA256SUMS', '/r1', '']);
  }));

test('names that are no plain ones, too much, and a disk that is nearly full are refused', () =>
  inTemporary(async (dir) => {
    const named = (name: string) => writeEvidence(dir, 'r1', [{ name, text: '', mayBeCut: true }]);
    for (const name of ['../x', '.hidden', 'a/b', 'SHA256SUMS']) await assert.rejects(named(name), EvidenceError);
    await assert.rejects(writeEvidence(dir, '../r1', two), EvidenceError);
    await assert.rejects(
      writeEvidence(dir, 'r1', two, { ...evidencePlace, bundleBytes: 5 }),
      /the evidence has \d+ bytes/,
    );
    const files: Files = { ...evidencePlace.files, statfs: () => Promise.resolve({ bavail: 2, bsize: 512 }) };
    await assert.rejects(writeEvidence(dir, 'r1', two, { ...evidencePlace, files }), /only 1024 bytes are free/);
    const cut = await writeEvidence(dir, 'r2', [{ name: 'x', text: 'y'.repeat(200), mayBeCut: true }], {
      ...evidencePlace,
      fileBytes: 100,
    });
    assert.match(await readFile(join(cut.path, 'x'), 'utf8'), /^y+\n\[cut here: 200 bytes in all\]\n$/);
  }));

/** A place whose calls hang from one of them on, until it comes back. */
class Hanging {
  readonly calls: string[] = [];
  readonly #from: string;
  readonly #back = Promise.withResolvers<undefined>();

  constructor(from: string) {
    this.#from = from;
  }

  comeBack(): void {
    this.#back.resolve(undefined);
  }

  async #call(name: string): Promise<void> {
    this.calls.push(name);
    if (name === this.#from) await this.#back.promise;
  }

  readonly files: Files = {
    mkdir: () => this.#call('mkdir'),
    statfs: async () => {
      await this.#call('statfs');
      return { bavail: 1e9, bsize: 512 };
    },
    open: async () => {
      await this.#call('open');
      return {
        writeFile: () => this.#call('write'),
        sync: () => this.#call('sync'),
        [Symbol.asyncDispose]: () => this.#call('close'),
      };
    },
  };
}

for (const from of ['mkdir', 'statfs', 'open', 'write', 'sync', 'close']) {
  test(`${from} hangs: the run is refused in time, and what comes back late writes no more`, async () => {
    const place = new Hanging(from);
    await using h = await harness();
    const target = new Target();
    const action = stepAction(target, {});
    const { run, hold, evidenceHash } = await h.claim(action);
    const runner = h.runner(action, { evidencePlace: { ...evidencePlace, timeoutMs: 20, files: place.files } });
    runner.begin(run, hold, evidenceHash);
    await runner.idle();
    const { outcome, because } = await h.onlyRun();
    assert.equal(outcome, 'refused');
    assert.match(because ?? '', /^the evidence cannot be kept: .*: no answer in time$/);
    assert.equal(target.calls, 0);
    // The next one does not add a call that hangs: each holds a thread.
    const before = place.calls.length;
    const next = { ...evidencePlace, timeoutMs: 20, files: place.files };
    await assert.rejects(writeEvidence(h.evidenceDir, 'next', two, next), { code: 'deadline' });
    assert.equal(place.calls.length, before);
    place.comeBack();
    const healthy = new Hanging('never');
    await writeEvidence(h.evidenceDir, 'later', two, { ...evidencePlace, files: healthy.files });
    assert.deepEqual(
      place.calls.slice(before).filter((call) => call === 'open' || call === 'mkdir'),
      [],
      'nothing new is begun for a run that is over',
    );
  });
}

test('a run that is no longer ours does not wait for its files', async () => {
  const place = new Hanging('write');
  const leave = new AbortController();
  const writing = writeEvidence('/lost', 'r1', two, { ...evidencePlace, files: place.files }, leave.signal);
  await waitFor(() => place.calls.includes('write'), { what: 'the write to hang' });
  leave.abort(new Error('the lease is lost'));
  await assert.rejects(writing, { code: 'deadline' });
  place.comeBack();
});

test('when a service was restarted for its memory, on a place that hangs: unknown, not never', async () => {
  const place = Promise.withResolvers<string>();
  const use = inFolder('/hangs', 20, () => place.promise);
  await assert.rejects(use, { code: 'deadline' });
  let reads = 0;
  const read = (): Promise<string> => {
    reads += 1;
    return Promise.resolve('1');
  };
  const verdict = await memoryVerdict('cdc1', '/hangs', 1, read, 20);
  assert.deepEqual([verdict.is, verdict.code, reads], ['unknown', 'memory_unknown', 0]);
  place.resolve('');
  assert.equal((await memoryVerdict('cdc1', '/hangs', 25 * 3_600_000, read)).is, 'allow');
});

test('uses of one folder wait for each other, of two they do not; one that fails lets the next one on', async () => {
  const order: string[] = [];
  const slow = Promise.withResolvers<undefined>();
  const one = inFolder('/a', 5_000, async () => {
    await slow.promise;
    order.push('one');
    throw new Error('EIO');
  });
  const two = inFolder('/a', 5_000, () => Promise.resolve(void order.push('two')));
  await inFolder('/b', 5_000, () => Promise.resolve(void order.push('other')));
  slow.resolve(undefined);
  await assert.rejects(one, /EIO/);
  await two;
  assert.deepEqual(order, ['other', 'one', 'two']);
});
