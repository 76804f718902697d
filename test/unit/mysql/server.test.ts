import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asTargetError } from '../../../exporter/runtime/errors.ts';
import { mysqlAddress } from '../../../exporter/systems/mysql/address.ts';
import { cdcNeedsOf, cdcReadyCollector, versionCollector } from '../../../exporter/systems/mysql/collector-server.ts';
import { dumpThreadsCollector } from '../../../exporter/systems/mysql/collector-dump-threads.ts';
import { accountText, mysqlErrno, mysqlError, withGrant } from '../../../exporter/systems/mysql/facts-errors.ts';
import { readClockOffset, retentionOf, serverOf } from '../../../exporter/systems/mysql/facts-server.ts';
import { readDumpThreads } from '../../../exporter/systems/mysql/facts-threads.ts';
import { parseMariadbGtids, statusNumber } from '../../../exporter/systems/mysql/facts-values.ts';
import { atLeast } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, runner, statesOf, testCall } from './fake-client.ts';

test('an address is a host or a socket', () => {
  assert.deepEqual(mysqlAddress.parse({ host: 'db' }), { host: 'db', port: 3306 });
  assert.deepEqual(mysqlAddress.parse({ socket: '/run/mysqld.sock' }), { socket: '/run/mysqld.sock' });
  for (const wrong of [{}, { port: 3306 }, { host: 'db', socket: '/s' }, { host: 'db', user: 'x' }, { socket: 's' }]) {
    assert.equal(mysqlAddress.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});

test('values become numbers as in mysqld_exporter', () => {
  for (const [text, value] of [
    ['Yes', 1],
    ['ON', 1],
    ['No', 0],
    ['Connecting', 0],
    ['Preparing', undefined],
    ['30.000', 30],
    ['0', 0],
    ['-1', -1],
    ['2026-11-21 09:43:24', 1_795_254_204],
    ['261121 09:43:24', undefined],
    ['mysql-bin.000001', undefined],
    ['0-1-11', undefined],
    ['', undefined],
    ['Infinity', undefined],
    ['constructor', undefined],
    ['__proto__', undefined],
    [null, undefined],
  ] as const) {
    assert.equal(statusNumber(text), value, String(text));
  }
  assert.deepEqual(parseMariadbGtids('0-1-11,1-2-7'), [
    { domainId: '0', serverId: '1', sequence: 11 },
    { domainId: '1', serverId: '2', sequence: 7 },
  ]);
  assert.deepEqual(parseMariadbGtids(''), []);
});

test('versions are compared by number', () => {
  const version = [8, 10, 0] as const;
  assert.equal(atLeast({ version }, 8, 4, 0), true);
  assert.equal(atLeast({ version }, 8, 10, 0), true);
  assert.equal(atLeast({ version }, 8, 10, 1), false);
  assert.equal(atLeast({ version }, 9, 0, 0), false);
});

test('an error has the class of its number, keeps the number, and an account is quoted', () => {
  const from = (errno: number): Error => Object.assign(new Error('no'), { errno, code: 'ER_X' });
  for (const [errno, code] of [
    [1045, 'auth'],
    [1142, 'denied'],
    [1227, 'denied'],
    [1969, 'deadline'],
    [3024, 'deadline'],
    [1927, 'unreachable'],
    [1064, 'unsupported'],
    [1146, 'failed'],
  ] as const) {
    const error = mysqlError(from(errno), 'mysql db:3306');
    assert.equal(error.code, code);
    assert.equal(error.message, `mysql db:3306: no (error ${errno})`);
    assert.equal(mysqlErrno(withGrant(error, 'a@%', 'PROCESS')), errno);
  }
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { errno: -111, code: 'ECONNREFUSED' });
  assert.equal(mysqlError(refused, 'mysql db').code, 'refused');
  assert.equal(mysqlErrno(asTargetError(refused, 'x')), undefined);
  assert.equal(mysqlError(Object.assign(new Error('x'), { code: 'HANDSHAKE_NO_SSL_SUPPORT' }), 'm').code, 'tls');
  assert.equal(accountText("o'x@10.0.0.%"), "'o''x'@'10.0.0.%'");
});

const variables = new Map([
  ['version', '10.11.19-MariaDB'],
  ['version_comment', 'Debian 12'],
  ['server_id', '1'],
  ['log_bin', 'ON'],
  ['binlog_format', 'ROW'],
  ['binlog_row_image', 'FULL'],
  ['read_only', 'OFF'],
]);

test('how long binary logs are kept, by the variable that each version has', () => {
  const of = (entries: Readonly<Record<string, string>>): string => {
    const found = retentionOf(new Map(Object.entries(entries)));
    return found.kind === 'seconds' ? `${found.seconds} by ${found.variable}` : found.kind;
  };
  const seconds = 'binlog_expire_logs_seconds';
  assert.equal(of({ [seconds]: '2592000' }), `2592000 by ${seconds}`);
  assert.equal(of({ [seconds]: '0', expire_logs_days: '2' }), '172800 by expire_logs_days');
  assert.equal(of({ expire_logs_days: '0.500000' }), '43200 by expire_logs_days');
  assert.equal(of({ [seconds]: '0', expire_logs_days: '0' }), 'forever');
  assert.equal(of({ [seconds]: '3600', binlog_expire_logs_auto_purge: 'OFF' }), 'forever');
  assert.equal(of({ [seconds]: '0', max_binlog_total_size: '1073741824' }), 'unknown');
  assert.equal(of({ [seconds]: '0', basedir: '/rdsdbbin/mysql-8.0/' }), 'unknown', 'not what the variable says');
  assert.equal(of({}), 'unknown');
  assert.equal(of({ [seconds]: 'soon' }), 'unknown');
});

test('a server without semi-sync, read only, and one that tells its clock', async () => {
  const server = serverOf(
    new Map([...variables, ['read_only', 'READ_ONLY_NO_LOCK'], ['log_slave_updates', 'ON']]),
    'mariadb',
  );
  assert.equal(server.readOnly, true);
  assert.equal(server.logReplicaUpdates, true);
  assert.equal(server.superReadOnly, undefined);
  assert.deepEqual(server.semiSync, { source: undefined, replica: undefined });
  const client = fakeClient('9.7.4', { 'SELECT UNIX_TIMESTAMP': [{ now_ms: '1700000002500.000' }] });
  assert.deepEqual(await readClockOffset(client, testCall()), { offsetMs: 2500, uncertaintyMs: 1 });
  const broken = fakeClient('9.7.4', { 'SELECT UNIX_TIMESTAMP': [{ now_ms: null }] });
  await assert.rejects(readClockOffset(broken, testCall()), { code: 'protocol' });
});

const serverAnswers = {
  'SHOW GLOBAL VARIABLES': [...variables].map(([name, value]) => ({ Variable_name: name, Value: value })),
  'SHOW GRANTS': [{ 'Grants for exporter@%': 'GRANT PROCESS, BINLOG MONITOR ON *.* TO `exporter`@`%`' }],
  'SHOW BINLOG STATUS': [{ File: 'b.000001', Position: '4', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }],
};

test('version and conditions are served, and the state of each condition', async () => {
  const client = fakeClient('10.11.19-MariaDB', serverAnswers);
  assert.deepEqual(Object.fromEntries((await runner(versionCollector)(client)).samples), {
    'mysql_version_info{innodb_version="",version="10.11.19-MariaDB",version_comment="Debian 12"}': 1,
  });
  const { samples, error } = await runner(cdcReadyCollector)(client);
  assert.equal(error, undefined);
  assert.equal(samples.get('mysql_binlog_cdc_ready{check="binlog_format"}'), 1);
  assert.equal(samples.get('mysql_binlog_cdc_ready{check="retention"}'), undefined, 'these variables do not say');
  assert.equal(samples.get('mysql_binlog_cdc_ready{check="grants"}'), undefined, 'no account of a reader is known');
  assert.deepEqual(
    statesOf(samples, 'mysql_binlog_cdc_ready_state').filter((s) => s.includes('unknown')),
    ['log_replica_updates', 'retention'].map((c) => `mysql_binlog_cdc_ready_state{check="${c}",state="unknown"}`),
  );

  const down = await runner(cdcReadyCollector)(new Error('down'));
  assert.equal(statesOf(down.samples, 'mysql_binlog_cdc_ready_state').length, 11);
  assert.equal(
    [...down.samples.keys()].some((key) => key.startsWith('mysql_binlog_cdc_ready{')),
    false,
  );
});

test('an answer without the variables that every server has is none', async () => {
  for (const rows of [
    [],
    [{ Variable_name: 'log_bin', Value: null }],
    serverAnswers['SHOW GLOBAL VARIABLES'].slice(1),
  ]) {
    const client = fakeClient('10.11.19-MariaDB', { ...serverAnswers, 'SHOW GLOBAL VARIABLES': rows });
    const { error } = await runner(cdcReadyCollector)(client);
    assert.match(String(error), /TargetError: mysql .* tells no /);
  }
});

const own = { ID: '9', USER: 'exporter', HOST: 'h:1', COMMAND: 'Query', TIME: '0', STATE: '', own: '1' };
const dump = { ID: '5', USER: 'repl', HOST: 'h:2', COMMAND: 'Binlog Dump', TIME: '20', STATE: 'sent', own: '0' };
const grants = (line: string): Readonly<Record<string, string>>[] => [{ 'Grants for exporter@%': line }];

test('dump threads are counted by user; a user that left is 0', async () => {
  const run = runner(dumpThreadsCollector);
  const answers = { 'SHOW GRANTS': grants('GRANT PROCESS, BINLOG MONITOR ON *.* TO `exporter`@`%`') };
  const both = [own, dump, { ...dump, ID: '6', COMMAND: 'Binlog Dump GTID' }];
  const first = await run(fakeClient('9.7.4', { ...answers, 'SELECT ID': both }));
  const state = { 'mysql_binlog_readers_state{state="known"}': 1, 'mysql_binlog_readers_state{state="unknown"}': 0 };
  assert.deepEqual(Object.fromEntries(first.samples), {
    'mysql_dump_threads{user="repl"}': 2,
    'mysql_binlog_readers{host="h",server_id="",user="repl"}': 2,
    ...state,
  });
  const second = await run(fakeClient('9.7.4', { ...answers, 'SELECT ID': [own] }));
  assert.deepEqual(Object.fromEntries(second.samples), {
    'mysql_dump_threads{user="repl"}': 0,
    'mysql_binlog_readers{host="h",server_id="",user="repl"}': 0,
    ...state,
  });
  const hourLater = await run(fakeClient('9.7.4', { ...answers, 'SELECT ID': [own] }), testCall({ monoMs: 3_600_001 }));
  assert.equal(hourLater.samples.size, 3, 'its host is forgotten after an hour, the user is not');
});

test('without PROCESS the list holds only own threads: denied, not 0', async () => {
  const usage = grants('GRANT SELECT, PROCESS ON `maxwell`.* TO `exporter`@`%`');
  await assert.rejects(
    readDumpThreads(fakeClient('10.11.19-MariaDB', { 'SELECT ID': [own], 'SHOW GRANTS': usage }), testCall()),
    { code: 'denied', message: /GRANT PROCESS ON \*\.\* TO 'exporter'@'%'$/ },
  );
  await assert.rejects(readDumpThreads(fakeClient('9.7.4', { 'SELECT ID': [] }), testCall()), {
    code: 'unsupported',
    message: /performance_schema=ON/,
  });
});

test('more readers than are listed: nothing is counted, and that is said', async () => {
  const rows = Array.from({ length: 1002 }, (_, ID) => ({ ...own, ID, COMMAND: 'Binlog Dump', own: 0 }));
  const answers = { 'SHOW GRANTS': grants('GRANT PROCESS ON *.* TO `exporter`@`%`') };
  await assert.rejects(readDumpThreads(fakeClient('9.7.4', { ...answers, 'SELECT ID': rows }), testCall()), {
    code: 'failed',
    message: /more than 1000 connections read its binary log/,
  });
  const just = fakeClient('9.7.4', { ...answers, 'SELECT ID': [...rows.slice(0, 1000), own] });
  assert.equal((await readDumpThreads(just, testCall())).length, 1000);
});

test('doctor asks what the collector asks: by the options in the inventory, or their defaults', () => {
  const day = 86_400;
  const defaults = { rowMetadata: 'any', gtid: false, minRetentionSeconds: day, allowFilters: false, user: undefined };
  for (const written of [undefined, {}, false]) assert.deepEqual(cdcNeedsOf(written), defaults);
  assert.deepEqual(cdcNeedsOf({ min_retention: '3d', gtid: true, cdc_user: 'maxwell@%' }), {
    ...defaults,
    minRetentionSeconds: 3 * day,
    gtid: true,
    user: 'maxwell@%',
  });
});
