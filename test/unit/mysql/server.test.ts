import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asTargetError } from '../../../exporter/runtime/errors.ts';
import { mysqlAddress } from '../../../exporter/systems/mysql/address.ts';
import { cdcReadyCollector, versionCollector } from '../../../exporter/systems/mysql/collector-server.ts';
import { dumpThreadsCollector } from '../../../exporter/systems/mysql/collector-dump-threads.ts';
import { accountText, mysqlErrno, mysqlError, withGrant } from '../../../exporter/systems/mysql/facts-errors.ts';
import { cdcReady, serverOf } from '../../../exporter/systems/mysql/facts-server.ts';
import { grantsProcess, readDumpThreads } from '../../../exporter/systems/mysql/facts-threads.ts';
import { parseMariadbGtids, statusNumber } from '../../../exporter/systems/mysql/facts-values.ts';
import { atLeast } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, runner, testCall } from './fake-client.ts';

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

test('each condition for readers of changes is told, and none that the server does not tell', () => {
  const of = (changes: Readonly<Record<string, string>>): Record<string, boolean> => {
    const server = serverOf(new Map([...variables, ...Object.entries(changes)]), 0, 'mariadb');
    return Object.fromEntries(cdcReady(server).map(({ check, ok }) => [check, ok]));
  };
  assert.deepEqual(of({}), { log_bin: true, binlog_format: true, binlog_row_image: true, server_id: true });
  assert.equal(of({ binlog_format: 'MIXED' })['binlog_format'], false);
  assert.equal(of({ binlog_row_image: 'MINIMAL' })['binlog_row_image'], false);
  assert.equal(of({ log_bin: 'OFF' })['log_bin'], false);
  assert.equal(of({ server_id: '0' })['server_id'], false);
  const old = serverOf(new Map([...variables].filter(([name]) => name !== 'binlog_row_image')), 0, 'mariadb');
  assert.deepEqual(
    cdcReady(old).map((c) => c.check),
    ['log_bin', 'binlog_format', 'server_id'],
  );
});

const serverAnswers = {
  'SHOW GLOBAL VARIABLES': [...variables].map(([name, value]) => ({ Variable_name: name, Value: value })),
  'SELECT UNIX_TIMESTAMP': [{ now_ms: '1795254204123.000' }],
};

test('version and conditions are served', async () => {
  const client = fakeClient('10.11.19-MariaDB', serverAnswers);
  assert.deepEqual(Object.fromEntries((await runner(versionCollector)(client)).samples), {
    'mysql_version_info{innodb_version="",version="10.11.19-MariaDB",version_comment="Debian 12"}': 1,
  });
  const { samples } = await runner(cdcReadyCollector)(client);
  assert.equal(samples.get('mysql_binlog_cdc_ready{check="binlog_format"}'), 1);
  assert.equal(samples.size, 4);
});

const own = { ID: '9', USER: 'exporter', HOST: 'h:1', COMMAND: 'Query', TIME: '0', STATE: '', own: '1' };
const dump = { ID: '5', USER: 'repl', HOST: 'h:2', COMMAND: 'Binlog Dump', TIME: '20', STATE: 'sent', own: '0' };
const grants = (line: string): Readonly<Record<string, string>>[] => [{ 'Grants for exporter@%': line }];

test('dump threads are counted by user; a user that left is 0', async () => {
  const run = runner(dumpThreadsCollector);
  const answers = { 'SHOW GRANTS': grants('GRANT PROCESS, BINLOG MONITOR ON *.* TO `exporter`@`%`') };
  const both = [own, dump, { ...dump, ID: '6', COMMAND: 'Binlog Dump GTID' }];
  const first = await run(fakeClient('9.7.4', { ...answers, 'SELECT ID': both }));
  assert.deepEqual(Object.fromEntries(first.samples), { 'mysql_dump_threads{user="repl"}': 2 });
  const second = await run(fakeClient('9.7.4', { ...answers, 'SELECT ID': [own] }));
  assert.deepEqual(Object.fromEntries(second.samples), { 'mysql_dump_threads{user="repl"}': 0 });
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
  assert.equal(grantsProcess(['GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION']), true);
  assert.equal(grantsProcess(['GRANT SELECT, PROCESS ON *.* TO `x`@`%`']), true);
  assert.equal(grantsProcess(['GRANT USAGE ON *.* TO `x`@`%`']), false);
});
