import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, linkSync, mkdtempSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { backupAddress } from '../../../exporter/systems/backup/address.ts';
import { isTemporary, openBackup, type BackupClient } from '../../../exporter/systems/backup/client.ts';
import { BackupMemory, readBackup, type BackupEvidence } from '../../../exporter/systems/backup/facts-backup.ts';
import { judgeBackup } from '../../../exporter/systems/backup/facts-judge.ts';
import type { Reading, Verdict } from '../../../exporter/systems/backup/facts-verdict.ts';
import { readOn } from '../../../exporter/systems/backup/facts-verifying.ts';

const header = '/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n--\n';
const body = "INSERT INTO `orders` VALUES (1,'-- Dump completed on 2020-01-01 00:00:00');\n".repeat(2_000);
const trailer = '\n-- Dump completed on 2026-11-21 12:25:31\n';
const dump = header + body + trailer;
const trailerAtMs = new Date(2026, 10, 21, 12, 25, 31).getTime();
const reading: Reading = { signal: new AbortController().signal, clock: systemClock };

function judgeDump(path: string, how: Reading): Promise<Verdict> {
  return judgeBackup(path, 'mysqldump', how);
}

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-backup-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

const flipped = (): Buffer => {
  const bytes = gzipSync(dump);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 6) ^ 0xff, bytes.length - 6); // in the check sum
  return bytes;
};

const ladder: readonly [string, string, string | Buffer, Verdict['class']][] = [
  ['gzip, complete', 'a.sql.gz', gzipSync(dump), 'complete'],
  ['plain, complete', 'a.sql', dump, 'complete'],
  ['plain, shorter than what is read of its ends', 'a.sql', header + trailer, 'complete'],
  ['by MySQL', 'a.sql', `-- MySQL dump 10.13  Distrib 8.4.0\n${body}-- Dump completed on 2026-11-21  1:02:03\n`, 'complete'],
  ['--skip-dump-date', 'a.sql.gz', gzipSync(`${header}${body}\n-- Dump completed\n`), 'complete'],
  ['blank lines at the end', 'a.sql', `${dump}\n\n  \n`, 'complete'],
  ['gzip in two members', 'a.sql.gz', Buffer.concat([gzipSync(header + body), gzipSync(trailer)]), 'complete'],
  ['gzip under another name', 'a.dump', gzipSync(dump), 'complete'],
  ['empty', 'a.sql.gz', '', 'empty'],
  ['an empty gzip: the dump failed at once', 'a.sql.gz', gzipSync(''), 'empty'],
  ['gzip, cut off', 'a.sql.gz', gzipSync(dump).subarray(0, -200), 'truncated'],
  ['gzip, cut off in its check sum', 'a.sql.gz', gzipSync(dump).subarray(0, -3), 'truncated'],
  ['gzip, damaged', 'a.sql.gz', flipped(), 'corrupt'],
  ['garbage named .gz', 'a.sql.gz', 'garbage'.repeat(1_000), 'corrupt'],
  ['garbage', 'a.sql', 'garbage'.repeat(1_000), 'not_a_dump'],
  ['garbage with a trailer', 'a.sql', `garbage${trailer}`, 'not_a_dump'],
  ['the dump failed, the compression did not: gzip -t is content', 'a.sql.gz', gzipSync(header + body), 'no_trailer'],
  ['plain, cut off', 'a.sql', header + body, 'no_trailer'],
  ['plain, cut off in the trailer', 'a.sql', dump.slice(0, -30), 'no_trailer'],
  ['--skip-comments', 'a.sql', '/*M!999999\\- enable the sandbox mode */ \n/*!40101 SET NAMES utf8mb4 */;\n', 'no_trailer'],
  ['something after the trailer', 'a.sql', `${dump}INSERT`, 'no_trailer'],
]; // prettier-ignore
for (const [what, name, content, expected] of ladder) {
  test(`evidence: ${what}: ${expected}`, async (t) => {
    const path = join(folder(t), name);
    writeFileSync(path, content);
    const verdict = await judgeDump(path, reading);
    assert.equal(verdict.class, expected, verdict.why);
  });
}

test('the time in the trailer is local time; MySQL pads the hour with a blank', async (t) => {
  const path = join(folder(t), 'a.sql');
  writeFileSync(path, dump);
  assert.equal((await judgeDump(path, reading)).told.finishedAtMs, trailerAtMs);
  writeFileSync(path, `${header}-- Dump completed on 2026-11-21  1:02:03\n`);
  assert.equal((await judgeDump(path, reading)).told.finishedAtMs, new Date(2026, 10, 21, 1, 2, 3).getTime());
  writeFileSync(path, `${header}-- Dump completed\n`);
  assert.equal((await judgeDump(path, reading)).told.finishedAtMs, undefined);
});

test('a file that cannot be read is no verdict', async (t) => {
  await assert.rejects(judgeDump(join(folder(t), 'nothing'), reading));
});

test('temporary names', () => {
  for (const name of ['.a.sql', 'a.sql.tmp', 'a.sql.gz.partial', 'a.PART']) assert.ok(isTemporary(name), name);
  for (const name of ['a.sql', 'a.tmp.sql', 'partial-a.sql.gz']) assert.equal(isTemporary(name), false, name);
});

class Folder {
  readonly dir: string;
  readonly memory: BackupMemory;
  readonly read: string[] = [];
  readonly client: BackupClient;
  /** On top of the real time: moves files into the past without touching them. */
  laterMs = 0;

  constructor(t: TestContext, address: object = {}) {
    this.dir = folder(t);
    this.memory = new BackupMemory((path, r) => {
      this.read.push(path.slice(this.dir.length + 1));
      return judgeDump(path, r);
    });
    this.client = openBackup({
      target: 'b',
      address: backupAddress.parse({ directory: this.dir, pattern: 'orders-*.sql.gz', ...address }),
      auth: undefined,
      tls: undefined,
      resolve: () => assert.fail('no other target'),
    });
  }

  write(name: string, content: string | Buffer = gzipSync(dump), ageSeconds = 60): string {
    const path = join(this.dir, name);
    writeFileSync(path, content);
    const at = new Date(Date.now() - ageSeconds * 1_000);
    utimesSync(path, at, at);
    return path;
  }

  async look(wait = false): Promise<BackupEvidence> {
    const call = { signal: AbortSignal.timeout(5_000), clock: this.clock };
    return await readBackup(this.client, call, this.memory, { wait });
  }

  clock = {
    wallMs: (): number => Date.now() + this.laterMs,
    monoMs: (): number => performance.now() + this.laterMs,
  };

  /** What goes on beside the sweeps, until there is nothing left to read. */
  async readOn(): Promise<void> {
    await readOn(this.memory, { signal: this.client.closed, clock: this.clock });
  }

  /** Until nothing is left to read. */
  async settled(): Promise<BackupEvidence> {
    await this.look();
    await this.readOn();
    return await this.look();
  }
}

test('an empty folder: never', async (t) => {
  const { state, files, lastSuccess } = await new Folder(t).look();
  assert.deepEqual([state, files, lastSuccess], ['never', 0, undefined]);
});

test('a folder that is not there, or no folder, or not to be read, is unknown and not never', async (t) => {
  const parent = folder(t);
  writeFileSync(join(parent, 'file'), '');
  for (const [directory, code] of [
    [join(parent, 'nothing'), 'failed'],
    [join(parent, 'file'), 'failed'],
  ] as const) {
    await assert.rejects(
      new Folder(t, { directory }).look(),
      (error) => error instanceof TargetError && error.code === code,
      directory,
    );
  }
});

test('the first look does not wait for the evidence, the next one has it', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz');
  const first = await backups.look();
  assert.equal(first.state, 'unknown');
  assert.equal(first.newestFinished?.verdict.known, false);
  assert.equal(first.lastSuccess, undefined);
  await backups.readOn();
  const second = await backups.look();
  assert.equal(second.state, 'ok');
  assert.equal(second.lastSuccess?.file.name, 'orders-1.sql.gz');
});

test('a repair may wait for the evidence', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz');
  assert.equal((await backups.look(true)).state, 'ok');
});

test('each file is read once, and none older than the newest complete one', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, 300);
  backups.write('orders-2.sql.gz', undefined, 200);
  backups.write('orders-3.sql.gz', gzipSync(header), 100);
  for (let i = 0; i < 3; i++) await backups.settled();
  assert.deepEqual(backups.read, ['orders-3.sql.gz', 'orders-2.sql.gz']);
});

test('the newest file is incomplete: so is the state, and the one before it counts as the last success', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, 200);
  const { file } = (await backups.settled()).lastSuccess ?? {};
  assert.equal(file?.name, 'orders-1.sql.gz');
  backups.write('orders-2.sql.gz', gzipSync(header + body), 100);
  const judging = await backups.look();
  assert.deepEqual([judging.state, judging.lastSuccess?.file.name], ['ok', 'orders-1.sql.gz']); // not yet read
  const judged = await backups.settled();
  assert.deepEqual([judged.state, judged.lastSuccess?.file.name], ['incomplete', 'orders-1.sql.gz']);
  assert.match(judged.why, /orders-2\.sql\.gz.*Dump completed/);
});

test('nothing but broken files: incomplete, and no success', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', '', 200);
  backups.write('orders-2.sql.gz', gzipSync(dump).subarray(0, 50), 100);
  const { state, lastSuccess, files } = await backups.settled();
  assert.deepEqual([state, lastSuccess, files], ['incomplete', undefined, 2]);
});

test('a file that is being written is neither judged nor the newest finished one', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, 200);
  const path = backups.write('orders-2.sql.gz', gzipSync(dump).subarray(0, 50), 2);
  const early = await backups.settled();
  assert.deepEqual([early.state, early.newestFinished?.file.name, early.newest?.name], ['ok', 'orders-1.sql.gz', 'orders-2.sql.gz']); // prettier-ignore
  backups.laterMs = 60_000;
  appendFileSync(path, gzipSync(dump).subarray(50, 60)); // it grows: its age says nothing
  utimesSync(path, new Date(Date.now() - 5_000), new Date(Date.now() - 5_000));
  assert.equal((await backups.look()).newestFinished?.file.name, 'orders-1.sql.gz');
  backups.laterMs = 120_000;
  assert.equal((await backups.settled()).state, 'incomplete');
  assert.deepEqual(backups.read, ['orders-1.sql.gz', 'orders-2.sql.gz']);
});

test('the first backup is being written: never until it is finished', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, 1);
  assert.equal((await backups.look()).state, 'never');
});

test('a time in the future does not keep a file unfinished for ever', async (t) => {
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, -86_400);
  assert.equal((await backups.settled()).newestFinished, undefined);
  backups.laterMs = 11_000;
  assert.equal((await backups.settled()).state, 'ok');
});

test('a time in the future does not hide a newer backup, nor make one fresh that does not say when it was made', async (t) => {
  const undated = gzipSync(`${header}${body}\n-- Dump completed\n`);
  const alone = new Folder(t);
  alone.write('orders-1.sql.gz', undated, -86_400);
  await alone.look();
  alone.laterMs = 11_000;
  const { state, why, lastSuccess } = await alone.settled();
  assert.deepEqual([state, lastSuccess], ['unknown', undefined], why);
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undated, -86_400);
  backups.write('orders-2.sql.gz', gzipSync(dump).subarray(0, 50), 30);
  await backups.look();
  backups.laterMs = 11_000;
  const judged = await backups.settled();
  assert.deepEqual([judged.state, judged.newest?.name], ['incomplete', 'orders-2.sql.gz']);
});

test('a complete file that is changed afterwards is judged anew', async (t) => {
  const backups = new Folder(t);
  const path = backups.write('orders-1.sql.gz');
  assert.equal((await backups.settled()).state, 'ok');
  truncateSync(path, 100);
  const at = new Date(Date.now() - 30_000);
  utimesSync(path, at, at);
  backups.laterMs = 20_000;
  await backups.look();
  backups.laterMs = 40_000;
  assert.equal((await backups.settled()).state, 'incomplete');
  assert.equal(backups.read.length, 2);
});

test('temporary names, links and other patterns do not count', async (t) => {
  const backups = new Folder(t);
  const path = backups.write('orders-1.sql.gz');
  backups.write('orders-2.sql.gz.tmp');
  backups.write('.orders-3.sql.gz');
  backups.write('customers-1.sql.gz');
  symlinkSync(path, join(backups.dir, 'orders-latest.sql.gz'));
  symlinkSync(join(backups.dir, 'gone'), join(backups.dir, 'orders-broken.sql.gz'));
  linkSync(path, join(backups.dir, 'orders-again.sql.gz'));
  const { files, state } = await backups.settled();
  assert.deepEqual([files, state], [1, 'ok']);
});

test('stale: by the age of the completion, not of the file', async (t) => {
  const backups = new Folder(t, { max_age: '1h' });
  const long = new Date(Date.now() - 7_200_000);
  const two = (n: number): string => String(n).padStart(2, '0');
  const date = `${long.getFullYear()}-${two(long.getMonth() + 1)}-${two(long.getDate())}`;
  const time = [long.getHours(), long.getMinutes(), long.getSeconds()].map(two).join(':');
  backups.write('orders-1.sql.gz', gzipSync(`${header}-- Dump completed on ${date} ${time}\n`), 60); // a copy, made now
  const { state, lastSuccess } = await backups.settled();
  assert.equal(state, 'stale');
  assert.equal(lastSuccess?.completedAtFrom, 'trailer');
  assert.equal(lastSuccess.completedAtMs, Math.floor(long.getTime() / 1_000) * 1_000);
  assert.equal(lastSuccess.durationSeconds.known, false); // the times of a copy are not those of the dump
});

test('a trailer that is later than the file: the file’s time counts', async (t) => {
  const backups = new Folder(t, { max_age: '1h' });
  backups.write('orders-1.sql.gz', gzipSync(`${header}-- Dump completed on 2099-01-01 00:00:00\n`), 60);
  const { state, lastSuccess } = await backups.settled();
  assert.equal(state, 'ok');
  assert.equal(lastSuccess?.completedAtFrom, 'mtime');
});

test('a file that cannot be read: unknown, and the one before it counts', async (t) => {
  if (process.getuid?.() === 0) {
    t.skip('root reads everything');
    return;
  }
  const backups = new Folder(t);
  backups.write('orders-1.sql.gz', undefined, 200);
  chmodSync(backups.write('orders-2.sql.gz', undefined, 100), 0);
  const { newestFinished, lastSuccess } = await backups.settled();
  assert.equal(newestFinished?.verdict.known, false);
  assert.equal(lastSuccess?.file.name, 'orders-1.sql.gz');
});

test('reading that fails is tried again later, and not in every sweep', async (t) => {
  const backups = new Folder(t);
  let failing = true;
  const memory = new BackupMemory((path, r) => {
    backups.read.push(path);
    return failing ? Promise.reject(new Error('EIO')) : judgeDump(path, r);
  });
  Object.assign(backups, { memory });
  backups.write('orders-1.sql.gz');
  const failed = await backups.settled();
  assert.equal(failed.state, 'unknown');
  assert.match(failed.why, /EIO/);
  await backups.settled();
  assert.equal(backups.read.length, 1);
  failing = false;
  backups.laterMs = 301_000;
  assert.equal((await backups.settled()).state, 'ok');
});

test('what reads in the background ends with the client', async (t) => {
  const backups = new Folder(t);
  let aborted = false;
  const memory = new BackupMemory(
    (_path, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(new Error('aborted'));
        });
      }),
  );
  Object.assign(backups, { memory });
  backups.write('orders-1.sql.gz');
  await backups.look();
  const reads = backups.readOn();
  await backups.client[Symbol.asyncDispose]();
  await reads;
  assert.equal(aborted, true);
  assert.equal(memory.failures.size, 0);
});
