// What a test restore is compared with, when one is due, and what is kept of it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isDue, loadRecord, saveRecord } from '../../../exporter/systems/backup/background-restore.ts';
import { startScratchServer } from '../../../exporter/systems/backup/background-restore-server.ts';
import {
  compareRestored,
  DumpTables,
  RestoreFault,
  type GoodRestore,
  type Restored,
  type RestoreRecord,
} from '../../../exporter/systems/backup/facts-restore.ts';
import type { RestoreReason } from '../../../exporter/systems/backup/families-restore.ts';
import { backup } from '../../../exporter/systems/backup/index.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-restore-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

const good: GoodRestore = {
  beganAtMs: 1_700_000_000_000,
  backup: 'a',
  backupAtMs: 1_699_999_000_000,
  serverVersion: 'v1',
  durationSeconds: 12,
  tables: 1,
  rows: 100,
  contents: { 'shop.orders': { rows: 100, checksum: '7' } },
};

function restored(more: Partial<Restored> & { rows?: number; checksum?: string } = {}): Restored {
  const { rows = 100, checksum = '7', ...rest } = more;
  return {
    backup: 'b',
    serverVersion: 'v1',
    contents: new Map([['shop.orders', { rows, checksum }]]),
    rows,
    created: ['shop.orders', 'mysql.user'],
    ...rest,
  };
}

const comparisons: readonly [string, Restored, readonly string[], RestoreReason | number | undefined][] = [
  ['as before', restored(), [], 1],
  ['more rows', restored({ rows: 150 }), [], 1.5],
  ['half of the rows', restored({ rows: 50 }), [], 0.5],
  ['fewer than half', restored({ rows: 49 }), [], 'rows_dropped'],
  ['the same backup, other contents', restored({ backup: 'a', checksum: '8' }), [], 'checksum_differs'],
  [
    'the same backup, other contents, another server',
    restored({ backup: 'a', checksum: '8', serverVersion: 'v2' }),
    [],
    1,
  ],
  ['the same backup', restored({ backup: 'a' }), [], 1],
  ['a table of the dump is missing', restored({ created: ['shop.orders', 'shop.users'] }), [], 'tables_missing'],
  ['an expected table is missing', restored(), ['shop.users'], 'tables_missing'],
  ['expected tables are there', restored(), ['shop.orders'], 1],
];
for (const [what, its, tables, expected] of comparisons) {
  test(`compared: ${what}: ${String(expected)}`, () => {
    const compare = (): number | undefined => compareRestored(its, good, { tables, rowsAtLeast: 0.5 });
    if (typeof expected === 'string') assert.throws(compare, (e) => e instanceof RestoreFault && e.reason === expected);
    else assert.equal(compare(), expected);
  });
}

test('compared: with nothing before, and with none of rows before', () => {
  const expected = { tables: [], rowsAtLeast: 0.5 };
  assert.equal(compareRestored(restored(), undefined, expected), undefined);
  assert.equal(compareRestored(restored(), { ...good, rows: 0 }, expected), undefined);
});

test('tables of a dump: by lines, over the edges of chunks of any size', () => {
  const text = [
    '-- MariaDB dump 10.19',
    'CREATE TABLE `first` (',
    'CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;',
    'USE `shop`;',
    'CREATE TABLE `orders` (',
    '  `note` text',
    ') ENGINE=InnoDB;',
    `INSERT INTO \`orders\` VALUES (1,'CREATE TABLE \`no\` ('),(2,'${'x'.repeat(9000)}\\nCREATE TABLE \`neither\` (');`,
    '/*!50001 CREATE TABLE `a_view` (',
    'DELIMITER ;;',
    'CREATE DEFINER=`root`@`%` PROCEDURE `p`() BEGIN',
    'CREATE TABLE `of_a_routine` (i int);',
    'END ;;',
    'DELIMITER ;',
    'USE `we``ird`;',
    'CREATE TABLE IF NOT EXISTS `bücher` (',
    '-- Dump completed',
  ].join('\n');
  const bytes = Buffer.from(`${text}\n`);
  for (const size of [1, 2, 7, 100, 4096, 65_536]) {
    const tables = new DumpTables();
    for (let at = 0; at < bytes.length; at += size) tables.push(bytes.subarray(at, at + size));
    assert.deepEqual(tables.created, ['pipemedic_restore_1.first', 'shop.orders', 'we`ird.bücher'], String(size));
  }
});

test('due: at first, after the interval, sooner after one that failed, and not never when the clock was set back', () => {
  const times = { everyMs: 1000, retryAfterMs: 100 };
  const last = (state: 'ok' | 'failed') => ({ beganAtMs: 5000, state, reason: 'none' as const, why: '' });
  assert.equal(isDue(undefined, times, 0), true);
  assert.equal(isDue(last('ok'), times, 5999), false);
  assert.equal(isDue(last('ok'), times, 6000), true);
  assert.equal(isDue(last('failed'), times, 5099), false);
  assert.equal(isDue(last('failed'), times, 5100), true);
  assert.equal(isDue(last('failed'), { everyMs: 50, retryAfterMs: 100 }, 5050), true);
  assert.equal(isDue(last('ok'), times, 4000), true);
});

test('what is kept: read back as it was; damaged, it is complained of and begun anew', async (t) => {
  const path = join(folder(t), 'restore.json');
  const complaints: string[] = [];
  const load = (): Promise<RestoreRecord> => loadRecord(path, (why) => complaints.push(why));
  assert.deepEqual(await load(), { version: 1 });
  assert.deepEqual(complaints, [], 'none is kept yet');
  const record: RestoreRecord = { version: 1, last: { beganAtMs: 1, state: 'failed', reason: 'load', why: 'x' }, good };
  await saveRecord(path, record);
  assert.deepEqual(await load(), record);
  writeFileSync(path, JSON.stringify(record).slice(0, -9));
  assert.deepEqual(await load(), { version: 1 });
  assert.equal(complaints.length, 1);
  await assert.rejects(saveRecord(join(path, 'no-folder'), record));
  assert.deepEqual(readdirSync(join(path, '..')), ['restore.json']);
});

test('a server that is not there: said so, and its folder is gone; so are those of dead exporters, and no other', async (t) => {
  const parent = folder(t);
  writeFileSync(join(parent, 'pipemedic_restore_file'), 'not a folder');
  const [, , , ...fields] = readFileSync('/proc/self/stat', 'latin1').split(/\) |\s/);
  const alive = `${process.pid} ${fields.at(18) ?? ''}`;
  for (const [name, owner] of [
    ['alive', alive],
    ['dead', '999999999 5'],
    ['recycled', `${process.pid} 5`],
    ['unknown', undefined],
  ] as const) {
    mkdirSync(join(parent, `pipemedic_restore_${name}`, 'data'), { recursive: true });
    if (owner !== undefined) writeFileSync(join(parent, `pipemedic_restore_${name}`, 'owner'), owner);
  }
  const none = { server: '/nonexistent/mariadbd', client: '/nonexistent/mariadb', install: '/nonexistent/install' };
  await assert.rejects(
    startScratchServer(none, parent, AbortSignal.timeout(10_000)),
    (e) => e instanceof RestoreFault && e.reason === 'server' && e.message.includes('ENOENT'),
  );
  // those of exporters that are no more, also when their process id is another's now
  const left = ['alive', 'file', 'unknown'].map((name) => `pipemedic_restore_${name}`);
  assert.deepEqual(readdirSync(parent).sort(), left);
});

test('series: unknown until the work beside the sweeps has begun; other tools are not supported', async (t) => {
  const dir = folder(t);
  const state_file = join(dir, 'restore.json');
  const target = (tool: string): WatchedTarget =>
    new WatchedTarget(backup, {
      address: { directory: dir, pattern: '*.sql', tool },
      collectors: { backup_files: false, backup_listing: false, backup_chain: false, restore_test: { scratch_directory: dir, state_file } }, // prettier-ignore
    });
  await using dumps = target('mysqldump');
  assert.equal((await dumps.measure()).state('backup_restore_state'), 'unknown', 'before the background has begun');
  await using other = target('rdb');
  assert.equal((await other.measure()).state('backup_restore_state'), 'unsupported');
});
