import { counter, gauge, openFamily, untyped, type Family } from '../../families.ts';

// Names, types and labels of mysqld_exporter 0.14 to 0.20 (collector/global_status.go).

const absent = { state: 'pipemedic_collector_success' } as const;

/**
 * Status variables, in lower case, that are served without being asked for: those that pipelines need and those that
 * mysqld-mixin, samber's rules and the dashboards 7362 and 14057 query. Each server has a part of them.
 */
export const plainStatus = [
  'aborted_clients',
  'aborted_connects',
  'binlog_bytes_written', // MariaDB
  'binlog_cache_disk_use',
  'binlog_cache_use',
  'binlog_commits', // MariaDB
  'binlog_group_commits', // MariaDB
  'binlog_stmt_cache_disk_use',
  'binlog_stmt_cache_use',
  'bytes_received',
  'bytes_sent',
  'connections',
  'created_tmp_disk_tables',
  'created_tmp_files',
  'created_tmp_tables',
  'innodb_buffer_pool_bytes_data',
  'innodb_buffer_pool_bytes_dirty',
  'innodb_buffer_pool_read_requests',
  'innodb_buffer_pool_reads',
  'innodb_buffer_pool_wait_free',
  'innodb_buffer_pool_write_requests',
  'innodb_checkpoint_age', // MariaDB
  'innodb_data_fsyncs',
  'innodb_data_read',
  'innodb_data_reads',
  'innodb_data_writes',
  'innodb_data_written',
  'innodb_deadlocks', // MariaDB
  'innodb_history_list_length', // MariaDB
  'innodb_log_waits',
  'innodb_log_write_requests',
  'innodb_log_writes',
  'innodb_num_open_files',
  'innodb_os_log_written',
  'innodb_page_size',
  'innodb_row_lock_current_waits',
  'innodb_row_lock_time',
  'innodb_row_lock_time_avg',
  'innodb_row_lock_time_max',
  'innodb_row_lock_waits',
  'key_read_requests',
  'key_reads',
  'key_write_requests',
  'key_writes',
  'max_used_connections',
  'memory_used', // MariaDB
  'open_files',
  'open_table_definitions',
  'open_tables',
  'opened_files',
  'opened_table_definitions',
  'opened_tables',
  'prepared_stmt_count',
  'qcache_free_blocks',
  'qcache_free_memory',
  'qcache_hits',
  'qcache_inserts',
  'qcache_lowmem_prunes',
  'qcache_not_cached',
  'qcache_queries_in_cache',
  'qcache_total_blocks',
  'queries',
  'questions',
  'rpl_semi_sync_master_clients',
  'rpl_semi_sync_master_no_times',
  'rpl_semi_sync_master_no_tx',
  'rpl_semi_sync_master_status',
  'rpl_semi_sync_master_tx_avg_wait_time',
  'rpl_semi_sync_master_tx_waits',
  'rpl_semi_sync_master_wait_sessions',
  'rpl_semi_sync_master_yes_tx',
  'rpl_semi_sync_replica_status',
  'rpl_semi_sync_slave_status',
  'rpl_semi_sync_source_clients',
  'rpl_semi_sync_source_no_times',
  'rpl_semi_sync_source_no_tx',
  'rpl_semi_sync_source_status',
  'rpl_semi_sync_source_tx_avg_wait_time',
  'rpl_semi_sync_source_tx_waits',
  'rpl_semi_sync_source_wait_sessions',
  'rpl_semi_sync_source_yes_tx',
  'select_full_join',
  'select_full_range_join',
  'select_range',
  'select_range_check',
  'select_scan',
  'replica_open_temp_tables',
  'slave_open_temp_tables',
  'slaves_connected', // MariaDB
  'slaves_running', // MariaDB
  'slow_launch_threads',
  'slow_queries',
  'sort_merge_passes',
  'sort_range',
  'sort_rows',
  'sort_scan',
  'ssl_server_not_after',
  'table_locks_immediate',
  'table_locks_waited',
  'table_open_cache_hits',
  'table_open_cache_misses',
  'table_open_cache_overflows',
  'threads_cached',
  'threads_connected',
  'threads_created',
  'threads_running',
  'uptime',
  'wsrep_cluster_conf_id',
  'wsrep_cluster_size',
  'wsrep_cluster_status',
  'wsrep_connected',
  'wsrep_flow_control_paused',
  'wsrep_flow_control_paused_ns',
  'wsrep_flow_control_recv',
  'wsrep_flow_control_sent',
  'wsrep_local_bf_aborts',
  'wsrep_local_cert_failures',
  'wsrep_local_recv_queue',
  'wsrep_local_recv_queue_avg',
  'wsrep_local_send_queue',
  'wsrep_local_state',
  'wsrep_ready',
] as const;

export type PlainStatus = (typeof plainStatus)[number];

const plainFamilies = Object.fromEntries(
  plainStatus.map((name) => [
    name,
    untyped(`mysql_global_status_${name}`, 'Generic metric from SHOW GLOBAL STATUS.', [], absent),
  ]),
) as Record<PlainStatus, Family<readonly []>>; // fromEntries forgets the keys

export const statusFamilies = {
  ...plainFamilies,
  commands: counter('mysql_global_status_commands_total', 'Number of executed commands.', ['command'], absent),
  handlers: counter('mysql_global_status_handlers_total', 'Number of executed handler calls.', ['handler'], absent),
  connectionErrors: counter(
    'mysql_global_status_connection_errors_total',
    'Number of connections that were refused or broke while they were made.',
    ['error'],
    absent,
  ),
  rowOps: counter(
    'mysql_global_status_innodb_row_ops_total',
    'Number of InnoDB row operations.',
    ['operation'],
    absent,
  ),
  pages: gauge('mysql_global_status_buffer_pool_pages', 'Pages of the InnoDB buffer pool by state.', ['state'], absent),
  dirtyPages: gauge(
    'mysql_global_status_buffer_pool_dirty_pages',
    'Dirty pages of the InnoDB buffer pool.',
    [],
    absent,
  ),
  pageChanges: counter(
    'mysql_global_status_buffer_pool_page_changes_total',
    'Changes of state of pages of the InnoDB buffer pool.',
    ['operation'],
    absent,
  ),
  instrumentsLost: counter(
    'mysql_global_status_performance_schema_lost_total',
    'Instruments that could not be loaded or created for lack of memory.',
    ['instrumentation'],
    absent,
  ),
  galeraStatus: gauge(
    'mysql_galera_status_info',
    'Identity of this Galera node: 1.',
    ['wsrep_local_state_uuid', 'wsrep_cluster_state_uuid', 'wsrep_provider_version'],
    absent,
  ),
  galeraLatencyMin: gauge(
    'mysql_galera_evs_repl_latency_min_seconds',
    'Latency of Galera group communication, least.',
    [],
    absent,
  ),
  galeraLatencyAvg: gauge(
    'mysql_galera_evs_repl_latency_avg_seconds',
    'Latency of Galera group communication, mean.',
    [],
    absent,
  ),
  galeraLatencyMax: gauge(
    'mysql_galera_evs_repl_latency_max_seconds',
    'Latency of Galera group communication, greatest.',
    [],
    absent,
  ),
  galeraLatencyStdev: gauge(
    'mysql_galera_evs_repl_latency_stdev',
    'Latency of Galera group communication, standard deviation.',
    [],
    absent,
  ),
  galeraLatencySamples: gauge(
    'mysql_galera_evs_repl_latency_sample_size',
    'Latency of Galera group communication, number of samples.',
    [],
    absent,
  ),
} as const;

/** Every other status variable that is a number, when it is asked for. */
export const statusOpen = {
  other: openFamily('mysql_global_status_', 'untyped', 'Generic metric from SHOW GLOBAL STATUS.', []),
} as const;
