import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { activityCollector, semiSyncCollector } from '../../../exporter/systems/mysql/collector-activity.ts';
import { dumpThreadsCollector } from '../../../exporter/systems/mysql/collector-dump-threads.ts';
import { semiSyncOf } from '../../../exporter/systems/mysql/facts-activity.ts';
import { readersOf, readReplicaHints } from '../../../exporter/systems/mysql/facts-readers.ts';
import type { DumpThread } from '../../../exporter/systems/mysql/facts-threads.ts';
import { fakeClient, runner, statesOf, testCall } from './fake-client.ts';

const transactions = { open: '3', over_limit: '1', oldest: '75', waiting: '1', longest_wait: '4' };
const answers = {
  'SELECT COUNT(*) AS open': [transactions],
  'SELECT COALESCE(SUM(ID': [{ own: '1', applier: '1', client: '2' }],
};

test('transactions and lock waits are counted by the server, one statement each', async () => {
  const client = fakeClient('10.11.19-MariaDB', answers);
  const { samples, error } = await runner(activityCollector)(client);
  assert.equal(error, undefined);
  assert.deepEqual(Object.fromEntries(samples), {
    'mysql_transactions_open{}': 3,
    'mysql_transactions_long{}': 1,
    'mysql_transaction_long_seconds{}': 60,
    'mysql_transaction_oldest_seconds{}': 75,
    'mysql_lock_waits{}': 1,
    'mysql_lock_wait_longest_seconds{}': 4,
    'mysql_metadata_lock_waits{thread="applier"}': 1,
    'mysql_metadata_lock_waits{thread="client"}': 2,
    'mysql_activity_state{state="known"}': 1,
    'mysql_activity_state{state="unknown"}': 0,
  });
  assert.equal(client.asked.length, 2);
  assert.match(client.asked[1] ?? '', /FROM information_schema\.PROCESSLIST$/);
});

test('what cannot be known has no number: denied, threads that are not shown, NULL', async () => {
  const denied = new TargetError('denied', 'mysql db: Access denied');
  for (const [changes, message] of [
    [{ 'SELECT COUNT(*) AS open': denied }, /To allow it: GRANT PROCESS ON \*\.\* TO 'exporter'@'%'$/],
    [{ 'SELECT COALESCE(SUM(ID': [{ own: '0', applier: '0', client: '0' }] }, /performance_schema=ON/],
    [{ 'SELECT COUNT(*) AS open': [{ ...transactions, oldest: null }] }, /tells no oldest/],
    [{ 'SELECT COUNT(*) AS open': [] }, /tells no open/],
  ] as const) {
    const { samples, error } = await runner(activityCollector)(fakeClient('9.7.4', { ...answers, ...changes }));
    assert.match(String(error), message);
    assert.deepEqual(
      [...samples.keys()],
      [
        'mysql_transaction_long_seconds{}',
        'mysql_activity_state{state="known"}',
        'mysql_activity_state{state="unknown"}',
      ],
    );
  }
});

test('semi-sync: both spellings, what is off, what protects, and what has fallen back', () => {
  const of = (enabled: object, status: object): string => {
    const found = semiSyncOf(new Map(Object.entries(enabled)), new Map(Object.entries(status)));
    return `${found.source} ${found.replica}`;
  };
  const old = { rpl_semi_sync_master_enabled: 'ON', rpl_semi_sync_slave_enabled: 'OFF' };
  const master = { rpl_semi_sync_master_status: 'ON', rpl_semi_sync_master_clients: '1' };
  assert.equal(of({}, {}), 'not_configured not_configured', 'the plugin is not there');
  assert.equal(of(old, master), 'active not_configured');
  assert.equal(of(old, { ...master, rpl_semi_sync_master_status: 'OFF' }), 'degraded not_configured');
  assert.equal(
    of(old, { ...master, rpl_semi_sync_master_clients: '0' }),
    'degraded not_configured',
    'it waits in vain',
  );
  assert.equal(of(old, {}), 'unknown not_configured');
  const replica = { rpl_semi_sync_replica_enabled: 'ON' };
  assert.equal(of(replica, { rpl_semi_sync_replica_status: 'OFF' }), 'not_configured degraded');
  assert.equal(of(replica, { rpl_semi_sync_replica_status: 'ON' }), 'not_configured active');
  assert.equal(of(replica, {}), 'not_configured unknown', 'not told is not OFF');
});

test('semi-sync: the status is asked only where it is set to on; unknown while the server is away', async () => {
  const off = fakeClient('9.7.4', { 'SHOW GLOBAL VARIABLES': [] });
  const { samples } = await runner(semiSyncCollector)(off);
  assert.deepEqual(off.asked.length, 1);
  assert.deepEqual(statesOf(samples, 'mysql_semi_sync_state'), [
    'mysql_semi_sync_state{role="source",state="not_configured"}',
    'mysql_semi_sync_state{role="replica",state="not_configured"}',
  ]);
  const down = await runner(semiSyncCollector)(new Error('down'));
  assert.equal(statesOf(down.samples, 'mysql_semi_sync_state').filter((s) => s.includes('"unknown"')).length, 2);
});

const thread = (id: number, host: string, user = 'repl'): DumpThread => ({
  id,
  user,
  host,
  command: 'Binlog Dump',
  seconds: 1,
  state: '',
});
const replica = (serverId: string, host: string, uuid = ''): Parameters<typeof readersOf>[1]['replicas'][number] => ({
  serverId,
  host,
  port: '3306',
  sourceId: '1',
  uuid,
});

test('readers: no ports and no ids of threads; the server id by UUID, or by a host that is one replica', () => {
  const text = (...args: Parameters<typeof readersOf>): string[] =>
    readersOf(...args).map((r) => `${r.user}@${r.host} ${r.serverId} ${r.connections}`);
  const none = { replicas: [], uuids: new Map<number, string>() };
  assert.deepEqual(text([thread(1, 'h:1'), thread(2, 'h:2')], none), ['repl@h  2']);
  assert.deepEqual(text([thread(1, 'h:1'), thread(9, 'h:1', 'maxwell')], none), ['repl@h  1', 'maxwell@h  1']);

  const two = [replica('2', 'h', 'u2'), replica('3', 'h', 'u3')];
  assert.deepEqual(text([thread(1, 'h:1'), thread(2, 'h:2')], { replicas: two, uuids: new Map([[2, 'u3']]) }), [
    'repl@h  1',
    'repl@h 3 1',
  ]);
  assert.deepEqual(text([thread(1, 'h:7')], { replicas: [replica('2', 'h')], uuids: new Map() }), ['repl@h 2 1']);
  assert.deepEqual(text([thread(1, 'h:7')], { replicas: two, uuids: new Map() }), ['repl@h  1'], 'which of the two?');
  assert.deepEqual(text([thread(1, '')], { replicas: [replica('2', '')], uuids: new Map() }), ['repl@  1']);
});

test('replicas are asked for only with the privilege that each flavour wants', async () => {
  const hints = async (version: string, grant: string): Promise<string[]> => {
    const client = fakeClient(version, {
      'SHOW GRANTS': [{ g: `GRANT ${grant} ON *.* TO \`exporter\`@\`%\`` }],
      'SHOW REPLICAS': [],
      'SHOW SLAVE HOSTS': [],
      'SELECT t.PROCESSLIST_ID': [{ id: '5', uuid: 'u' }],
    });
    await readReplicaHints(client, testCall());
    return client.asked.slice(1).map((sql) => sql.slice(0, 16));
  };
  assert.deepEqual(await hints('9.7.4', 'PROCESS, REPLICATION CLIENT'), []);
  assert.deepEqual(await hints('9.7.4', 'REPLICATION SLAVE'), ['SHOW REPLICAS']);
  assert.deepEqual(await hints('9.7.4', 'ALL PRIVILEGES'), ['SHOW REPLICAS', 'SELECT t.PROCESS']);
  assert.deepEqual(await hints('10.11.1-MariaDB', 'REPLICATION SLAVE'), []);
  assert.deepEqual(await hints('10.11.1-MariaDB', 'REPLICATION MASTER ADMIN'), ['SHOW SLAVE HOSTS']);
});

test('readers: all that are there are served, and of those that left the last 200', async () => {
  const thread = (id: number): Record<string, string> => ({ ID: String(id), USER: `u${String(id)}`, HOST: `10.0.0.${String(id)}:1`, COMMAND: 'Binlog Dump', TIME: '1', STATE: '', own: '0' }); // prettier-ignore
  const own = { ...thread(9999), COMMAND: 'Query', own: '1' };
  const look = runner(dumpThreadsCollector);
  const served = async (from: number, count: number): Promise<readonly number[]> => {
    const client = fakeClient('10.11.19-MariaDB', {
      'SELECT ID, USER': [own, ...Array.from({ length: count }, (_, i) => thread(from + i))],
      'SHOW GRANTS': [{ 'Grants for x': 'GRANT PROCESS, REPLICATION SLAVE ON *.* TO `x`@`%`' }],
      'SHOW SLAVE HOSTS': [],
    });
    const { samples, error } = await look(client);
    assert.equal(error, undefined);
    return [...samples].filter(([name]) => name.startsWith('mysql_binlog_readers{')).map(([, n]) => n);
  };
  const first = await served(0, 300);
  assert.deepEqual([first.length, new Set(first)], [300, new Set([1])]);
  const later = await served(1000, 10);
  assert.deepEqual([later.length, later.filter((n) => n === 1).length], [200, 10]);
});
