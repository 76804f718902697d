// The status columns of every version, and the channels they are of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replicationCollector } from '../../../exporter/systems/mysql/collector-replication.ts';
import { fakeClient, fixture, runner, statesOf, testCall } from './fake-client.ts';

const mariadb = '10.11.19-MariaDB-0+deb12u1-log';

test('a column that no list foresees comes through, in both spellings, under the labels of the others', async () => {
  const [row] = fixture('mysql-9.7.4-running');
  const answers = {
    'SELECT @@GLOBAL.performance_schema': [{ enabled: 0 }],
    'SHOW REPLICA STATUS': [
      { ...row, Source_New_Delay: '7', Replica_New_Running: 'Yes', Brand_New: 3, 'Odd-Name': 4, New_Text: 'b.000007' },
    ],
  };
  const { samples, error } = await runner(replicationCollector)(fakeClient('10.1.0', answers));
  assert.equal(error, undefined);
  const found = [...samples].flatMap(([key, value]) => {
    const [, name = ''] =
      /^mysql_slave_status_(\w*(?:new|odd)\w*)\{channel_name="",connection_name="",master_host=/.exec(key) ?? [];
    return name === '' ? [] : [[name, value]];
  });
  assert.deepEqual(Object.fromEntries(found), {
    master_new_delay: 7,
    source_new_delay: 7,
    slave_new_running: 1,
    replica_new_running: 1,
    brand_new: 3,
    odd_name: 4,
  });
});

test('a server that was started anew counts heartbeats from 0 again: that is no stall', async () => {
  const [row] = fixture('mariadb-10.11.19-running');
  const idle = { ...row, Slave_received_heartbeats: 0, Slave_heartbeat_period: '30.000' };
  const server = (): ReturnType<typeof fakeClient> => fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': [idle] });
  const clock = { monoMs: 0 };
  const run = runner(replicationCollector);
  const stateAt = async (client: ReturnType<typeof fakeClient>, seconds: number): Promise<string | undefined> => {
    clock.monoMs = seconds * 1000;
    const [state = ''] = statesOf((await run(client, testCall(clock))).samples, 'mysql_replication_state');
    return /state="(\w+)"/.exec(state)?.[1];
  };
  const first = server();
  assert.equal(await stateAt(first, 0), 'running');
  const second = server();
  assert.equal(await stateAt(second, 300), 'running', 'over another connection');
  assert.equal(await stateAt(second, 360), 'running');
  assert.equal(await stateAt(second, 362), 'stalled', 'and over the same one for two periods');
});

test('text that happens to be a number is one, as in mysqld_exporter; file names and GTIDs are none', async () => {
  const [row] = fixture('mariadb-10.11.19-running');
  const answers = { 'SHOW ALL SLAVES STATUS': [{ ...row, Replicate_Ignore_Server_Ids: '3', Connection_name: '2' }] };
  const { samples } = await runner(replicationCollector)(fakeClient(mariadb, answers));
  const names = [...samples.keys()].map((key) => key.replace(/\{.*/, ''));
  assert.ok(names.includes('mysql_slave_status_replicate_ignore_server_ids'));
  assert.ok(names.includes('mysql_slave_status_connection_name'));
  assert.ok(!names.some((name) => name.includes('log_file') || name.includes('gtid_set')));
});

test('MySQL 5.7, 8.0 and 8.4: the same series, whichever spelling the server has', async () => {
  const [row] = fixture('mysql-9.7.4-running');
  const old = Object.fromEntries(
    Object.entries(row ?? {}).map(([name, value]) => [
      name.replaceAll('Source', 'Master').replaceAll('source', 'master').replaceAll('Replica', 'Slave'),
      value,
    ]),
  );
  const seen = await Promise.all(
    (
      [
        ['5.7.44-log', 'SHOW SLAVE STATUS', old],
        ['8.0.21', 'SHOW SLAVE STATUS', old],
        ['8.0.36', 'SHOW REPLICA STATUS', row ?? {}],
        ['8.4.3', 'SHOW REPLICA STATUS', row ?? {}],
      ] as const
    ).map(async ([version, statement, answer]) => {
      const client = fakeClient(version, {
        [statement]: [answer],
        'SELECT @@GLOBAL.performance_schema': [{ enabled: 0 }],
      });
      const { samples, error } = await runner(replicationCollector)(client);
      assert.equal(error, undefined);
      return [...samples].toSorted();
    }),
  );
  for (const other of seen) assert.deepEqual(other, seen[0]);
  assert.ok(JSON.stringify(seen[0]).includes('mysql_slave_status_read_master_log_pos'));
});

test('two channels, one of them removed: no ghost remains, and while nothing answers both are unknown', async () => {
  const run = runner(replicationCollector);
  const [row] = fixture('mysql-9.7.4-running');
  const withRows = (rows: readonly Record<string, unknown>[]): ReturnType<typeof fakeClient> =>
    fakeClient('9.7.4', { 'SHOW REPLICA STATUS': rows, 'SELECT @@GLOBAL.performance_schema': [{ enabled: 0 }] });
  const two = [{ ...row }, { ...row, Channel_Name: 'b', Replica_SQL_Running: 'No', Seconds_Behind_Source: null }];
  const state = (channel: string, name: string): string =>
    `mysql_replication_state{channel_name="${channel}",connection_name="",state="${name}"}`;
  const both = await run(withRows(two));
  assert.deepEqual(statesOf(both.samples, 'mysql_replication_state'), [state('', 'running'), state('b', 'stopped')]);
  const lags = [...both.samples.keys()].filter((key) => key.startsWith('mysql_replication_lag_seconds'));
  assert.deepEqual(lags, ['mysql_replication_lag_seconds{channel_name="",connection_name="",method="status"}']);

  const gone = await run(new Error('refused'));
  assert.deepEqual(statesOf(gone.samples, 'mysql_replication_state'), [state('', 'unknown'), state('b', 'unknown')]);

  const one = await run(withRows(two.slice(0, 1)));
  assert.deepEqual(statesOf(one.samples, 'mysql_replication_state'), [state('', 'running')]);
  assert.ok(![...one.samples.keys()].some((key) => key.includes('channel_name="b"')));
  const none = await run(withRows([]));
  assert.deepEqual(statesOf(none.samples, 'mysql_replication_state'), [state('', 'not_configured')]);
  assert.deepEqual(statesOf((await run(new Error('x'))).samples, 'mysql_replication_state'), [state('', 'unknown')]);
});
