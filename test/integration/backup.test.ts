// The backup system on what real tools write: mariadb-dump, mydumper, mariadb-backup, Redis, the server's binary logs; whole,
// cut off, and those that the lab spoils.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, createWriteStream, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import { constants, createGzip, gzipSync, zstdCompressSync } from 'node:zlib';
import { ports } from '../../deploy/lab/address.ts';
import { program } from '../../deploy/lab/context.ts';
import { backupFaults } from '../../deploy/lab/faults.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { withRedis } from '../../deploy/lab/redis.ts';
import { systemClock, type Clock } from '../../exporter/runtime/clock.ts';
import type { BackupTool } from '../../exporter/systems/backup/address.ts';
import { judgeBackup } from '../../exporter/systems/backup/facts-judge.ts';
import type { Verdict } from '../../exporter/systems/backup/facts-verdict.ts';
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
  lab = await startLab({ parts: ['source', 'redis', 'backup'], backupEverySeconds: 2 });
  await waitFor(() => lab.backups().length >= 2, { what: 'two backups' });
  await lab.part('backup').stop();
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) SELECT CONCAT('customer ', seq), 'new', seq FROM mysql.seq_1_to_2000"); // prettier-ignore
});

after(async () => {
  await lab.stop();
});

function watch(directory: string, address: object = {}): WatchedTarget {
  const target = new WatchedTarget(
    backup,
    { address: { directory, pattern: 'orders-*.sql.gz', max_age: '1d', ...address } },
    clock,
  );
  target.beginBackground();
  return target;
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
    { what: 'the evidence to be read' },
  );
}

/** The login of the lab's own user, as a file of options. */
function optionsFile(): string {
  const options = join(lab.dir, 'dump.cnf');
  const login = `host=${lab.address}\nport=${ports.source}\nuser=lab\npassword=${lab.secret('lab')}\n`;
  writeFileSync(options, `[client]\n${login}`, { mode: 0o600 });
  return options;
}

async function dumpInto(file: string, killAfterBytes = Infinity): Promise<void> {
  const options = optionsFile();
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

async function run(name: string, args: readonly string[], stdout?: string): Promise<string> {
  const out = stdout === undefined ? undefined : openSync(stdout, 'w');
  const child = spawn(program(name), args, { stdio: ['ignore', out ?? 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (out !== undefined) closeSync(out);
  assert.equal(code, 0, `${name}: ${said.slice(-2_000)}`);
  return said;
}

async function judge(path: string, tool: BackupTool): Promise<Verdict> {
  return await judgeBackup(path, tool, { signal: AbortSignal.timeout(30_000), clock: systemClock, isUrgent: true });
}

/** Where the server itself says that it is. */
async function sourcePosition(): Promise<{ file: string; position: number; gtid: string }> {
  const [status] = await lab.sql('source', 'SHOW MASTER STATUS');
  const [variable] = await lab.sql('source', 'SELECT @@GLOBAL.gtid_binlog_pos AS gtid');
  return { file: String(status?.['File']), position: Number(status?.['Position']), gtid: String(variable?.['gtid']) };
}

function spoil(path: string, change: (content: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(path)));
}

const flip = (content: Buffer): Buffer => {
  content.writeUInt8(content.readUInt8(content.length >> 1) ^ 1, content.length >> 1);
  return content;
};

test('mariadb-dump in gzip and zstd: header, tables and coordinates as the server has them; two members; a bit flipped', async () => {
  const directory = join(lab.dir, 'compressed');
  mkdirSync(directory);
  const plain = join(directory, 'orders.sql');
  const at = await sourcePosition();
  const args = [`--defaults-extra-file=${optionsFile()}`, '--single-transaction', '--master-data=2', '--gtid', '--databases', 'mysql', 'shop']; // prettier-ignore
  await run('mariadb-dump', args, plain);
  const dump = readFileSync(plain);
  const [tables] = await lab.sql('source', "SELECT COUNT(*) AS n FROM information_schema.tables WHERE table_schema IN ('mysql', 'shop') AND table_type = 'BASE TABLE'"); // prettier-ignore
  const contents: Readonly<Record<string, Buffer>> = {
    'a.sql.gz': gzipSync(dump),
    'two.sql.gz': Buffer.concat([gzipSync(dump.subarray(0, 99_999)), gzipSync(dump.subarray(99_999))]),
    'a.sql.zst': zstdCompressSync(dump, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }), // as the program zstd does
  };
  for (const [name, content] of Object.entries(contents)) {
    const path = join(directory, name);
    writeFileSync(path, content);
    const { class: found, told, contentBytes } = await judge(path, 'mysqldump');
    assert.deepEqual([found, contentBytes, told.tables, told.characterSet], ['complete', dump.length, tables?.['n'], 'utf8mb4']); // prettier-ignore
    assert.deepEqual(told.coordinates?.position, { file: at.file, position: at.position });
    assert.equal(told.coordinates.gtid, at.gtid);
    spoil(path, flip);
    const { class: spoilt } = await judge(path, 'mysqldump');
    assert.equal(spoilt, 'corrupt', `${name} with a bit flipped`);
    writeFileSync(path, Buffer.concat([content, Buffer.from('garbage')]));
    assert.equal((await judge(path, 'mysqldump')).class, 'corrupt', `${name} with something behind it`);
  }
});

test('mydumper: a folder, seen by the exporter with its coordinates; without its metadata it is not finished', async () => {
  const directory = join(lab.dir, 'mydumper');
  const folder = join(directory, 'orders-1.sql.gz'); // any name of the pattern
  mkdirSync(directory);
  const at = await sourcePosition();
  const login = ['-h', lab.address, '-P', String(ports.source), '-u', 'lab', '-p', lab.secret('lab')];
  await run('mydumper', [...login, '-B', 'shop', '-o', folder, '-c', '--trx-consistency-only']);
  await using target = watch(directory, { tool: 'mydumper' });
  const measured = await settled(target, (m) => m.state('backup_verified', full) === 'verified');
  assert.equal(measured.state('backup_state', full), 'ok');
  assert.equal(measured.value('backup_tables', full), 1);
  assert.equal(measured.value('backup_compression_ok', full), 1);
  assert.equal(measured.value('backup_binlog_position_bytes', full), at.position);
  assert.equal(measured.value('backup_binlog_position_info', { file: at.file, gtid: at.gtid }), 1);
  const data = readdirSync(folder).find((name) => /^shop\.orders\.(\d+\.)?sql\.gz$/.test(name)) ?? '';
  spoil(join(folder, data), (content) => content.subarray(0, -9));
  assert.equal((await judge(folder, 'mydumper')).class, 'truncated');
  rmSync(join(folder, 'metadata'));
  writeFileSync(join(folder, 'metadata.partial'), 'Started dump at: 2026-11-21 18:18:17\n');
  assert.equal((await judge(folder, 'mydumper')).class, 'not_finished');
});

test('mariadb-backup: full, incremental and as a stream, with LSN and coordinates; cut off and damaged', async () => {
  const directory = join(lab.dir, 'physical');
  mkdirSync(directory);
  const [fullFolder, incremental, stream] = ['full', 'incremental', 'stream.xb'].map((name) => join(directory, name));
  assert.ok(fullFolder !== undefined && incremental !== undefined && stream !== undefined);
  const login = [`--defaults-extra-file=${optionsFile()}`, '--backup', `--datadir=${await dataFolder()}`];
  const at = await sourcePosition();
  await run('mariadb-backup', [...login, `--target-dir=${fullFolder}`]);
  await run('mariadb-backup', [...login, `--target-dir=${incremental}`, `--incremental-basedir=${fullFolder}`]);
  const said = await run('mariadb-backup', [...login, '--stream=xbstream'], stream);
  const [first, second, streamed] = await Promise.all([fullFolder, incremental, stream].map((path) => judge(path, 'xtrabackup'))); // prettier-ignore
  for (const verdict of [first, second, streamed]) assert.equal(verdict?.class, 'complete', verdict?.why);
  assert.deepEqual(first?.told.coordinates?.position, { file: at.file, position: at.position });
  assert.equal(streamed?.told.coordinates?.gtid, at.gtid);
  assert.deepEqual([first.told.type, second?.told.type], ['full', 'incremental']);
  assert.equal(second?.told.lsn?.from, first.told.lsn?.to);
  writeFileSync(`${stream}.log`, said);
  assert.equal((await judge(stream, 'xtrabackup')).class, 'complete');
  spoil(stream, flip);
  assert.equal((await judge(stream, 'xtrabackup')).class, 'corrupt');
  spoil(stream, (content) => content.subarray(0, content.length >> 2));
  assert.equal((await judge(stream, 'xtrabackup')).class, 'truncated');
  rmSync(join(fullFolder, 'xtrabackup_info'));
  assert.equal((await judge(fullFolder, 'xtrabackup')).class, 'not_finished');
});

async function dataFolder(): Promise<string> {
  const [row] = await lab.sql('source', 'SELECT @@datadir AS path');
  return String(row?.['path']);
}

test('binary logs of the server: one that it has ended, and the one that it writes', async () => {
  const { file } = await sourcePosition();
  await lab.sql('source', 'FLUSH BINARY LOGS');
  const { file: current } = await sourcePosition();
  const ended = join(await dataFolder(), file);
  const { class: found, told } = await judge(ended, 'binlog');
  assert.equal(found, 'complete');
  assert.match(told.serverVersion ?? '', /MariaDB/);
  assert.equal((await judge(join(await dataFolder(), current), 'binlog')).class, 'not_finished');
  const copy = join(lab.dir, 'binlog-copy');
  writeFileSync(copy, flip(readFileSync(ended)));
  assert.equal((await judge(copy, 'binlog')).class, 'corrupt');
});

test('Redis: RDB and append-only files of a real server, whole and cut off', async () => {
  const data = join(lab.dir, 'redis');
  const copy = join(lab.dir, 'redis-copy');
  await withRedis(lab, 'redis', async (redis) => {
    for (let i = 0; i < 200; i++) await redis.set(`backup:${String(i)}`, 'x'.repeat(i * 10));
    await redis.save();
    await redis.config('SET', 'appendonly', 'yes');
    await waitFor(
      async () => /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await redis.info('persistence')),
      { what: 'the append-only file' },
    );
    await redis.set('backup:after', 'x');
    await redis.config('SET', 'appendonly', 'no'); // which writes all that is pending
    cpSync(join(data, 'appendonlydir'), copy, { recursive: true });
  });
  const rdb = join(lab.dir, 'copy.rdb');
  writeFileSync(rdb, readFileSync(join(data, 'dump.rdb')));
  const { class: found, told } = await judge(rdb, 'rdb');
  assert.deepEqual([found, told.tool], ['complete', 'redis']);
  // In the check sum: elsewhere it may be in a length, which makes the file look cut off.
  spoil(rdb, (content) => Buffer.concat([content.subarray(0, -1), Buffer.of((content.at(-1) ?? 0) ^ 1)]));
  assert.equal((await judge(rdb, 'rdb')).class, 'corrupt');
  // Where the byte before the last eight is 0xff by chance (a long repetition in LZF has one), a file that was cut off
  // is told corrupt: the cut is made at another place.
  spoil(rdb, (content) => {
    let end = content.length - 100;
    while (content[end - 9] === 0xff) end--;
    return content.subarray(0, end);
  });
  assert.equal((await judge(rdb, 'rdb')).class, 'truncated');
  assert.equal((await judge(copy, 'aof')).class, 'complete');
  const added = readdirSync(copy).find((name) => name.endsWith('.incr.aof')) ?? '';
  spoil(join(copy, added), (content) => content.subarray(0, -3));
  assert.equal((await judge(copy, 'aof')).class, 'truncated');
});
