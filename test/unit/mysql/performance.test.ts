import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { mysqlError } from '../../../exporter/systems/mysql/facts-errors.ts';
import type { Row } from '../../../exporter/systems/mysql/client.ts';
import { performanceCollector } from '../../../exporter/systems/mysql/collector-performance.ts';
import { replicationCollector } from '../../../exporter/systems/mysql/collector-replication.ts';
import {
  receiverOf,
  receiversStatement,
  workerTimes,
  type Receiver,
} from '../../../exporter/systems/mysql/facts-performance.ts';
import { channelOf, watchReceiver, type ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { parseVersion } from '../../../exporter/systems/mysql/facts-version.ts';
import { fakeClient, fixture, runner, statesOf, type Answers } from './fake-client.ts';

/** As our statement read it from a replica of 9.7.4 in the time zone +05:30. */
const receiverRow: Row = {
  channel_name: '',
  thread_id: '76',
  received_heartbeats: '496',
  heartbeat_period: 2,
  now: '1795275098.455056',
  last_heartbeat: '1795275097.072558',
  last_queued_transaction_original_commit: '1795275079.065150',
  last_queued_transaction_immediate_commit: '1795275079.065150',
  last_queued_transaction_start_queue: '1795275079.066807',
  last_queued_transaction_end_queue: '1795275079.066828',
  queueing_transaction_original_commit: '0.000000',
  queueing_transaction_immediate_commit: '0.000000',
  queueing_transaction_start_queue: '0.000000',
  last_processed_transaction_original_commit: '1795275079.065150',
  last_processed_transaction_immediate_commit: '1795275079.065150',
  last_processed_transaction_start_buffer: '1795275079.066861',
  last_processed_transaction_end_buffer: '1795275079.093924',
  processing_transaction_original_commit: '0.000000',
  processing_transaction_immediate_commit: '0.000000',
  processing_transaction_start_buffer: '0.000000',
  queueing: '',
  processing: '',
  executed_all: '1',
};

const workerRow: Row = {
  channel_name: '',
  worker_id: '1',
  applying: '',
  ...Object.fromEntries(workerTimes.map((name) => [name, '0.000000'])),
  last_applied_transaction_immediate_commit: '1795275079.055661',
};

const mysqlAnswers: Answers = {
  'SHOW REPLICA STATUS': fixture('mysql-9.7.4-running'),
  'SELECT @@GLOBAL.performance_schema': [{ enabled: '1' }],
  'SELECT s.CHANNEL_NAME': [receiverRow],
  'SELECT w.CHANNEL_NAME': [workerRow],
  'SELECT m.CHANNEL_NAME': [],
};

/** One statement at a time, as on one connection. */
function queued(client: ReturnType<typeof fakeClient>): ReturnType<typeof fakeClient> {
  let last: Promise<unknown> = Promise.resolve();
  return {
    ...client,
    query: (sql, params, call) => {
      const next = last.then(async () => {
        await new Promise(setImmediate);
        return client.query(sql, params, call);
      });
      last = next.catch(() => undefined);
      return next;
    },
  };
}

test('names, labels and values are those of mysqld_exporter; 0 is never', async () => {
  const { samples, error } = await runner(performanceCollector)(fakeClient('9.7.4-2', mysqlAnswers));
  assert.equal(error, undefined);
  const worker = '{channel_name="",member_id="1"}';
  const value = (name: string, labels: string): number | undefined => samples.get(`mysql_perf_schema_${name}${labels}`);
  assert.equal(value('last_applied_transaction_immediate_commit_timestamp_seconds', worker), 1795275079.055661);
  for (const name of workerTimes.filter((n) => n !== 'last_applied_transaction_immediate_commit')) {
    assert.equal(value(`${name}_timestamp_seconds`, worker), 0, name);
  }
  assert.equal(value('last_heartbeat_timestamp_seconds', '{channel_name=""}'), 1795275097.072558);
  assert.equal(value('received_heartbeats_total', '{channel_name=""}'), 496);
  assert.equal(
    value('last_processed_transaction_end_buffer_timestamp_seconds', '{channel_name=""}'),
    1795275079.093924,
  );
  assert.deepEqual(statesOf(samples, 'mysql_perf_schema_replication_state'), [
    'mysql_perf_schema_replication_state{state="available"}',
  ]);
});

test('without a coordinator its times have no sample', async () => {
  const row = Object.fromEntries(Object.entries(receiverRow).map(([k, v]) => [k, k.includes('process') ? null : v]));
  const client = fakeClient('8.0.36', { ...mysqlAnswers, 'SELECT s.CHANNEL_NAME': [row] });
  const { samples } = await runner(performanceCollector)(client);
  assert.ok(![...samples.keys()].some((k) => k.includes('process')));
  assert.ok(samples.has('mysql_perf_schema_last_heartbeat_timestamp_seconds{channel_name=""}'));
});

test('nothing is asked where it cannot be answered', async () => {
  const mariadb = fakeClient('10.11.19-MariaDB', {});
  const { samples, error } = await runner(performanceCollector)(mariadb);
  assert.equal(error, undefined);
  assert.deepEqual(mariadb.asked, []);
  assert.deepEqual(statesOf(samples, 'mysql_perf_schema_replication_state'), [
    'mysql_perf_schema_replication_state{state="unsupported"}',
  ]);
  assert.deepEqual(statesOf(samples, 'mysql_replication_group_member_state'), [
    'mysql_replication_group_member_state{state="not_member"}',
  ]);

  const off = fakeClient('9.7.4-2', { 'SELECT @@GLOBAL.performance_schema': [{ enabled: '0' }] });
  const run = runner(performanceCollector);
  await run(off);
  const again = await run(off);
  assert.deepEqual(off.asked, ['SELECT @@GLOBAL.performance_schema AS enabled'], 'once per connection');
  assert.deepEqual(statesOf(again.samples, 'mysql_perf_schema_replication_state'), [
    'mysql_perf_schema_replication_state{state="off"}',
  ]);
  assert.deepEqual(statesOf(again.samples, 'mysql_replication_group_member_state'), [
    'mysql_replication_group_member_state{state="unknown"}',
  ]);
});

test('MySQL 5.7: heartbeats only, in the columns that it has', async () => {
  const of = (text: string): string => receiversStatement({ flavour: 'mysql', version: parseVersion(text) });
  assert.doesNotMatch(of('5.7.44'), /QUEUE|PROCESS|RECEIVED_TRANSACTION_SET|coordinator/);
  assert.match(of('8.0.11'), /LAST_QUEUED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP.*by_coordinator/s);

  const old = {
    channel_name: '',
    thread_id: '5',
    received_heartbeats: '3',
    heartbeat_period: 30,
    now: '100.5',
    last_heartbeat: '90',
  };
  const client = fakeClient('5.7.44-log', {
    'SELECT @@GLOBAL.performance_schema': [{ enabled: '1' }],
    'SELECT s.CHANNEL_NAME': [old],
  });
  const { samples } = await runner(performanceCollector)(client);
  assert.equal(samples.get('mysql_perf_schema_last_heartbeat_timestamp_seconds{channel_name=""}'), undefined);
  assert.equal(samples.get('mysql_perf_schema_received_heartbeats_total{channel_name=""}'), 3);
  assert.deepEqual([receiverOf(old, false).heardAtSeconds, receiverOf(old, false).times], [90, undefined]);
});

test('the collectors of one sweep ask each table once', async () => {
  const client = fakeClient('9.7.4-2', mysqlAnswers);
  const shared = queued(client);
  const results = await Promise.all([runner(replicationCollector)(shared), runner(performanceCollector)(shared)]);
  assert.deepEqual(
    results.map((r) => r.error),
    [undefined, undefined],
  );
  const starts = client.asked.map((sql) => sql.split(' ').slice(0, 2).join(' '));
  assert.deepEqual(starts.toSorted(), [
    'SELECT @@GLOBAL.performance_schema',
    'SELECT m.CHANNEL_NAME',
    'SELECT s.CHANNEL_NAME',
    'SELECT w.CHANNEL_NAME',
    'SHOW REPLICA',
  ]);
});

test('without the grants the status row is served all the same, and what is missing is told in full', async () => {
  const denied = new TargetError(
    'denied',
    "SELECT command denied to user 'exporter'@'x' for table 'replication_connection_status'",
  );
  const client = fakeClient('9.7.4-2', {
    ...mysqlAnswers,
    'SELECT s.CHANNEL_NAME': denied,
    'SELECT w.CHANNEL_NAME': denied,
  });
  const { samples, error } = await runner(replicationCollector)(client);
  assert.equal(error, undefined);
  assert.equal(samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="",method="status"}'), 0);
  assert.ok(![...samples.keys()].some((k) => k.includes('heartbeat_age') || k.includes('commit_timestamp')));

  const told = await runner(performanceCollector)(client);
  assert.ok(told.error instanceof TargetError);
  assert.equal(
    told.error.message.match(/GRANT SELECT ON performance_schema\.replication_\w+ TO 'exporter'@'%'/g)?.length,
    6,
  );
  assert.deepEqual(statesOf(told.samples, 'mysql_perf_schema_replication_state'), [
    'mysql_perf_schema_replication_state{state="unknown"}',
  ]);
});

test('a fork that lacks a column: the status row is served all the same', async () => {
  const cause = Object.assign(new Error("Unknown column 's.THREAD_ID' in 'field list'"), { errno: 1054 });
  const lacking = mysqlError(cause, 'mysql 192.0.2.1:3306');
  const client = fakeClient('8.0.36-fork', { ...mysqlAnswers, 'SELECT s.CHANNEL_NAME': lacking });
  const { samples, error } = await runner(replicationCollector)(client);
  assert.equal(error, undefined);
  assert.equal(samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="",method="status"}'), 0);
  assert.equal((await runner(performanceCollector)(client)).error, lacking);
  const other = mysqlError(Object.assign(new Error('Out of memory'), { errno: 1037 }), 'mysql 192.0.2.1:3306');
  const failing = fakeClient('8.0.36', { ...mysqlAnswers, 'SELECT s.CHANNEL_NAME': other });
  assert.equal((await runner(replicationCollector)(failing)).error, other, 'any other error is one');
});

test('MySQL: a receiver of which nothing is heard is stalled, by the counters of performance_schema', () => {
  const [row] = fixture('mysql-9.7.4-running');
  assert.ok(row);
  const running = channelOf(row, 5);
  const at = (seconds: number): { readonly monoMs: number; readonly wallMs: number } => ({
    monoMs: seconds * 1000,
    wallMs: seconds * 1000,
  });
  const receiver = receiverOf(receiverRow, true);
  const look = (
    seconds: number,
    before?: Parameters<typeof watchReceiver>[1],
    changed: Partial<Receiver> = {},
  ): ReturnType<typeof watchReceiver> =>
    watchReceiver(running, before, at(seconds), { ...receiver, nowSeconds: receiver.nowSeconds + seconds, ...changed });

  const first = look(0);
  assert.equal(first.channel.state, 'running');
  assert.deepEqual(first.channel.heartbeats, { received: 496, periodSeconds: 2 });
  assert.ok(first.heartbeatAgeSeconds.known);
  assert.equal(first.heartbeatAgeSeconds.value.toFixed(3), '1.382', 'by the clock of the server on both sides');
  assert.equal(look(5, first.mark).channel.state, 'running', 'two periods and a second are not over');
  const stalled = look(5.1, first.mark);
  assert.equal(stalled.channel.state, 'stalled');
  assert.equal(stalled.channel.lagSeconds.known, false);
  assert.ok(stalled.heartbeatAgeSeconds.known && stalled.heartbeatAgeSeconds.value > 6);
  assert.equal(look(5.1, first.mark, { receivedHeartbeats: 497 }).channel.state, 'running');

  const blind = watchReceiver(running, first.mark, at(4)); // performance_schema was not read at this look
  assert.deepEqual([blind.mark.heardMs, blind.mark.hasMoved], [0, false], 'which is no sign of life');
  assert.equal(look(5.1, blind.mark).mark.heardMs, 0);

  // After STOP and START the server still shows the heartbeat of before (seen on 9.7.4)
  const restarted = look(60, first.mark, { threadId: '99' });
  assert.equal(restarted.channel.state, 'running', 'two periods since its start are not over');
  assert.equal(look(66, restarted.mark, { threadId: '99' }).channel.state, 'stalled');
});

test('the age of what was heard: unknown, then at least, then since it was seen to change', () => {
  const [row] = fixture('mariadb-10.11.19-running');
  assert.ok(row);
  const channel = channelOf(row, 5);
  const at = (seconds: number): { readonly monoMs: number; readonly wallMs: number } => ({
    monoMs: seconds * 1000,
    wallMs: 0,
  });
  const beat = (received: number): ReplicaChannel => ({ ...channel, heartbeats: { received, periodSeconds: 1 } });
  const first = watchReceiver(beat(1), undefined, at(0));
  assert.equal(first.heartbeatAgeSeconds.known, false);
  assert.equal(watchReceiver(beat(1), first.mark, at(0.5)).heartbeatAgeSeconds.known, false, 'no heartbeat is due yet');
  const second = watchReceiver(beat(1), first.mark, at(10));
  assert.deepEqual(second.heartbeatAgeSeconds, { known: true, value: 10, observedAtMs: 0 });
  const moved = watchReceiver(beat(2), second.mark, at(20));
  assert.deepEqual(moved.heartbeatAgeSeconds, { known: true, value: 0, observedAtMs: 0 });
  const stopped = watchReceiver({ ...beat(2), ioRunning: 'no', state: 'stopped' }, moved.mark, at(25));
  assert.deepEqual(
    stopped.heartbeatAgeSeconds,
    { known: true, value: 5, observedAtMs: 0 },
    'a stop is no sign of life',
  );
});

test('what is no number ends the collector, and is not served', async () => {
  for (const name of ['last_heartbeat', 'received_heartbeats', 'heartbeat_period', 'now']) {
    const client = fakeClient('9.7.4-2', {
      ...mysqlAnswers,
      'SELECT s.CHANNEL_NAME': [{ ...receiverRow, [name]: 'x' }],
    });
    for (const collector of [performanceCollector, replicationCollector]) {
      const { error } = await runner(collector)(client);
      assert.ok(error instanceof TargetError && error.code === 'protocol', `${collector.name} ${name}`);
    }
  }
});
