import { gauge, openFamily, type Family } from '../../families.ts';

// Names, types and labels of mysqld_exporter 0.14 to 0.20 (collector/global_variables.go), but for mysql_cdc_setting.

const absent = { state: 'pipemedic_collector_success' } as const;

/**
 * Variables that are numbers or ON and OFF, that are served without being asked for: those that pipelines need and those
 * that mysqld-mixin, samber's rules and the dashboards 7362 and 14057 query. Each server has a part of them.
 */
export const plainVariables = [
  'binlog_annotate_row_events', // MariaDB
  'binlog_cache_size',
  'binlog_commit_wait_count', // MariaDB
  'binlog_commit_wait_usec', // MariaDB
  'binlog_expire_logs_auto_purge',
  'binlog_expire_logs_seconds',
  'binlog_group_commit_sync_delay',
  'binlog_order_commits',
  'binlog_transaction_compression',
  'enforce_gtid_consistency',
  'event_scheduler',
  'expire_logs_days',
  'gtid_domain_id', // MariaDB
  'gtid_mode',
  'gtid_strict_mode', // MariaDB
  'innodb_buffer_pool_size',
  'innodb_file_per_table',
  'innodb_flush_log_at_trx_commit',
  'innodb_force_recovery',
  'innodb_io_capacity',
  'innodb_lock_wait_timeout',
  'innodb_log_buffer_size',
  'innodb_log_file_size',
  'innodb_page_size',
  'innodb_read_only',
  'innodb_redo_log_capacity',
  'interactive_timeout',
  'join_buffer_size',
  'key_buffer_size',
  'log_bin',
  'log_bin_compress', // MariaDB
  'log_replica_updates',
  'log_slave_updates',
  'long_query_time',
  'lower_case_table_names',
  'max_allowed_packet',
  'max_binlog_cache_size',
  'max_binlog_size',
  'max_connect_errors',
  'max_connections',
  'max_heap_table_size',
  'max_prepared_stmt_count',
  'max_relay_log_size',
  'max_user_connections',
  'net_read_timeout',
  'net_write_timeout',
  'offline_mode',
  'open_files_limit',
  'performance_schema',
  'query_cache_size',
  'query_cache_type',
  'read_buffer_size',
  'read_only',
  'read_rnd_buffer_size',
  'relay_log_recovery',
  'relay_log_space_limit',
  'replica_net_timeout',
  'replica_parallel_workers',
  'require_secure_transport',
  'rpl_semi_sync_master_enabled',
  'rpl_semi_sync_master_timeout',
  'rpl_semi_sync_replica_enabled',
  'rpl_semi_sync_slave_enabled',
  'rpl_semi_sync_source_enabled',
  'rpl_semi_sync_source_timeout',
  'server_id',
  'slave_net_timeout',
  'slave_parallel_threads', // MariaDB
  'slave_parallel_workers',
  'slow_query_log',
  'sort_buffer_size',
  'super_read_only',
  'sync_binlog',
  'sync_relay_log',
  'table_definition_cache',
  'table_open_cache',
  'thread_cache_size',
  'thread_stack',
  'tmp_table_size',
  'wait_timeout',
  'wsrep_desync',
  'wsrep_on',
  'wsrep_slave_threads',
] as const;

export type PlainVariable = (typeof plainVariables)[number];

const plainFamilies = Object.fromEntries(
  plainVariables.map((name) => [
    name,
    gauge(`mysql_global_variables_${name}`, 'Generic gauge metric from SHOW GLOBAL VARIABLES.', [], absent),
  ]),
) as Record<PlainVariable, Family<readonly []>>; // fromEntries forgets the keys

export const variableFamilies = {
  ...plainFamilies,
  isolation: gauge('mysql_transaction_isolation', 'Default isolation level of transactions: 1.', ['level'], absent),
  galeraVariables: gauge(
    'mysql_galera_variables_info',
    'Name of the Galera cluster: 1.',
    ['wsrep_cluster_name'],
    absent,
  ),
  gcacheSize: gauge('mysql_galera_gcache_size_bytes', 'Size of the Galera write-set cache.', [], absent),
  /**
   * A state set, so that a change never makes a series vanish: `== 1` gives exactly one series per variable to join with
   * `on (target) group_left (value)`, and `changes(…[1h]) > 0` sees a change.
   */
  setting: gauge(
    'mysql_cdc_setting',
    'Text variables that readers of changes depend on: 1 for the value in force, 0 for the other possible values and for those that were in force before.',
    ['variable', 'value'],
    absent,
  ),
} as const;

/** Every other variable that is a number, when it is asked for. */
export const variableOpen = {
  other: openFamily('mysql_global_variables_', 'gauge', 'Generic gauge metric from SHOW GLOBAL VARIABLES.', []),
} as const;
