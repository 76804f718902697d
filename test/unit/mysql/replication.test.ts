import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classOf, TargetError } from '../../../exporter/runtime/errors.ts';
import { replicationCollector } from '../../../exporter/systems/mysql/collector-replication.ts';
import {
  channelOf,
  readReplication,
  replicationFact,
  statusStatement,
  watchReceiver,
  type ReplicaChannel,
} from '../../../exporter/systems/mysql/facts-replication.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, fixture, runner, statesOf, testCall } from './fake-client.ts';

const mariadb = '10.11.19-MariaDB-0+deb12u1-log';

function at(monoMs: number): { readonly monoMs: number; readonly wallMs: number } {
  return { monoMs, wallMs: 1_700_000_000_000 + monoMs };
}

function channel(name: string): ReplicaChannel {
  const [row] = fixture(name);
  assert.ok(row);
  return channelOf(row, 5);
}

test('MariaDB 10.11: running, stopped, connecting and broken replicas are told apart, with the reason', () => {
  const running = channel('mariadb-10.11.19-running');
  assert.equal(running.state, 'running');
  assert.deepEqual(running.lagSeconds, { known: true, value: 0, observedAtMs: 5 });
  assert.equal(running.sourceHost, '127.0.0.1');
  assert.equal(running.sourcePort, 23311);
  assert.equal(running.sourceServerId, 1);
  assert.equal(running.gtid, 'slave_pos');
  assert.equal(running.received?.file, 'mysql-bin.000001');
  assert.equal(running.heartbeats?.periodSeconds, 1);
  assert.equal(running.columns.get('gtid_slave_pos'), '0-1-11');

  const stopped = channel('mariadb-10.11.19-io-stopped');
  assert.deepEqual([stopped.state, stopped.ioRunning, stopped.sqlRunning], ['stopped', 'no', true]);
  assert.deepEqual(stopped.lagSeconds, { known: false, why: 'the server says NULL: the receiver is stopped' });

  const refused = channel('mariadb-10.11.19-wrong-password');
  assert.deepEqual([refused.state, refused.ioRunning, refused.lastIoErrno], ['connecting', 'connecting', 1045]);
  assert.match(refused.why, /^the receiver is connecting, error 1045: .*Access denied/);

  const broken = channel('mariadb-10.11.19-sql-error');
  assert.deepEqual([broken.state, broken.sqlRunning, broken.lastSqlErrno], ['stopped', false, 1062]);
  assert.match(broken.why, /^the applier is stopped, error 1062: .*Duplicate entry/);
  assert.equal(broken.lagSeconds.known, false);
});

test('what the applier is behind by while the receiver does not run is not the lag', async () => {
  for (const [io, why] of [
    ['No', 'the server says 7, but the receiver is stopped'],
    ['Connecting', 'the server says 7, but the receiver is connecting'],
  ] as const) {
    const row = { ...fixture('mariadb-10.11.19-running')[0], Slave_IO_Running: io, Seconds_Behind_Master: 7 };
    assert.deepEqual(channelOf(row, 5).lagSeconds, { known: false, why });
    const { samples } = await runner(replicationCollector)(fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': [row] }));
    const keys = [...samples.keys()];
    assert.ok(!keys.some((key) => key.startsWith('mysql_replication_lag_seconds')), 'ours');
    assert.ok(
      keys.some((key) => key.startsWith('mysql_slave_status_seconds_behind_master')),
      "the peer's is as the server says it",
    );
  }
});

test('MySQL 9.7: the new spelling is read the same way', async () => {
  const running = channel('mysql-9.7.4-running');
  assert.deepEqual([running.state, running.gtid, running.sourceServerId], ['running', 'auto_position', 11]);
  assert.deepEqual(running.lagSeconds, { known: true, value: 0, observedAtMs: 5 });
  assert.equal(running.received?.file, 'binlog.000001');
  assert.equal(running.heartbeats, undefined, 'the row does not count them');
  const mark = watchReceiver(running, undefined, at(0)).mark;
  assert.equal(watchReceiver(running, mark, at(1e9)).channel.state, 'running', 'so nothing is called stalled');

  const broken = channel('mysql-9.7.4-sql-error');
  assert.deepEqual([broken.state, broken.lastSqlErrno, broken.lagSeconds.known], ['stopped', 1396, false]);

  const client = fakeClient('9.7.4-2', {
    'SHOW REPLICA STATUS': fixture('mysql-9.7.4-running'),
    'SELECT @@GLOBAL.performance_schema': [{ enabled: 0 }],
  });
  const { samples } = await runner(replicationCollector)(client);
  const labels = `channel_name="",connection_name="",master_host="127.0.0.1",master_uuid="${running.sourceUuid}"`;
  for (const name of ['slave_io_running', 'replica_io_running', 'auto_position', 'get_master_public_key']) {
    assert.equal(samples.get(`mysql_slave_status_${name}{${labels}}`), 1, name);
  }
  assert.equal(samples.get(`mysql_slave_status_seconds_behind_master{${labels}}`), 0);
  assert.equal(samples.get(`mysql_slave_status_seconds_behind_source{${labels}}`), 0);
  assert.equal(samples.get(`mysql_slave_status_master_retry_count{${labels}}`), 10);
});

test('the statement is chosen by flavour and version', () => {
  const of = (text: string): string =>
    statusStatement({ flavour: text.includes('MariaDB') ? 'mariadb' : 'mysql', version: parseVersion(text) });
  assert.equal(of('10.4.2-MariaDB'), 'SHOW ALL SLAVES STATUS');
  assert.equal(of('5.5.5-11.4.2-MariaDB'), 'SHOW ALL SLAVES STATUS');
  assert.equal(of('5.7.44'), 'SHOW SLAVE STATUS');
  assert.equal(of('8.0.21'), 'SHOW SLAVE STATUS');
  assert.equal(of('8.0.22'), 'SHOW REPLICA STATUS');
  assert.equal(of('8.4.0'), 'SHOW REPLICA STATUS');
  assert.equal(of('9.7.4-1'), 'SHOW REPLICA STATUS');
  assert.deepEqual(parseVersion('5.5.5-10.11.19-MariaDB'), [10, 11, 19]);
});

test('a missing grant is told with the GRANT that is missing, by version', async () => {
  const denied = new TargetError('denied', 'mysql 192.0.2.1:3306: Access denied; you need SLAVE MONITOR');
  for (const [version, statement, privilege] of [
    [mariadb, 'SHOW ALL SLAVES STATUS', 'REPLICA MONITOR'],
    ['10.5.4-MariaDB', 'SHOW ALL SLAVES STATUS', 'REPLICATION SLAVE ADMIN'],
    ['10.4.9-MariaDB', 'SHOW ALL SLAVES STATUS', 'REPLICATION CLIENT'],
    ['9.7.4', 'SHOW REPLICA STATUS', 'REPLICATION CLIENT'],
  ] as const) {
    const client = fakeClient(version, { [statement]: denied });
    await assert.rejects(readReplication(client, testCall()), (error: unknown) => {
      assert.ok(error instanceof TargetError);
      assert.equal(error.code, 'denied');
      assert.ok(error.message.endsWith(`GRANT ${privilege} ON *.* TO 'exporter'@'%'`), error.message);
      return true;
    });
  }
});

test('every number is served in both spellings, under the labels of mysqld_exporter', async () => {
  const run = runner(replicationCollector);
  const client = fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': fixture('mariadb-10.11.19-running') });
  const { samples, error } = await run(client);
  assert.equal(error, undefined);
  const labels = 'channel_name="",connection_name="",master_host="127.0.0.1",master_uuid=""';
  const value = (name: string): number | undefined => samples.get(`mysql_slave_status_${name}{${labels}}`);
  for (const name of ['slave_io_running', 'replica_io_running', 'slave_sql_running', 'replica_sql_running']) {
    assert.equal(value(name), 1, name);
  }
  assert.equal(value('seconds_behind_master'), 0);
  assert.equal(value('seconds_behind_source'), 0);
  assert.equal(value('master_server_id'), 1);
  assert.equal(value('source_server_id'), 1);
  assert.equal(value('master_ssl_allowed'), 0);
  assert.equal(value('slave_heartbeat_period'), 1);
  assert.equal(value('sql_remaining_delay'), undefined, 'NULL is no series');
  assert.equal(value('using_gtid'), undefined, 'text is no series');
  assert.equal(
    samples.get(
      'mysql_slave_status_gtid_io_pos{channel_name="",connection_name="",domain_id="0",master_host="127.0.0.1",master_uuid="",server_id="1"}',
    ),
    11,
  );
  assert.equal(samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="",method="status"}'), 0);
});

test('a lag that is NULL has no sample; the state is always there and keeps the channels last seen', async () => {
  const run = runner(replicationCollector);
  const state = (name: string): string => `mysql_replication_state{channel_name="",connection_name="",state="${name}"}`;

  const before = await run(new Error('refused'));
  assert.deepEqual(statesOf(before.samples, 'mysql_replication_state'), [state('unknown')]);
  assert.equal(before.samples.size, 6);

  const none = await run(fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': [] }));
  assert.deepEqual(
    [...none.samples].filter(([, v]) => v === 1),
    [[state('not_configured'), 1]],
  );
  assert.equal(none.samples.size, 6);

  const [row] = fixture('mariadb-10.11.19-io-stopped');
  const rows = [
    { ...row, Connection_name: 'east' },
    { ...row, Connection_name: 'west' },
  ];
  const call = testCall();
  const stopped = await run(fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': rows }), call);
  assert.equal(statesOf(stopped.samples, 'mysql_replication_state').length, 2);
  assert.ok(![...stopped.samples.keys()].some((key) => key.includes('lag_seconds') || key.includes('seconds_behind')));
  const fact = call.board.read('db', replicationFact);
  assert.deepEqual(fact.known && fact.value.map((c) => [c.connectionName, c.state]), [
    ['east', 'stopped'],
    ['west', 'stopped'],
  ]);

  const away = await run(new Error('refused'));
  assert.deepEqual(statesOf(away.samples, 'mysql_replication_state'), [
    'mysql_replication_state{channel_name="",connection_name="east",state="unknown"}',
    'mysql_replication_state{channel_name="",connection_name="west",state="unknown"}',
  ]);
});

test('a receiver is stalled when neither events nor heartbeats came for more than two periods, and only then', () => {
  const running = channel('mariadb-10.11.19-running');
  const first = watchReceiver(running, undefined, at(0));
  assert.equal(first.channel.state, 'running');
  assert.equal(watchReceiver(running, first.mark, at(3000)).channel.state, 'running');
  const stalled = watchReceiver(running, first.mark, at(3001)).channel;
  assert.equal(stalled.state, 'stalled');
  assert.equal(stalled.lagSeconds.known, false, 'the server still says 0');

  const beat: ReplicaChannel = { ...running, heartbeats: { received: 1_000_000, periodSeconds: 1 } };
  const moved = watchReceiver(beat, first.mark, at(3001));
  assert.deepEqual([moved.channel.state, moved.mark.heardMs], ['running', 3001]);

  const off: ReplicaChannel = { ...running, heartbeats: { received: 0, periodSeconds: 0 } };
  const offMark = watchReceiver(off, undefined, at(0)).mark;
  assert.equal(watchReceiver(off, offMark, at(1e9)).channel.state, 'running', 'heartbeats are off');

  const waiting: ReplicaChannel = {
    ...running,
    ioState: 'Waiting for the slave SQL thread to free enough relay log space',
  };
  const waitingMark = watchReceiver(waiting, undefined, at(0)).mark;
  assert.equal(
    watchReceiver(waiting, waitingMark, at(1e9)).channel.state,
    'running',
    'it does not wait for its source',
  );
});

test('a status row of nonsense is refused, and a number of nonsense unknown, never NaN', async () => {
  const [row] = fixture('mariadb-10.11.19-running');
  const nonsense = Object.fromEntries(Object.keys(row ?? {}).map((name) => [name, '\u0000?']));
  for (const [odd, code] of [
    [nonsense, 'protocol'],
    [{}, 'protocol'],
    [{ ...row, Slave_SQL_Running: null }, 'protocol'],
    [{ ...row, Seconds_Behind_Master: 'soon', Slave_heartbeat_period: '-', Read_Master_Log_Pos: {} }, undefined],
  ] as const) {
    const { samples, error } = await runner(replicationCollector)(
      fakeClient(mariadb, { 'SHOW ALL SLAVES STATUS': [odd] }),
    );
    assert.equal(error === undefined ? undefined : classOf(error), code); // and the runner refuses NaN
    if (code !== undefined) {
      assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [
        'mysql_replication_state{channel_name="",connection_name="",state="unknown"}',
      ]);
    }
    assert.ok(![...samples.keys()].some((key) => key.startsWith('mysql_replication_lag_seconds')));
  }
});
