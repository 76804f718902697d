// Every format, whole and spoilt in each way that is known: seen as what it is. Recorded folders are written by hand from
// what the tools were seen to write (mydumper 0.10, mariadb-backup 10.11, Redis 7.0) and from mydumper's documentation.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { constants, crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import type { BackupTool } from '../../../exporter/systems/backup/address.ts';
import { Crc64 } from '../../../exporter/systems/backup/facts-crc64.ts';
import { Counter } from '../../../exporter/systems/backup/facts-format.ts';
import { coordinatesIn } from '../../../exporter/systems/backup/facts-format-mysqldump.ts';
import { toldByMetadata } from '../../../exporter/systems/backup/facts-format-mydumper.ts';
import { judgeBackup } from '../../../exporter/systems/backup/facts-judge.ts';
import { rungOf, stateOf, type Reading, type Verdict, type VerdictClass } from '../../../exporter/systems/backup/facts-verdict.ts'; // prettier-ignore

const reading: Reading = { signal: new AbortController().signal, clock: systemClock, isUrgent: true };

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-formats-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

type Files = Readonly<Record<string, string | Buffer>>;

function write(dir: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
}

async function judged(t: TestContext, content: string | Buffer, tool: BackupTool, name = 'a'): Promise<Verdict> {
  const path = join(folder(t), name);
  writeFileSync(path, content);
  return await judgeBackup(path, tool, reading);
}

async function judgedFolder(t: TestContext, files: Files, tool: BackupTool): Promise<Verdict> {
  const dir = folder(t);
  write(dir, files);
  return await judgeBackup(dir, tool, reading);
}

const dump = `-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB\n${"INSERT INTO `orders` VALUES (1,'x');\n".repeat(20_000)}-- Dump completed on 2026-11-21 12:25:31\n`;
const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  const i = at < 0 ? copy.length + at : at;
  copy.writeUInt8(copy.readUInt8(i) ^ 0x10, i);
  return copy;
};
const summed = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const zstd = (text: string): Buffer => zstdCompressSync(Buffer.from(text), summed);
/** Of more than one chunk as stored: what is read in pieces must be judged as what is read at once. */
const noise = Array.from({ length: 12_000 }, (_, i) => createHash('sha256').update(String(i)).digest('hex')).join('\n');
const long = dump.replace('-- Dump completed', `${noise}\n-- Dump completed`);
const [half, rest] = [dump.slice(0, dump.length / 2), dump.slice(dump.length / 2)];
const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('abc')]);

const compressed: readonly (readonly [string, Buffer, VerdictClass])[] = [
  ['zstd, complete', zstd(dump), 'complete'],
  ['zstd without check sum', zstdCompressSync(Buffer.from(dump)), 'complete'],
  ['zstd of several chunks', zstd(long), 'complete'],
  ['zstd in two frames', Buffer.concat([zstd(half), zstd(rest)]), 'complete'],
  ['zstd with a frame to skip', Buffer.concat([skippable, zstd(half), skippable, zstd(rest)]), 'complete'],
  ['zstd in two frames, the second cut off', Buffer.concat([zstd(half), zstd(rest).subarray(0, -9)]), 'truncated'],
  ['zstd, the second frame cut off in its magic number', Buffer.concat([zstd(dump), zstd(rest).subarray(0, 2)]), 'truncated'],
  ['zstd, cut off', zstd(long).subarray(0, -3), 'truncated'],
  ['zstd, cut off in the first chunk', zstd(long).subarray(0, 1_000), 'truncated'],
  ['zstd, a bit flipped', flipped(zstd(long), 300_000), 'corrupt'],
  ['zstd, a bit of its check sum flipped', flipped(zstd(dump), -2), 'corrupt'],
  ['zstd, something behind it', Buffer.concat([zstd(dump), Buffer.from('garbage')]), 'corrupt'],
  ['zstd, something behind it in a later chunk', Buffer.concat([zstd(long), Buffer.from('garbage'.repeat(60_000))]), 'corrupt'],
  ['zstd, zeros behind it', Buffer.concat([zstd(long), Buffer.alloc(600_000)]), 'complete'],
  ['zstd of nothing', zstd(''), 'empty'],
  ['gzip of several chunks', gzipSync(long), 'complete'],
  ['gzip, zeros behind it', Buffer.concat([gzipSync(dump), Buffer.alloc(512)]), 'complete'],
  ['gzip, zeros behind it in a later chunk', Buffer.concat([gzipSync(long), Buffer.alloc(600_000)]), 'complete'],
  ['gzip, something behind it', Buffer.concat([gzipSync(dump), Buffer.from('garbage')]), 'corrupt'],
  ['gzip, something behind zeros', Buffer.concat([gzipSync(long), Buffer.alloc(600_000), Buffer.from('x')]), 'corrupt'],
  ['gzip in two members, the second cut off', Buffer.concat([gzipSync(half), gzipSync(rest).subarray(0, -9)]), 'truncated'],
  ['gzip, a bit flipped', flipped(gzipSync(long), 300_000), 'corrupt'],
  ['gzip, cut off within', gzipSync(long).subarray(0, 400_000), 'truncated'],
  ['encrypted by openssl', Buffer.concat([Buffer.from('Salted__'), Buffer.from(noise)]), 'encrypted'],
  ['encrypted by PGP, in text', Buffer.from(`-----BEGIN PGP MESSAGE-----\n\n${noise}`), 'encrypted'],
  ['encrypted by age', Buffer.from(`age-encryption.org/v1\n${noise}`), 'encrypted'],
  ['xz', Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), Buffer.from(noise)]), 'unreadable'],
  ['unknown', Buffer.from(noise), 'not_a_dump'],
]; // prettier-ignore
for (const [what, content, expected] of compressed) {
  test(`compression: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, content, 'mysqldump');
    assert.equal(verdict.class, expected, verdict.why);
  });
}

test('zstd without check sums says so', async (t) => {
  const why = async (content: Buffer): Promise<string | undefined> =>
    rungOf(await judged(t, content, 'mysqldump'), 'compression')?.why;
  assert.match((await why(zstdCompressSync(Buffer.from(dump)))) ?? '', /without check sums/);
  assert.equal(await why(zstd(dump)), 'zstd, sound to its end');
});

test('an encrypted file is known by its name too; it is neither good nor bad', async (t) => {
  const verdict = await judged(t, noise, 'mysqldump', 'a.sql.gz.gpg');
  assert.deepEqual([verdict.class, stateOf(verdict)], ['encrypted', 'unverifiable']);
});

test('check sum files: right, wrong, of a list, of an encrypted backup, without a sum', async (t) => {
  const hex = (of: string, bytes: Buffer): string => createHash(of).update(bytes).digest('hex');
  const dir = folder(t);
  const path = join(dir, 'a.sql.gz');
  const content = gzipSync(long);
  writeFileSync(path, content);
  const look = async (): Promise<readonly unknown[]> => {
    const verdict = await judgeBackup(path, 'mysqldump', reading);
    return [verdict.class, rungOf(verdict, 'checksum')?.ok];
  };
  assert.deepEqual(await look(), ['complete', undefined]);
  writeFileSync(`${path}.sha256`, `${hex('sha256', content)}  a.sql.gz\n`);
  assert.deepEqual(await look(), ['complete', true]);
  writeFileSync(`${path}.sha256`, `${'0'.repeat(64)}  b.sql.gz\n${hex('sha256', content).toUpperCase()} *./a.sql.gz\n`);
  assert.deepEqual(await look(), ['complete', true]);
  writeFileSync(`${path}.sha256`, 'not yet\n');
  assert.deepEqual(await look(), ['checksum', false]);
  rmSync(`${path}.sha256`);
  writeFileSync(`${path}.md5`, `${hex('md5', flipped(content, 9))}  a.sql.gz\n`);
  assert.deepEqual(await look(), ['checksum', false]);
  const sealed = Buffer.from(`Salted__${noise}`);
  writeFileSync(path, sealed);
  writeFileSync(`${path}.md5`, hex('md5', sealed));
  assert.deepEqual(await look(), ['encrypted', true]);
  writeFileSync(path, flipped(sealed, 300_000));
  assert.deepEqual(await look(), ['checksum', false]);
});

test('a file that is written while it is read has no verdict', async (t) => {
  const path = join(folder(t), 'a.sql');
  writeFileSync(path, dump);
  let calls = 0;
  const clock = {
    wallMs: () => 0,
    monoMs: (): number => {
      calls += 1;
      if (calls === 3) appendFileSync(path, 'more'); // the first is before the file is opened
      return performance.now();
    },
  };
  await assert.rejects(judgeBackup(path, 'mysqldump', { ...reading, clock }), /changed while it was read/);
});

test('the rate is kept, and the signal ends the reading', async (t) => {
  const path = join(folder(t), 'a.sql');
  writeFileSync(path, dump);
  const beganMs = performance.now();
  await judgeBackup(path, 'mysqldump', { ...reading, bytesPerSecond: dump.length * 5 });
  assert.ok(performance.now() - beganMs > 150, 'a fifth of a second, but for the last chunk');
  const slow = { ...reading, bytesPerSecond: 1_000, signal: AbortSignal.timeout(100) };
  await assert.rejects(judgeBackup(path, 'mysqldump', slow));
});

test('dumps: header, character set, tables', async (t) => {
  const header = `-- MySQL dump 10.13  Distrib 8.4.3, for Linux (x86_64)\n--\n-- Host: localhost    Database: shop\n-- ------\n-- Server version\t8.4.3\n\n/*!50503 SET NAMES utf8mb4 */;\n`;
  const table =
    "\n-- Table structure for table `a`\nCREATE TABLE `a` (\n  `id` int\n);\nINSERT INTO `a` VALUES ('-- Table structure for table `');\n";
  const { told, class: found } = await judged(
    t,
    header + table.repeat(9_000) + '-- Dump completed on 2026-11-21  1:02:03\n',
    'mysqldump',
  );
  assert.equal(found, 'complete');
  assert.deepEqual(
    [told.tool, told.toolVersion, told.serverVersion, told.characterSet, told.tables],
    ['mysqldump', '8.4.3', '8.4.3', 'utf8mb4', 9_000],
  );
});

test('what is counted is found over the edges of chunks', () => {
  const text = Buffer.from('ab\nCREATE TABLE `cd\nCREATE TABLE `'.repeat(7));
  for (const size of [1, 2, 3, 7, 13, 14, 15, 16, 40]) {
    const counter = new Counter('\nCREATE TABLE `');
    for (let i = 0; i < text.length; i += size) counter.push(Buffer.from(text.subarray(i, i + size)));
    assert.equal(counter.count, 14, String(size));
  }
});

test('coordinates in dumps, as each server writes them', () => {
  const at = (head: string, tail = ''): unknown => {
    const { position, gtid, of } = coordinatesIn(head, tail) ?? {};
    return [position?.file, position?.position, gtid, of];
  };
  assert.equal(coordinatesIn('-- nothing\n', 'nothing\n'), undefined);
  assert.deepEqual(at("-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=70218;\n"), ['bin.000001', 70218, undefined, 'server']); // prettier-ignore
  assert.deepEqual(at("CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='b.000002', SOURCE_LOG_POS=157;\n"), ['b.000002', 157, undefined, 'server']); // prettier-ignore
  assert.deepEqual(
    at("-- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;\n-- CHANGE MASTER TO MASTER_LOG_FILE='b.1', MASTER_LOG_POS=4;\n", "x\n-- SET GLOBAL gtid_slave_pos='3-1-4,0-2-9';\n"), // prettier-ignore
    ['b.1', 4, '3-1-4,0-2-9', 'server'],
  );
  assert.deepEqual(
    at("SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '7b166a41-65a2-11ed-9de3-0800275ff74d:1-5,\n8b166a41-65a2-11ed-9de3-0800275ff74d:1-7';\n"), // prettier-ignore
    [undefined, undefined, '7b166a41-65a2-11ed-9de3-0800275ff74d:1-5,8b166a41-65a2-11ed-9de3-0800275ff74d:1-7', 'server'], // prettier-ignore
  );
  assert.deepEqual(
    at("-- The following is the SQL position of the replication taken from SHOW SLAVE STATUS at the time of backup.\n-- CHANGE MASTER 'a' TO \nMASTER_HOST='h', MASTER_LOG_FILE='b.7', MASTER_LOG_POS=8;\n"), // prettier-ignore
    ['b.7', 8, undefined, 'its_source'],
  );
});

const oldMetadata =
  'Started dump at: 2026-11-21 18:18:17\nSHOW MASTER STATUS:\n\tLog: bin.000001\n\tPos: 70218\n\tGTID:3-1-4\n\nFinished dump at: 2026-11-21 18:18:47\n';
const newMetadata =
  "# Started dump at: 2023-06-09 11:47:18\n[master]\n# Channel_Name = '' # It can be use to setup replication FOR CHANNEL\nFile = a-bin.000017\nPosition = 241149225\nExecuted_Gtid_Set = 7b166a41-65a2-11ed-9de3-0800275ff74d:1-9\n\n[`shop`.`orders`]\nRows = 2\ndata_checksum = 3119812626\n\n[`shop`.`empty`]\nRows = 0\n\n[`shop`]\nschema_checksum = FDF2173B\n# Finished dump at: 2023-06-09 11:47:28\n";

test('metadata of mydumper: old, newer, newest; without binary log', () => {
  const at = (metadata: string): unknown => {
    const { coordinates, startedAtMs = 0, finishedAtMs = 0 } = toldByMetadata(metadata);
    return [coordinates?.position, coordinates?.gtid, finishedAtMs - startedAtMs];
  };
  assert.deepEqual(at(oldMetadata), [{ file: 'bin.000001', position: 70218 }, '3-1-4', 30_000]);
  const set = '7b166a41-65a2-11ed-9de3-0800275ff74d:1-9';
  assert.deepEqual(at(newMetadata), [{ file: 'a-bin.000017', position: 241149225 }, set, 10_000]);
  const newest = newMetadata
    .replace('[master]', '[source]')
    .replace('File = a-bin.000017', 'SOURCE_LOG_FILE = "a-bin.000017"')
    .replace('Position =', 'SOURCE_LOG_POS =')
    .replace(`Executed_Gtid_Set = ${set}`, `executed_gtid_set = "${set}"`);
  assert.deepEqual(at(newest), [{ file: 'a-bin.000017', position: 241149225 }, set, 10_000]);
  assert.deepEqual(at('Started dump at: 2026-11-21 18:18:17\nFinished dump at: 2026-11-21 18:18:47\n'), [undefined, undefined, 30_000]); // prettier-ignore
});

const md = {
  metadata: oldMetadata,
  'shop-schema-create.sql.gz': gzipSync('CREATE DATABASE `shop`;\n'),
  'shop.empty-schema.sql.gz': gzipSync('CREATE TABLE `empty` (`id` int);\n'),
  'shop.orders-schema.sql.gz': gzipSync('CREATE TABLE `orders` (`id` int);\n'),
  'shop.orders.00000.sql.gz': gzipSync('INSERT INTO `orders` VALUES\n(1),\n(2);\n'),
  'shop.orders.00001.sql.gz': gzipSync('INSERT INTO `orders` VALUES\n(3),\n(4);\n'),
};
const { metadata: _, ...withoutMetadata } = md;
const { 'shop.orders-schema.sql.gz': __, ...withoutSchema } = md;
const { 'shop.orders.00000.sql.gz': ___, 'shop.orders.00001.sql.gz': ____, ...withoutData } = md;
const mydumper: readonly (readonly [string, Files, VerdictClass])[] = [
  ['complete', md, 'complete'],
  ['complete, by a newer one', { ...md, metadata: newMetadata }, 'complete'],
  ['still running', { ...withoutMetadata, 'metadata.partial': 'Started dump at: 2026-11-21 18:18:17\n' }, 'not_finished'],
  ['metadata without an end', { ...md, metadata: 'Started dump at: 2026-11-21 18:18:17\n' }, 'not_finished'],
  ['no metadata', withoutMetadata, 'not_a_dump'],
  ['data without schema', withoutSchema, 'parts_missing'],
  ['rows that are not there', { ...withoutData, metadata: newMetadata }, 'parts_missing'],
  ['a part cut off in its compression', { ...md, 'shop.orders.00001.sql.gz': md['shop.orders.00001.sql.gz'].subarray(0, -4) }, 'truncated'],
  ['a part cut off before its compression', { ...md, 'shop.orders.00001.sql.gz': gzipSync('INSERT INTO `orders` VALUES\n(3),\n(4') }, 'truncated'],
  ['a bit of a part flipped', { ...md, 'shop.orders.00001.sql.gz': flipped(md['shop.orders.00001.sql.gz'], -6) }, 'corrupt'],
  ['an empty folder', {}, 'empty'],
]; // prettier-ignore
for (const [what, files, expected] of mydumper) {
  test(`mydumper: ${what}: ${expected}`, async (t) => {
    const verdict = await judgedFolder(t, files, 'mydumper');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected === 'complete') assert.equal(verdict.told.tables, 2);
  });
}

const info =
  "tool_name = mariadb-backup\ntool_version = 10.11.19-MariaDB\nserver_version = 10.11.19-MariaDB-log\nstart_time = 2026-11-21 18:18:18\nend_time = 2026-11-21 18:18:19\nbinlog_pos = filename 'bin.000001', position '70218', GTID of the last change '3-1-4'\ninnodb_from_lsn = 0\ninnodb_to_lsn = 44894\n";
const xb = {
  ibdata1: Buffer.alloc(16_384),
  ib_logfile0: Buffer.alloc(1_000),
  'backup-my.cnf': '[mysqld]\n',
  'shop/orders.ibd': Buffer.alloc(32_768),
  xtrabackup_info: info,
  xtrabackup_binlog_info: 'bin.000001\t70218\t3-1-4\n',
  xtrabackup_checkpoints: 'backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 44894\nlast_lsn = 381130\n',
};
const { xtrabackup_info: _i, ...withoutInfo } = xb;
const { ibdata1: _d, ...withoutSystem } = xb;
const { ib_logfile0: _l, ...withoutLog } = xb;
const xtrabackup: readonly (readonly [string, Files, VerdictClass])[] = [
  ['complete', xb, 'complete'],
  ['complete, with its output', { ...xb, 'backup.log': 'a\n[00] 2026-11-21 18:18:20 completed OK!\n' }, 'complete'],
  ['its output says that it failed', { ...xb, 'backup.log': 'a\n[00] FATAL ERROR: 2026-11-21 no space left\n' }, 'not_finished'],
  ['as MariaDB 11 calls it', { ...withoutInfo, mariadb_backup_info: info }, 'complete'],
  ['killed', withoutInfo, 'not_finished'],
  ['no end in its info', { ...xb, xtrabackup_info: info.replace(/end_time.*\n/, '') }, 'not_finished'],
  ['no system tablespace', withoutSystem, 'parts_missing'],
  ['no redo log', withoutLog, 'parts_missing'],
  ['a table cut off', { ...xb, 'shop/orders.ibd': Buffer.alloc(32_000) }, 'truncated'],
  ['a table without content', { ...xb, 'shop/orders.ibd': '' }, 'truncated'],
  ['pages of a table without what describes them', { ...xb, 'shop/a.ibd.delta': Buffer.alloc(16) }, 'parts_missing'],
  ['a folder of something else', { 'a.txt': 'x' }, 'not_a_dump'],
]; // prettier-ignore
for (const [what, files, expected] of xtrabackup) {
  test(`xtrabackup: ${what}: ${expected}`, async (t) => {
    const verdict = await judgedFolder(t, files, 'xtrabackup');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected !== 'complete') return;
    const { coordinates, lsn, type } = verdict.told;
    assert.deepEqual([coordinates?.position, coordinates?.gtid], [{ file: 'bin.000001', position: 70218 }, '3-1-4']);
    assert.deepEqual([lsn, type], [{ from: 0, to: 44894 }, 'full']);
  });
}

function chunk(type: string, path: string, payload?: Buffer): Buffer {
  const head = Buffer.alloc(14);
  head.write(`XBSTCK01\0${type}`, 0, 'latin1');
  head.writeUInt32LE(path.length, 10);
  if (payload === undefined) return Buffer.concat([head, Buffer.from(path)]);
  const sizes = Buffer.alloc(20);
  sizes.writeBigUInt64LE(BigInt(payload.length), 0);
  sizes.writeUInt32LE(crc32(payload), 16);
  return Buffer.concat([head, Buffer.from(path), sizes, payload]);
}
const page = chunk('P', 'shop/orders.ibd', Buffer.alloc(400_000, 'page'));
const stream = Buffer.concat([
  chunk('P', 'xtrabackup_checkpoints', Buffer.from(xb.xtrabackup_checkpoints)),
  page,
  chunk('E', 'xtrabackup_checkpoints'),
  page,
  chunk('E', 'shop/orders.ibd'),
  chunk('P', 'xtrabackup_info', Buffer.from(info)),
  chunk('E', 'xtrabackup_info'),
]);
const withoutEnd = stream.subarray(0, -chunk('E', 'xtrabackup_info').length);
const streams: readonly (readonly [string, Buffer, VerdictClass])[] = [
  ['complete', stream, 'complete'],
  ['complete, in zstd', zstdCompressSync(stream), 'complete'],
  ['cut off within a chunk', stream.subarray(0, 300_000), 'truncated'],
  ['cut off between chunks', withoutEnd, 'truncated'],
  ['without info', stream.subarray(0, stream.indexOf(chunk('P', 'xtrabackup_info').subarray(8))  - 8), 'not_finished'],
  ['a bit flipped', flipped(stream, 500_000), 'corrupt'],
  ['something between chunks', Buffer.concat([page, Buffer.from('garbage'.repeat(5)), stream]), 'corrupt'],
  ['sparse files', Buffer.concat([stream, chunk('S', 'a')]), 'unreadable'],
]; // prettier-ignore
for (const [what, content, expected] of streams) {
  test(`xbstream: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, content, 'xtrabackup');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected === 'complete') assert.equal(verdict.told.coordinates?.gtid, '3-1-4');
  });
}

test('CRC-64: the check value of Redis, and zero over data with its own sum', () => {
  const sum = new Crc64();
  sum.push(Buffer.from('123456789'));
  assert.equal(sum.hex, 'e9c6d914c4b8d9ca'); // upstream: src/crc64.c, crc64Test
});

/** Seen on Redis 7.0.15: `SAVE` with six keys. */
const rdb = Buffer.from(
  '524544495330303130fa0972656469732d76657206372e302e3135fa0a72656469732d62697473c040fa056374696d65c29fe0016bfa08757365642d6d656dc268b80e00fa08616f662d62617365c000fe00fb060000026b3202763200026b3302763300026b3102763100056166746572017800026b3502763500026b34027634ffb6439f8516e681f9',
  'hex',
);
const withoutSum = Buffer.concat([rdb.subarray(0, -8), Buffer.alloc(8)]);
const rdbs: readonly (readonly [string, Buffer, VerdictClass])[] = [
  ['complete', rdb, 'complete'],
  ['complete, in gzip', gzipSync(rdb), 'complete'],
  ['complete, without check sum', withoutSum, 'complete'],
  ['cut off', rdb.subarray(0, -20), 'truncated'],
  ['cut off in its check sum', rdb.subarray(0, -3), 'truncated'],
  ['a bit flipped', flipped(rdb, 110), 'corrupt'],
  ['something behind it', Buffer.concat([rdb, Buffer.from('x')]), 'truncated'],
  ['a dump of mysqldump', Buffer.from(dump), 'not_a_dump'],
  ['empty', Buffer.alloc(0), 'empty'],
];
for (const [what, content, expected] of rdbs) {
  test(`rdb: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, content, 'rdb');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected !== 'complete') return;
    assert.deepEqual([verdict.told.tool, verdict.told.serverVersion], ['redis', '7.0.15']);
    assert.equal(verdict.told.startedAtMs, 0x6b01e09f * 1_000);
  });
}

const resp = (...words: string[]): string =>
  `*${String(words.length)}\r\n${words.map((word) => `$${String(Buffer.byteLength(word))}\r\n${word}\r\n`).join('')}`;
const commands = `${resp('SELECT', '0')}#TS:1763700000\r\n${resp('set', 'k', '*3\r\n$5'.repeat(9))}${resp('MULTI')}${resp('set', 'ä', '')}${resp('EXEC')}`;
const aofs: readonly (readonly [string, string, VerdictClass])[] = [
  ['complete', commands, 'complete'],
  ['complete, of several chunks', commands + resp('set', 'k', 'x'.repeat(700_000)) + commands, 'complete'],
  ['cut off in a value', commands.slice(0, -4), 'truncated'],
  ['cut off in a length', `${commands}*3\r\n$`, 'truncated'],
  ['cut off in a transaction', commands.slice(0, -resp('EXEC').length), 'truncated'],
  ['garbage in the middle', `${commands}garbage\r\n${commands}`, 'corrupt'],
  ['zeros at the end (a server that lost power)', `${commands}${'\0'.repeat(5_000)}`, 'corrupt'],
];
for (const [what, content, expected] of aofs) {
  test(`aof: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, content, 'aof');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected === 'complete') assert.equal(verdict.told.finishedAtMs, 1_763_700_000_000);
  });
}

test('aof: an RDB before the commands in one file (Redis before 7) is not read', async (t) => {
  assert.equal((await judged(t, Buffer.concat([rdb, Buffer.from(commands)]), 'aof')).class, 'unreadable');
});

const manifest =
  'file a.aof.2.base.rdb seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\nfile a.aof.2.incr.aof seq 2 type i\n';
const aof = { 'a.aof.manifest': manifest, 'a.aof.2.base.rdb': rdb, 'a.aof.2.incr.aof': commands };
const aofFolders: readonly (readonly [string, Files, VerdictClass])[] = [
  ['complete', aof, 'complete'],
  ['nothing added yet', { ...aof, 'a.aof.2.incr.aof': '' }, 'complete'],
  ['half a command at the end', { ...aof, 'a.aof.2.incr.aof': commands.slice(0, -1) }, 'truncated'],
  ['a base that is cut off', { ...aof, 'a.aof.2.base.rdb': rdb.subarray(0, -1) }, 'truncated'],
  ['an empty base', { ...aof, 'a.aof.2.base.rdb': '' }, 'empty'],
  ['no base', { 'a.aof.manifest': manifest, 'a.aof.2.incr.aof': commands }, 'parts_missing'],
  ['a manifest that is damaged', { ...aof, 'a.aof.manifest': manifest.slice(0, 20) }, 'corrupt'],
];
for (const [what, files, expected] of aofFolders) {
  test(`append-only folder: ${what}: ${expected}`, async (t) => {
    const verdict = await judgedFolder(t, files, 'aof');
    assert.equal(verdict.class, expected, verdict.why);
  });
}

function event(type: number, body: Buffer, at = 1_763_700_000): Buffer {
  const bytes = Buffer.alloc(19 + body.length + 4);
  bytes.writeUInt32LE(at, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32LE(bytes.length, 9);
  body.copy(bytes, 19);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}
const description = Buffer.alloc(100);
description.write('10.11.19-MariaDB-log', 2);
description.writeUInt8(1, 99); // CRC-32
const described = event(15, description);
const binlog = Buffer.concat([
  Buffer.from('\xfebin', 'latin1'),
  described,
  event(2, Buffer.alloc(300_000, 'q'), 1_763_700_500),
  event(4, Buffer.from('bin.000002'), 1_763_700_900),
]);
const inUse = Buffer.from(binlog);
inUse.writeUInt16LE(1, 4 + 17);
const binlogs: readonly (readonly [string, Buffer, VerdictClass])[] = [
  ['complete', binlog, 'complete'],
  ['complete, in zstd', zstdCompressSync(binlog), 'complete'],
  ['copied while it was written', inUse.subarray(0, -event(4, Buffer.from('bin.000002')).length), 'not_finished'],
  ['the flag of use is not in the check sum', inUse, 'complete'],
  ['cut off in an event', binlog.subarray(0, 200_000), 'truncated'],
  ['cut off in a header', binlog.subarray(0, 4 + described.length + 7), 'truncated'],
  ['a bit flipped', flipped(binlog, 150_000), 'corrupt'],
  ['a bit of a length flipped', flipped(binlog, 4 + described.length + 10), 'corrupt'],
  ['encrypted by MySQL', Buffer.concat([Buffer.from('\xfdbin', 'latin1'), binlog]), 'encrypted'],
  ['encrypted by MariaDB', Buffer.concat([binlog.subarray(0, 4), described, event(164, Buffer.alloc(17)), Buffer.from(noise)]), 'encrypted'],
]; // prettier-ignore
for (const [what, content, expected] of binlogs) {
  test(`binary log: ${what}: ${expected}`, async (t) => {
    const verdict = await judged(t, content, 'binlog');
    assert.equal(verdict.class, expected, verdict.why);
    if (expected !== 'complete') return;
    const { serverVersion, startedAtMs, finishedAtMs } = verdict.told;
    assert.deepEqual([serverVersion, startedAtMs, finishedAtMs], ['10.11.19-MariaDB-log', 1_763_700_000_000, 1_763_700_900_000]); // prettier-ignore
  });
}

test('without a tool the format is found; with one, another is named', async (t) => {
  const path = join(folder(t), 'a');
  for (const [content, tool] of [
    [rdb, 'redis'],
    [binlog, 'binlog'],
    [dump, 'mariadb-dump'],
    [stream, 'mariadb-backup'],
  ] as const) {
    // prettier-ignore
    writeFileSync(path, content);
    const { class: found, told } = await judgeBackup(path, undefined, reading);
    assert.deepEqual([found, told.tool], ['complete', tool]);
  }
  assert.match((await judgeBackup(path, 'mysqldump', reading)).why, /a stream of xtrabackup, and not a dump/);
});
