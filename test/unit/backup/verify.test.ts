// Reading beside the sweeps: each backup once, over restarts, never one that grows; what a person gets who asks by hand.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Put } from '../../../exporter/families.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { verifyInBackground } from '../../../exporter/systems/backup/background-verify.ts';
import { loadVerdicts, saveVerdicts } from '../../../exporter/systems/backup/background-verify-store.ts';
import { backupAddress } from '../../../exporter/systems/backup/address.ts';
import { openBackup } from '../../../exporter/systems/backup/client.ts';
import { readBackup, type BackupEvidence } from '../../../exporter/systems/backup/facts-backup.ts';
import { judgeBackup } from '../../../exporter/systems/backup/facts-judge.ts';
import type { Verdict } from '../../../exporter/systems/backup/facts-verdict.ts';
import { BackupMemory } from '../../../exporter/systems/backup/facts-verifying.ts';
import { backup } from '../../../exporter/systems/backup/index.ts';
import { backupText } from '../../../exporter/verify-backup.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

const dump = `-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n/*!40101 SET NAMES utf8mb4 */;\n-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=70218;\n\n-- Table structure for table \`a\`\nCREATE TABLE \`a\` (\`id\` int);\n-- Dump completed\n`;
const log = createLog('test', 'silent');

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-verify-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

function write(path: string, content: string | Buffer = gzipSync(dump), ageSeconds = 60): string {
  writeFileSync(path, content);
  const at = new Date(Date.now() - ageSeconds * 1_000);
  utimesSync(path, at, at);
  return path;
}

/** An exporter's memory of one folder, with its work beside the sweeps; a restart makes a new one. */
class Exporter implements AsyncDisposable {
  readonly read: string[] = [];
  readonly memory: BackupMemory;
  readonly #client;
  readonly #clock = { wallMs: () => Date.now(), monoMs: () => performance.now() };
  readonly #end = new AbortController();
  readonly #work: Promise<void>;

  constructor(directory: string, stateFile?: string) {
    this.memory = new BackupMemory((path, reading) => {
      this.read.push(path.slice(directory.length + 1));
      return judgeBackup(path, 'mysqldump', reading);
    });
    this.#client = openBackup({
      target: 'b',
      address: backupAddress.parse({ directory, pattern: '*.sql.gz' }),
      auth: undefined,
      tls: undefined,
      resolve: () => assert.fail('no other target'),
    });
    const work = { signal: this.#end.signal, clock: this.#clock, log, bytesPerSecond: 1e9, stateFile };
    this.#work = verifyInBackground(this.memory, work);
  }

  look(): Promise<BackupEvidence> {
    return readBackup(this.#client, { signal: AbortSignal.timeout(5_000), clock: this.#clock }, this.memory);
  }

  /** Sweeps until it is so. */
  until(is: (evidence: BackupEvidence) => boolean): Promise<BackupEvidence> {
    return waitFor(
      async () => {
        const evidence = await this.look();
        return is(evidence) ? evidence : undefined;
      },
      { what: 'the evidence' },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#work;
    await this.#client[Symbol.asyncDispose]();
  }
}

test('pending, then verified; a restart knows what was found, and a file that was changed is read anew', async (t) => {
  const dir = folder(t);
  const stateFile = join(folder(t), 'state.json');
  const path = write(join(dir, 'a.sql.gz'));
  {
    await using exporter = new Exporter(dir, stateFile);
    assert.equal((await exporter.look()).verified, 'pending');
    const { lastSuccess } = await exporter.until(({ verified }) => verified === 'verified');
    assert.equal(lastSuccess?.verdict.told.coordinates?.position?.position, 70218);
    await waitFor(() => existsSync(stateFile), { what: 'the file to be kept' });
  }
  assert.equal(statSync(stateFile).mode & 0o777, 0o600);
  {
    await using exporter = new Exporter(dir, stateFile);
    const { lastSuccess } = await exporter.until(({ verified }) => verified === 'verified');
    assert.deepEqual(exporter.read, []);
    assert.deepEqual(lastSuccess?.verdict.told.coordinates, { position: { file: 'bin.000001', position: 70218 }, gtid: undefined, of: 'server', from: 'header' }); // prettier-ignore
  }
  truncateSync(path, 50);
  const at = new Date(Date.now() - 30_000);
  utimesSync(path, at, at);
  await using exporter = new Exporter(dir, stateFile);
  await exporter.until(({ verified, state }) => verified === 'failed' && state === 'incomplete');
  assert.deepEqual(exporter.read, ['a.sql.gz']);
});

test('a state file that is damaged, or of another version, is no reason to stop', async (t) => {
  const dir = folder(t);
  const stateFile = join(folder(t), 'state.json');
  write(join(dir, 'a.sql.gz'));
  for (const text of ['', '{"ladder":', '{"ladder":0,"verdicts":{}}', '{"ladder":1,"verdicts":{"a":{}}}']) {
    writeFileSync(stateFile, text);
    await using exporter = new Exporter(dir, stateFile);
    await exporter.until(({ verified }) => verified === 'verified');
    await waitFor(() => exporter.memory.keeping === 'kept', { what: 'the file to be kept' });
    assert.deepEqual(exporter.read, ['a.sql.gz'], text);
    assert.equal(await loadVerdicts(stateFile, new BackupMemory(() => assert.fail('nothing is read'))), undefined);
  }
});

test('a state file that cannot be written (a disk that is full): it says so, goes on, and keeps what was there', async (t) => {
  const dir = folder(t);
  write(join(dir, 'a.sql.gz'));
  // a full disk, for root too: /dev/full
  for (const stateFile of [join(dir, 'nowhere', 'state.json'), '/proc/version']) {
    await using exporter = new Exporter(dir, stateFile);
    await exporter.until(({ verified }) => verified === 'verified');
    await waitFor(() => exporter.memory.keeping === 'failed', { what: 'the failure' });
  }
  const stateFile = join(folder(t), 'state.json');
  writeFileSync(stateFile, 'before');
  mkdirSync(`${stateFile}.new`);
  await assert.rejects(saveVerdicts(stateFile, new BackupMemory(() => assert.fail('nothing is read'))));
  assert.equal(readFileSync(stateFile, 'utf8'), 'before');
});

test('incremental backups are each read; of full ones those down to the newest complete', async (t) => {
  const dir = folder(t);
  for (const [i, name] of ['a', 'b', 'c'].entries()) write(join(dir, `${name}.sql.gz`), undefined, 300 - i * 10);
  await using exporter = new Exporter(dir);
  await exporter.until(({ verified }) => verified === 'verified');
  assert.deepEqual(exporter.read, ['c.sql.gz']);
  const files = (await exporter.look()).finished.map(({ file }) => ({ ...file, type: 'incremental' as const }));
  exporter.memory.offer(files, files);
  await waitFor(() => exporter.read.length === 3, { what: 'the rest' });
  assert.deepEqual(exporter.read, ['c.sql.gz', 'b.sql.gz', 'a.sql.gz']);
});

test('an archive of binary logs: the newest may be one that the server still writes; an older one may not', async (t) => {
  const dir = folder(t);
  const event = (type: number): Buffer => {
    const body = Buffer.alloc(type === 15 ? 100 : 10); // the last byte of the description: no check sums
    const head = Buffer.alloc(19);
    head.writeUInt8(type, 4);
    head.writeUInt32LE(19 + body.length, 9);
    return Buffer.concat([head, body]);
  };
  const live = Buffer.concat([Buffer.from('\xfebin', 'latin1'), event(15), event(2)]);
  const ended = Buffer.concat([live, event(4)]);
  const address = { directory: dir, pattern: 'bin.*', tool: 'binlog', max_age: '10m' };
  const type = { type: 'binlog' };
  let laterMs = 0;
  const clock = { wallMs: () => Date.now() + laterMs, monoMs: () => performance.now() + laterMs };
  await using target = new WatchedTarget(backup, { address }, clock);
  target.beginBackground();
  const until = (state: string) =>
    waitFor(
      async () => {
        const measured = await target.measure();
        return measured.state('backup_state', type) === state ? measured : undefined;
      },
      { what: state },
    );
  write(join(dir, 'bin.000001'), ended, 3_600);
  write(join(dir, 'bin.000002'), live, 60);
  assert.equal((await until('ok')).state('backup_verified', type), 'verified');
  laterMs = 400_000; // quiet for long: it is read, and still no fault
  const quiet = await until('ok');
  assert.equal(quiet.value('backup_last_complete', type), 1);
  laterMs = 900_000;
  await until('stale');
  laterMs = 0;
  write(join(dir, 'bin.000003'), live, 20);
  const broken = await until('incomplete');
  assert.equal(broken.value('backup_verdict_info', { ...type, verdict: 'not_finished' }), 1);
});

test('a check sum that comes later is a reason to read once more', async (t) => {
  const dir = folder(t);
  const path = write(join(dir, 'a.sql.gz'));
  await using exporter = new Exporter(dir);
  await exporter.until(({ verified }) => verified === 'verified');
  writeFileSync(`${path}.md5`, ''); // as long as it is being made
  await exporter.look();
  writeFileSync(`${path}.md5`, `${'0'.repeat(32)}  a.sql.gz\n`);
  await exporter.until(({ verified }) => verified === 'failed');
  for (let i = 0; i < 3; i++) await exporter.look();
  assert.deepEqual(exporter.read, ['a.sql.gz', 'a.sql.gz']);
});

test('two folders on one disk are read one after the other', async (t) => {
  const dirs = [folder(t), folder(t)];
  for (const dir of dirs) for (const name of ['a', 'b']) write(join(dir, `${name}.sql.gz`), gzipSync('no dump'));
  let [now, most, all] = [0, 0, 0];
  const exporters = dirs.map((dir) => new Exporter(dir));
  for (const { memory } of exporters) {
    const { judge } = memory;
    const counted: BackupMemory['judge'] = async (path, reading) => {
      most = Math.max(most, ++now);
      all += 1;
      await new Promise(setImmediate);
      return await judge(path, reading).finally(() => (now -= 1));
    };
    Object.assign(memory, { judge: counted });
  }
  try {
    await Promise.all(exporters.map((exporter) => exporter.until(() => all === 4 && now === 0)));
  } finally {
    for (const exporter of exporters) await exporter[Symbol.asyncDispose]();
  }
  assert.deepEqual([most, all], [1, 4]);
});

test('reading that hangs is ended with the target', async (t) => {
  const dir = folder(t);
  write(join(dir, 'a.sql.gz'));
  const exporter = new Exporter(dir);
  let letGo = (): void => undefined; // else whoever is next on this disk would wait for ever
  const judge = () => new Promise((_resolve, reject) => (letGo = () => { reject(new Error('gone')); })); // prettier-ignore
  Object.assign(exporter.memory, { judge });
  await exporter.until(() => exporter.memory.current !== undefined);
  assert.equal((await exporter.look()).verified, 'pending');
  await exporter[Symbol.asyncDispose]();
  assert.equal(exporter.memory.current, undefined);
  letGo();
});

test('series: of a verified one, of an encrypted one, of one with a wrong check sum', async (t) => {
  const dir = folder(t);
  const address = { directory: dir, pattern: '*.sql*' };
  const collectors = { backup_files: { verify_rate: '1GB' } };
  const full = { type: 'full' };
  const look = async (verified: string) => {
    await using target = new WatchedTarget(backup, { address, collectors });
    target.beginBackground();
    return await waitFor(
      async () => {
        const measured = await target.measure();
        return measured.state('backup_verified', full) === verified ? measured : undefined;
      },
      { what: verified },
    );
  };
  const good = write(join(dir, 'a.sql.gz'), undefined, 600);
  const well = await look('verified');
  assert.equal(well.value('backup_tables', full), 1);
  assert.equal(well.value('backup_compression_ok', full), 1);
  assert.equal(well.value('backup_checksum_ok', full), undefined);
  assert.equal(well.value('backup_verified_bytes', full), statSync(good).size);
  assert.equal(well.value('backup_content_bytes', full), dump.length);
  assert.equal(well.value('backup_binlog_position_bytes', full), 70218);
  assert.equal(well.value('backup_binlog_position_info', { file: 'bin.000001', gtid: '', of: 'server' }), 1);
  assert.equal(well.value('backup_header_info', { tool: 'mariadb-dump', character_set: 'utf8mb4' }), 1);
  assert.equal(well.value('backup_verdict_info', { verdict: 'complete' }), 1);
  assert.equal(well.state('backup_verify_memory_state'), 'off');

  write(join(dir, 'b.sql.enc'), 'Salted__and so on', 300);
  const sealed = await look('unverifiable');
  assert.equal(sealed.value('backup_last_complete', full), undefined, 'neither complete nor not');
  assert.equal(sealed.value('backup_verdict_info', { verdict: 'encrypted' }), 1);
  assert.notEqual(sealed.state('backup_state', full), 'incomplete');

  rmSync(join(dir, 'b.sql.enc'));
  write(`${good}.md5`, `${'0'.repeat(32)}  a.sql.gz\n`, 600);
  const wrong = await look('failed');
  assert.equal(wrong.value('backup_checksum_ok', full), 0);
  assert.equal(wrong.value('backup_last_complete', full), 0);
  assert.equal(wrong.state('backup_state', full), 'incomplete');
});

test('an examination reads for itself, takes what the exporter has kept, and writes nothing', async (t) => {
  const dir = folder(t);
  const stateFile = join(folder(t), 'state.json');
  write(join(dir, 'a.sql.gz'));
  const target = { name: 'b', kind: 'backup', address: { directory: dir, pattern: '*.sql.gz' }, collectors: { backup_files: { state_file: stateFile } } }; // prettier-ignore
  const examine = async (): Promise<readonly string[]> => {
    const bound = backup.bind(target, () => assert.fail('no other target'));
    const clock = { wallMs: () => Date.now(), monoMs: () => performance.now() };
    const call = { signal: AbortSignal.timeout(10_000), clock };
    await using client = await bound.open(call);
    const found: string[] = [];
    const put: Put = ({ family, value, labels }) => {
      if (value === 1) found.push(`${family.name} ${labels['state'] ?? ''}`);
    };
    const [files] = bound.collectors.filter(({ name }) => name === 'backup_files');
    await files?.collect(client, put, { ...call, target: 'b', board: new FactBoard(), isExamination: true });
    return found;
  };
  assert.ok((await examine()).includes('backup_verified verified'));
  assert.equal(existsSync(stateFile), false);
  {
    await using exporter = new Exporter(dir, stateFile);
    Object.assign(exporter.memory, { judge: () => Promise.resolve({ ...failed }) });
    await exporter.until(({ verified }) => verified === 'failed');
    await waitFor(() => existsSync(stateFile), { what: 'the file to be kept' });
  }
  const before = readFileSync(stateFile, 'utf8');
  assert.ok((await examine()).includes('backup_verified failed'), 'what was kept is not read again');
  assert.equal(readFileSync(stateFile, 'utf8'), before);
});

const failed: Verdict = { class: 'corrupt', why: 'kept', rungs: [], told: {}, readBytes: 1, contentBytes: 1, tookSeconds: 1 }; // prettier-ignore

const main = join(import.meta.dirname, '../../../exporter/main.ts');

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, ...args])) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

test('verify-backup: a file, the newest of a target, one that is cut off, and what is no backup', async (t) => {
  const dir = folder(t);
  const old = write(join(dir, 'a.sql.gz'), gzipSync(dump).subarray(0, -9), 600);
  write(join(dir, 'b.sql.gz'));
  const config = join(folder(t), 'pipemedic.yml');
  const target = { name: 'nightly', kind: 'backup', address: { directory: dir, pattern: '*.sql.gz' } };
  writeFileSync(config, JSON.stringify({ targets: [target] }));
  const [newest, cut, none, much] = await Promise.all([
    cli('verify-backup', 'nightly', '--config.file', config),
    cli('verify-backup', old, '--json'),
    cli('verify-backup', 'weekly', '--config.file', config),
    cli('verify-backup'),
  ]);
  assert.equal(newest.code, 0, newest.stderr);
  assert.match(newest.stdout, /b\.sql\.gz: complete\n {2}ok +file/);
  assert.match(newest.stdout, /bin\.000001:70218/);
  assert.equal(cut.code, 1, cut.stderr);
  const report = JSON.parse(cut.stdout) as { verdict: { class: string; rungs: { rung: string; ok: boolean }[] } };
  assert.equal(report.verdict.class, 'truncated');
  assert.equal(report.verdict.rungs.find(({ rung }) => rung === 'compression')?.ok, false);
  assert.deepEqual([none.code, much.code], [2, 2]);
  assert.match(none.stderr, /weekly is no file and no target/);
});

test('what stands in a backup or in its name stays on its line, and steers no terminal', () => {
  const forged = 'x\n/dump.sql: complete\u001b[2J\u202e';
  const verdict: Verdict = {
    ...{ class: 'empty', why: forged, readBytes: 1, contentBytes: 1, tookSeconds: 1 },
    rungs: [{ rung: 'end', ok: false, why: forged }],
    told: { tool: forged, serverVersion: forged },
  };
  for (const report of [
    { path: forged, verdict, failure: undefined },
    { path: forged, verdict: undefined, failure: forged },
  ]) {
    const text = backupText(report);
    assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u);
    assert.doesNotMatch(text, /^\/dump\.sql/m);
  }
});
