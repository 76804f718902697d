import { gauge, openFamily, untyped, type Family } from '../../families.ts';

export const mysqlUp = gauge('mysql_up', 'Whether the MySQL server is up.', []);

export const channelLabels = ['channel_name', 'connection_name'] as const;
const statusLabels = ['master_host', 'master_uuid', ...channelLabels] as const;
const gtidLabels = [...statusLabels, 'domain_id', 'server_id'] as const;
const absent = { state: 'mysql_replication_state' } as const;

/** Emitted by several collectors, each with its method. */
export const replicationLag = gauge(
  'mysql_replication_lag_seconds',
  'How far this replica is behind its source: status is what the server itself says, heartbeat the age of the row in a heartbeat table, commit_timestamp the age of the oldest transaction received and not applied. Absent while that is not known.',
  [...channelLabels, 'method'],
  absent,
);

// The numeric columns of the replica status of MySQL 5.7 to 9.7 and MariaDB 10.5 to 12. `using_gtid` is a number (0)
// only while it says No.
const plainColumns = [
  'auto_position',
  'connect_retry',
  'executed_log_entries',
  'last_errno',
  'last_io_errno',
  'last_sql_errno',
  'max_relay_log_size',
  'relay_log_pos',
  'relay_log_space',
  'retried_transactions',
  'skip_counter',
  'sql_delay',
  'sql_remaining_delay',
  'until_log_pos',
  'using_gtid',
] as const;

/** In the spelling that MariaDB keeps and MySQL had before 8.4; the other one is made of it. */
const renamedColumns = [
  'exec_master_log_pos',
  'get_master_public_key',
  'master_last_event_time',
  'master_port',
  'master_retry_count',
  'master_server_id',
  'master_slave_time_diff',
  'master_ssl_allowed',
  'master_ssl_verify_server_cert',
  'read_master_log_pos',
  'seconds_behind_master',
  'slave_ddl_groups',
  'slave_heartbeat_period',
  'slave_io_running',
  'slave_last_event_time',
  'slave_non_transactional_groups',
  'slave_received_heartbeats',
  'slave_sql_running',
  'slave_transactional_groups',
] as const;

type Renamed = (typeof renamedColumns)[number];
type StatusFamily = Family<typeof statusLabels>;
type StatusKey = (typeof plainColumns)[number] | Renamed | `new_${Renamed}`;

/** Of a column in the old spelling; rules and dashboards exist for both. */
export function newSpelling(column: string): string {
  return column.replaceAll('master', 'source').replaceAll('slave', 'replica');
}

const statusHelp = 'Generic metric from SHOW SLAVE STATUS.';

function statusFamily(column: string): StatusFamily {
  return untyped(`mysql_slave_status_${column}`, statusHelp, statusLabels, absent);
}

const statusFamilies = Object.fromEntries([
  ...[...plainColumns, ...renamedColumns].map((column) => [column, statusFamily(column)]),
  ...renamedColumns.map((column) => [`new_${column}`, statusFamily(newSpelling(column))]),
]) as Record<StatusKey, StatusFamily>; // fromEntries forgets the keys

/** Column, in the old spelling -> the keys of its families. */
export const statusColumns: ReadonlyMap<string, readonly StatusKey[]> = new Map<string, readonly StatusKey[]>([
  ...plainColumns.map((column) => [column, [column]] as const),
  ...renamedColumns.map((column) => [column, [column, `new_${column}`]] as const),
]);

/** Any other column that is a number: of a version to come, or text that happens to be one, as in mysqld_exporter. */
export const openStatusFamilies = {
  column: openFamily('mysql_slave_status_', 'untyped', statusHelp, statusLabels),
} as const;

export const replicationFamilies = {
  ...statusFamilies,
  gtid_io_pos: gauge(
    'mysql_slave_status_gtid_io_pos',
    'Sequence number of the GTID received last.',
    gtidLabels,
    absent,
  ),
  gtid_slave_pos: gauge(
    'mysql_slave_status_gtid_slave_pos',
    'Sequence number of the GTID applied last.',
    gtidLabels,
    absent,
  ),
  state: gauge(
    'mysql_replication_state',
    'State of each replication channel: one series per state, 1 for the present one. stalled: nothing comes from the source, not even a heartbeat.',
    [...channelLabels, 'state'],
  ),
  lag: replicationLag,
  heartbeatAge: gauge(
    'mysql_replication_receiver_heartbeat_age_seconds',
    'How long ago the receiver last heard of its source, by a heartbeat or a transaction. By the clock of the server where it tells (MySQL), else since this was seen to change.',
    channelLabels,
    absent,
  ),
} as const;
