import { statusNumber } from './facts-values.ts';
import { plainStatus } from './families-status.ts';

/**
 * Status variables that are served under a label, without being asked for: what changes data or its form, transactions,
 * the commands of replication, and all handler calls.
 */
const labelledStatus = [
  ...[
    'admin_commands',
    'alter_table',
    'begin',
    'call_procedure',
    'change_db',
    'change_master', // MariaDB, MySQL before 8.4
    'change_repl_filter',
    'change_replication_source',
    'commit',
    'create_db',
    'create_index',
    'create_table',
    'delete',
    'delete_multi',
    'drop_db',
    'drop_index',
    'drop_table',
    'flush',
    'insert',
    'insert_select',
    'kill',
    'load',
    'lock_tables',
    'optimize',
    'purge',
    'purge_before_date',
    'rename_table',
    'replace',
    'replace_select',
    'replica_start',
    'replica_stop',
    'reset',
    'rollback',
    'select',
    'set_option',
    'show_binary_log_status',
    'show_binlog_status',
    'show_binlogs',
    'show_replica_status',
    'show_slave_status',
    'show_status',
    'show_variables',
    'slave_start',
    'slave_stop',
    'start_slave',
    'stmt_close',
    'stmt_execute',
    'stmt_prepare',
    'stop_slave',
    'truncate',
    'update',
    'update_multi',
    'xa_commit',
    'xa_prepare',
    'xa_rollback',
  ].map((command) => `com_${command}`),
  ...[
    'commit',
    'delete',
    'discover',
    'external_lock',
    'icp_attempts',
    'icp_match',
    'mrr_init',
    'mrr_key_refills',
    'mrr_rowid_refills',
    'prepare',
    'read_first',
    'read_key',
    'read_last',
    'read_next',
    'read_prev',
    'read_retry',
    'read_rnd',
    'read_rnd_deleted',
    'read_rnd_next',
    'rollback',
    'savepoint',
    'savepoint_rollback',
    'tmp_delete',
    'tmp_update',
    'tmp_write',
    'update',
    'write',
  ].map((handler) => `handler_${handler}`),
  ...['accept', 'internal', 'max_connections', 'peer_address', 'select', 'tcpwrap'].map(
    (e) => `connection_errors_${e}`,
  ),
  ...['data', 'dirty', 'flushed', 'free', 'made_not_young', 'made_young', 'misc', 'old'].map(
    (state) => `innodb_buffer_pool_pages_${state}`,
  ),
  ...['deleted', 'inserted', 'read', 'updated'].map((operation) => `innodb_rows_${operation}`),
];

const galeraTexts = [
  'wsrep_local_state_uuid',
  'wsrep_cluster_state_uuid',
  'wsrep_provider_version',
  'wsrep_evs_repl_latency',
];

/** What is asked for when nothing else is said. */
export const defaultStatusNames: readonly string[] = [...plainStatus, ...labelledStatus, ...galeraTexts];

export type LabelledStatus =
  'commands' | 'handlers' | 'connectionErrors' | 'rowOps' | 'pages' | 'dirtyPages' | 'pageChanges' | 'instrumentsLost';

const groups: readonly (readonly [prefix: string, family: LabelledStatus])[] = [
  ['com_', 'commands'],
  ['handler_', 'handlers'],
  ['connection_errors_', 'connectionErrors'],
  ['innodb_buffer_pool_pages_', 'pages'],
  ['innodb_rows_', 'rowOps'],
  ['performance_schema_', 'instrumentsLost'],
];

const pageStates = new Set(['data', 'free', 'misc', 'old']);

/**
 * Which family a status variable belongs to, with the value of its label; undefined for those that are families of
 * their own. `none`: the sum of the pages, which mysqld_exporter leaves out, as it would count them twice.
 */
export function groupOf(
  name: string,
): { readonly family: LabelledStatus | 'none'; readonly label: string } | undefined {
  const [prefix, family] = groups.find(([start]) => name.startsWith(start)) ?? [];
  if (prefix === undefined || family === undefined) return undefined;
  const label = name.slice(prefix.length);
  if (family !== 'pages' || pageStates.has(label)) return { family, label };
  if (label === 'dirty') return { family: 'dirtyPages', label };
  return { family: label === 'total' ? 'none' : 'pageChanges', label };
}

/** `min/avg/max/stdev/samples`; undefined when it is anything else. */
export function galeraLatency(text: string): readonly [number, number, number, number, number] | undefined {
  const [min, avg, max, stdev, samples, ...rest] = text.split('/').map(statusNumber);
  if (min === undefined || avg === undefined || max === undefined || stdev === undefined) return undefined;
  return samples === undefined || rest.length > 0 ? undefined : [min, avg, max, stdev, samples];
}
