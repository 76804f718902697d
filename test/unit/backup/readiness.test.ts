// What the next backup needs: room, inodes, grants with the exact statement that gives them, nobody in its way.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import type { BackupFile } from '../../../exporter/systems/backup/client.ts';
import {
  charsetFinding,
  grantsFinding,
  inodesFinding,
  lockWaitsFinding,
  neededBytes,
  needsOf,
  spaceFinding,
  transactionsFinding,
} from '../../../exporter/systems/backup/facts-readiness.ts';
import { backup } from '../../../exporter/systems/backup/index.ts';
import { grantsOf } from '../../../exporter/systems/mysql/facts-grants.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { WatchedTarget } from '../../support/watched-target.ts';

const room = { freeBytes: 100, freeInodes: 20_000, inodes: 100_000 };
const mysql: Pick<MysqlClient, 'flavour' | 'version'> = { flavour: 'mysql', version: [8, 4, 3] };
const mariadb: Pick<MysqlClient, 'flavour' | 'version'> = {
  flavour: 'mariadb',
  version: [10, 11, 6],
};

function files(...sizes: readonly number[]): readonly BackupFile[] {
  return sizes.map((sizeBytes, i) => ({ path: `/b/${i}`, name: String(i), type: 'full', isFolder: false, sizeBytes, modifiedAtMs: -i, createdAtMs: undefined, inode: String(i) })); // prettier-ignore
}

test('space: the largest of the last three full ones with a margin; unknown without any', () => {
  assert.equal(neededBytes(files(10, 60, 20, 1000), 1.5), 90);
  assert.equal(neededBytes([], 1.5), undefined);
  assert.equal(neededBytes(files(10), 1.5, 'binlog'), undefined);
  assert.equal(spaceFinding(room, 100).state, 'ready');
  assert.equal(spaceFinding(room, 101).state, 'not_ready');
  assert.equal(spaceFinding(room, undefined).state, 'unknown');
});

test('inodes: few, many, and a file system without', () => {
  assert.equal(inodesFinding(room).state, 'ready');
  assert.equal(inodesFinding({ ...room, freeInodes: 999 }).state, 'not_ready');
  assert.equal(inodesFinding({ ...room, freeInodes: 0, inodes: 0 }).state, 'ready');
});

const account = 'backup@%';
const grant = (text: string): string => `GRANT ${text} TO \`backup\`@\`%\``;
const whole = grant('SELECT, RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, EVENT, TRIGGER, SHOW VIEW ON *.*');
const server = grant('RELOAD, PROCESS, BINLOG MONITOR ON *.*');
const shop = grant('SELECT, SHOW VIEW, LOCK TABLES, TRIGGER, EVENT ON `shop`.*');

const cases: readonly [string, readonly string[], readonly string[], string, string | undefined][] = [
  ['all of it on everything', [whole], [], 'ready', undefined],
  ['all of it on everything, for some databases', [whole], ['shop', 'crm'], 'ready', undefined],
  ['ALL PRIVILEGES', [grant('ALL PRIVILEGES ON *.*')], ['shop'], 'ready', undefined],
  ['data on some database', [server, shop], [], 'ready', undefined],
  ['data on the right one', [server, shop], ['shop'], 'ready', undefined],
  ['data on another one', [server, shop], ['crm'], 'not_ready', "GRANT SELECT, SHOW VIEW, LOCK TABLES, TRIGGER, EVENT ON `crm`.* TO 'backup'@'%'"], // prettier-ignore
  ['no PROCESS', [grant('RELOAD, BINLOG MONITOR ON *.*'), shop], ['shop'], 'not_ready', "GRANT PROCESS ON *.* TO 'backup'@'%'"], // prettier-ignore
  ['PROCESS on a database is none', [grant('RELOAD, BINLOG MONITOR ON *.*'), grant('ALL PRIVILEGES ON `shop`.*')], ['shop'], 'not_ready', "GRANT PROCESS ON *.* TO 'backup'@'%'"], // prettier-ignore
  ['nothing at all', [grant('USAGE ON *.*')], [], 'not_ready', "GRANT RELOAD, PROCESS, BINLOG MONITOR, SELECT, SHOW VIEW, LOCK TABLES, TRIGGER, EVENT ON *.* TO 'backup'@'%'"], // prettier-ignore
  ['a role that may give it', [server, 'GRANT `dumper` TO `backup`@`%`'], ['shop'], 'unknown', "GRANT SELECT, SHOW VIEW, LOCK TABLES, TRIGGER, EVENT ON `shop`.* TO 'backup'@'%'"], // prettier-ignore
];
for (const [what, lines, databases, state, fix] of cases) {
  test(`grants: ${what}: ${state}`, () => {
    const found = grantsFinding(needsOf('mysqldump', mariadb), grantsOf(lines), { account, databases });
    assert.deepEqual([found.state, found.fix], [state, fix]);
  });
}

test('grants: each tool and flavour has its own', () => {
  assert.deepEqual(needsOf('xtrabackup', mysql).global, ['RELOAD', 'PROCESS', 'LOCK TABLES', 'REPLICATION CLIENT', 'BACKUP_ADMIN']); // prettier-ignore
  assert.deepEqual(needsOf('xtrabackup', mariadb).global, ['RELOAD', 'PROCESS', 'LOCK TABLES', 'BINLOG MONITOR']);
  assert.deepEqual(needsOf('binlog', mysql).global, ['REPLICATION SLAVE', 'REPLICATION CLIENT']);
  assert.ok(needsOf('mydumper', mysql).global.includes('BACKUP_ADMIN'));
  const none = grantsFinding(needsOf('rdb', mysql), grantsOf([grant('USAGE ON *.*')]), { account, databases: [] });
  assert.equal(none.state, 'not_configured');
});

test('what would hold up the lock of a backup', () => {
  const open = (oldestSeconds: number, waiting = 0) =>
    known({ open: 1, long: 0, oldestSeconds, waiting, longestWaitSeconds: waiting * 3 }, 0);
  assert.equal(transactionsFinding(open(60), 60).state, 'ready');
  assert.equal(transactionsFinding(open(61), 60).state, 'not_ready');
  assert.equal(transactionsFinding(unknown('away'), 60).state, 'unknown');
  assert.equal(lockWaitsFinding(open(0)).state, 'ready');
  assert.equal(lockWaitsFinding(open(5, 2)).state, 'not_ready');
  assert.equal(lockWaitsFinding(unknown('away')).state, 'unknown');
});

test('character set', () => {
  assert.equal(charsetFinding(known('utf8mb4', 0)).state, 'ready');
  assert.equal(charsetFinding(known('latin1', 0)).state, 'not_ready');
});

test('series without a source; doctor says what is in the folder and what is not configured', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pipemedic-ready-'));
  t.after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  writeFileSync(join(directory, 'a.sql'), 'x');
  symlinkSync('gone.sql', join(directory, 'latest'));
  const target = { address: { directory, pattern: '*.sql' }, collectors: { backup_files: false, backup_listing: false, backup_chain: false } }; // prettier-ignore
  await using watched = new WatchedTarget(backup, target, systemClock);
  const m = await watched.measure();
  assert.equal(m.failure, undefined);
  assert.equal(m.state('backup_ready_state', { check: 'grants' }), 'not_configured');
  assert.equal(m.state('backup_ready_state', { check: 'transactions' }), 'not_configured');
  assert.equal(m.value('backup_ready', { check: 'grants' }), undefined);
  assert.ok((m.value('backup_space_free_bytes') ?? 0) > 0);
  const bound = backup.bind({ name: 'b', kind: 'backup', ...target }, () => {
    throw new Error('names none');
  });
  const call = { signal: AbortSignal.timeout(5000), clock: systemClock };
  await using client = await bound.open(call);
  const findings = await bound.examine(client, call);
  const of = (check: string) => findings.find((f) => f.check === check);
  assert.equal(of('folder')?.ok, true);
  assert.equal(of('link')?.ok, false);
  assert.equal(of('login')?.ok, 'unknown');
  assert.match(of('login')?.fix ?? '', /address\.source/);
  assert.equal(of('grants'), undefined);
});
