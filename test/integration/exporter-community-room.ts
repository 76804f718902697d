// A pipeline that is played: what its exporter serves makes some rules of the community fire, and no others.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve } from '../../exporter/serve.ts';
import { playedSystem, type Played } from '../support/played-targets.ts';

export const version = '1.2.3';

/** What is so `t` seconds after the begin. */
function played(target: string, t: number): readonly Played[] | undefined {
  const mysql = (connected: number, uptime: number): Played[] => [
    ['mysql_global_status_threads_connected', connected],
    ['mysql_global_status_threads_running', 10],
    ['mysql_global_status_prepared_stmt_count', 1],
    ['mysql_global_status_uptime', uptime],
    ['mysql_global_status_questions', 1000 + 100 * t],
    ['mysql_global_status_innodb_log_waits', 0],
    ['mysql_global_status_innodb_num_open_files', 10],
    ['mysql_global_status_commands_total', t, { command: 'commit' }],
    ['mysql_global_variables_max_connections', 100],
    ['mysql_global_variables_max_prepared_stmt_count', 100],
    ['mysql_global_variables_open_files_limit', 1000],
    ['mysql_global_variables_innodb_force_recovery', 0],
  ];
  const replica = (io: number, lag: number | undefined): Played[] => {
    const labels = { channel_name: '', connection_name: '', master_host: 'db-src' };
    const both = (old: string, new_: string, value: number): Played[] => [
      [`mysql_slave_status_${old}`, value, labels],
      [`mysql_slave_status_${new_}`, value, labels],
    ];
    return [
      ...both('slave_io_running', 'replica_io_running', io),
      ...both('slave_sql_running', 'replica_sql_running', 1),
      ...both('master_server_id', 'source_server_id', 1),
      ['mysql_slave_status_sql_delay', 0, labels],
      ...(lag === undefined ? [] : both('seconds_behind_master', 'seconds_behind_source', lag)),
    ];
  };
  const redis = (
    role: string,
    clients: number,
    [used, most]: readonly [number, number],
    savedAgo: number,
  ): Played[] => [
    ['redis_instance_info', 1, { role }],
    ['redis_connected_slaves', role === 'master' ? 2 : 0],
    ['redis_connected_clients', clients],
    ['redis_memory_used_bytes', used],
    ['redis_memory_max_bytes', most],
    ['redis_total_system_memory_bytes', 10_000],
    ['redis_rdb_last_save_timestamp_seconds', Date.now() / 1000 - savedAgo],
    ['redis_rejected_connections_total', 0],
  ];
  const partition = (topic: string, number: string, isr: number, end: number): Played[] => [
    ['kafka_topic_partition_in_sync_replica', isr, { topic, partition: number }],
    ['kafka_topic_partition_current_offset', end, { topic, partition: number }],
    ['kafka_topic_partition_under_replicated_partition', 0, { topic, partition: number }],
  ];
  const lag = (consumergroup: string, value: number): Played => [
    'kafka_consumergroup_lag',
    value,
    { consumergroup, topic: 'orders', partition: '0' },
  ];
  switch (target) {
    case 'db-src':
      return [...mysql(90, 30), ['mysql_global_status_slow_queries', t]];
    case 'db-a': // far behind, and catching up so fast that in two minutes it would be there, for a quarter of an hour
      return [...mysql(10, 5000), ...replica(1, 1e9 * Math.exp(-t / 60))];
    case 'db-b': // hardly behind, and growing; with Galera and a heartbeat that are not well
      return [
        ...mysql(10, 5000),
        ...replica(1, 5 + 0.01 * t),
        ['mysql_global_status_wsrep_ready', 0],
        ['mysql_heartbeat_stored_timestamp_seconds', 1000, { server_id: '1' }],
        ['mysql_heartbeat_now_timestamp_seconds', 1100 + t, { server_id: '1' }],
      ];
    case 'db-c': // its receiver has stopped
      return [...mysql(10, 5000), ...replica(0, undefined)];
    case 'r1': // without maxmemory
      return redis('master', 150, [1000, 0], 90_000);
    case 'r2':
      return [...redis('slave', 5, [10, 1000], 60), ['redis_master_link_up', 0]];
    case 'r3':
      return [...redis('slave', 5, [950, 1000], 60), ['redis_master_link_up', 1]];
    case 'k':
      return [
        ['kafka_brokers', 3],
        ...partition('orders', '0', 3, 1000 + 10 * t),
        ...partition('idle', '0', 2, 7),
        lag('behind', 20_000),
        lag('slower', 10 + 0.2 * t),
      ];
    case 'j': // so much collection that five minutes' rate is over its limit after seconds
      return [
        ['jvm_memory_used_bytes', 90, { area: 'heap' }],
        ['jvm_memory_max_bytes', 100, { area: 'heap' }],
        ['jvm_gc_collection_seconds_sum', 20 * t, { gc: 'G1 Young Generation' }],
        ['jvm_threads_deadlocked', 0],
        ['jvm_threads_state', 0, { state: 'BLOCKED' }],
      ];
    default:
      return undefined;
  }
}

export const kinds = { mysql: ['db-src', 'db-a', 'db-b', 'db-c', 'db-down'], redis: ['r1', 'r2', 'r3', 'r-down'], kafka: ['k'], jvm: ['j'] }; // prettier-ignore
export const document = {
  targets: Object.entries(kinds).flatMap(([kind, names]) => names.map((name) => ({ name, kind, address: {} }))),
  pipelines: [{ name: 'p', objective: '10s', source: 'db-src', replicas: ['db-a', 'db-b', 'db-c'] }],
};

/** Everything else is silent. The instance, and for rules that sum it away what is left. */
export const firing = [
  'MixinGaleraNotReady db-b',
  'MixinHeartbeatLag db-b',
  'MixinMySQLDown db-down',
  'MixinReplicationNotRunning db-c',
  'SamberMysqlDown db-down',
  'SamberRestarted db-src',
  'SamberSlaveIoThread db-c',
  'SamberSlaveLag db-a',
  'SamberSlowQueries db-src',
  'SamberTooManyConnections db-src',
  'PmmIoRunning db-c',
  'PmmReplicationLag db-a',
  'DocLagUnknown db-c',
  'ObservRedisMasterLinkDown r2',
  'SamberRedisDown r-down',
  'SamberRedisMaxmemory r3',
  'SamberRedisMissingBackup r1',
  'SamberRedisTooManyConnections r1',
  'ObservKafkaLagIsTooHigh orders behind',
  'ObservKafkaLagKeepsIncreasing orders slower',
  'SamberKafkaLag behind',
  'SamberKafkaTopicReplicas idle',
  'StrimziNoMessage k idle',
  'SamberJvmGcTime j',
  'SamberJvmMemory j',
].sort();

export interface Exporter {
  readonly inventory: Inventory;
  readonly port: number;
}

export async function startExporter(t: TestContext): Promise<Exporter> {
  const beganMs = systemClock.monoMs();
  const play = (target: string): readonly Played[] | undefined =>
    played(target, (systemClock.monoMs() - beganMs) / 1000);
  const inventory = inventoryOf(
    document,
    'test.yml',
    Object.keys(kinds).map((kind) => playedSystem(kind, play)),
  );
  const serving = await serve({
    load: () => Promise.resolve(inventory),
    listen: [{ host: '127.0.0.1', port: 0 }],
    version,
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
  });
  t.after(() => serving.stop());
  const port = serving.addresses[0]?.port;
  assert.ok(port !== undefined);
  return { inventory, port };
}
