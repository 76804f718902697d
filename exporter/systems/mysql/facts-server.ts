import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from './client.ts';
import { atLeast } from './facts-version.ts';

/** What a server is and how it writes its binary logs. Undefined where its version has no such variable. */
export interface MysqlServer {
  readonly flavour: 'mysql' | 'mariadb';
  readonly version: string;
  readonly versionComment: string;
  readonly innodbVersion: string;
  readonly serverId: number;
  /** MySQL only */
  readonly serverUuid: string | undefined;
  readonly logBin: boolean;
  readonly binlogFormat: string | undefined;
  readonly binlogRowImage: string | undefined;
  readonly binlogRowMetadata: string | undefined;
  /** MySQL: PARTIAL_JSON or empty */
  readonly binlogRowValueOptions: string | undefined;
  readonly gtidMode: string | undefined;
  readonly enforceGtidConsistency: string | undefined;
  /** Whether it writes what it replicates into its own binary logs. */
  readonly logReplicaUpdates: boolean | undefined;
  readonly retention: Retention;
  readonly readOnly: boolean;
  readonly superReadOnly: boolean | undefined;
  /** Undefined where the plugin is not installed. */
  readonly semiSync: { readonly source: boolean | undefined; readonly replica: boolean | undefined };
}

/** How long the server keeps a binary log before it removes it by itself. */
export type Retention =
  | { readonly kind: 'forever' }
  | { readonly kind: 'seconds'; readonly seconds: number; readonly variable: string }
  /** Not by time, or not by a variable that can be read. */
  | { readonly kind: 'unknown'; readonly why: string };

export const serverFact = factKey<MysqlServer>('mysql.server');

const names = [
  'version',
  'version_comment',
  'innodb_version',
  'server_id',
  'server_uuid',
  'log_bin',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'gtid_mode',
  'enforce_gtid_consistency',
  'log_slave_updates',
  'log_replica_updates',
  'binlog_expire_logs_seconds',
  'binlog_expire_logs_auto_purge',
  'expire_logs_days',
  'max_binlog_total_size',
  'basedir',
  'aurora_version',
  'read_only',
  'super_read_only',
  'rpl_semi_sync_master_enabled',
  'rpl_semi_sync_source_enabled',
  'rpl_semi_sync_slave_enabled',
  'rpl_semi_sync_replica_enabled',
] as const;
type Name = (typeof names)[number];

/** Asks by name and takes what is there: a variable that a version lacks is no error. Needs no grants. */
export async function readServer(client: MysqlClient, call: Call): Promise<MysqlServer> {
  const wanted = names.map((name) => `'${name}'`).join(', ');
  const rows = await client.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${wanted})`, [], call);
  const variables = new Map<string, string>();
  for (const { Variable_name: name, Value: value } of rows) {
    if (typeof name === 'string' && typeof value === 'string') variables.set(name.toLowerCase(), value);
  }
  // Every version has these: an answer without them is none, and must not read as "off".
  for (const name of ['version', 'log_bin', 'server_id', 'read_only'] as const) {
    if (!variables.has(name)) throw new TargetError('protocol', `mysql ${client.at}: tells no ${name}`);
  }
  if (!/^(ON|OFF)$/.test(variables.get('log_bin') ?? '') || numberOf(variables.get('server_id')) === undefined) {
    throw new TargetError('protocol', `mysql ${client.at}: log_bin or server_id has no value that there is`);
  }
  return serverOf(variables, client.flavour);
}

const versions = new WeakMap<MysqlClient, MysqlServer>();

/** As it was when the connection began: for what cannot change before the server is restarted. */
export async function readServerOnce(client: MysqlClient, call: Call): Promise<MysqlServer> {
  const before = versions.get(client);
  if (before !== undefined) return before;
  const server = await readServer(client, call);
  versions.set(client, server);
  return server;
}

export function serverOf(variables: ReadonlyMap<string, string>, flavour: MysqlServer['flavour']): MysqlServer {
  const text = (name: Name): string | undefined => variables.get(name);
  const either = (a: Name, b: Name): boolean | undefined => onOff(text(a) ?? text(b));
  return {
    flavour,
    version: text('version') ?? '',
    versionComment: text('version_comment') ?? '',
    innodbVersion: text('innodb_version') ?? '', // MariaDB has none since 10.10
    serverId: Number(text('server_id') ?? 0),
    serverUuid: text('server_uuid'),
    logBin: text('log_bin') === 'ON',
    binlogFormat: text('binlog_format'),
    binlogRowImage: text('binlog_row_image'),
    binlogRowMetadata: text('binlog_row_metadata'),
    binlogRowValueOptions: text('binlog_row_value_options'),
    gtidMode: text('gtid_mode'),
    enforceGtidConsistency: text('enforce_gtid_consistency'),
    logReplicaUpdates: either('log_replica_updates', 'log_slave_updates'),
    retention: retentionOf(variables),
    readOnly: /^(ON|1|READ_ONLY)/.test(text('read_only') ?? ''), // MariaDB 12: READ_ONLY, READ_ONLY_NO_LOCK…
    superReadOnly: onOff(text('super_read_only')),
    semiSync: {
      source: either('rpl_semi_sync_source_enabled', 'rpl_semi_sync_master_enabled'),
      replica: either('rpl_semi_sync_replica_enabled', 'rpl_semi_sync_slave_enabled'),
    },
  };
}

function onOff(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : /^(ON|1)$/i.test(text);
}

/**
 * https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html and
 * https://mariadb.com/kb/en/replication-and-binary-log-system-variables/: seconds since MySQL 8.0.1 and MariaDB 10.6.1,
 * days before; 0 keeps all.
 */
export function retentionOf(variables: ReadonlyMap<string, string>): Retention {
  if (isManaged(variables)) {
    const why = "a managed server keeps its own setting, 'binlog retention hours': CALL mysql.rds_show_configuration";
    return { kind: 'unknown', why };
  }
  const total = numberOf(variables.get('max_binlog_total_size'));
  if (total !== undefined && total > 0) {
    return { kind: 'unknown', why: `max_binlog_total_size = ${total}: the oldest go by size, whatever their age` };
  }
  if (onOff(variables.get('binlog_expire_logs_auto_purge')) === false) return { kind: 'forever' };
  const seconds = numberOf(variables.get('binlog_expire_logs_seconds'));
  if (seconds !== undefined && seconds > 0) return { kind: 'seconds', seconds, variable: 'binlog_expire_logs_seconds' };
  const days = numberOf(variables.get('expire_logs_days'));
  if (days !== undefined && days > 0) return { kind: 'seconds', seconds: days * 86_400, variable: 'expire_logs_days' };
  if (seconds === undefined && days === undefined) return { kind: 'unknown', why: 'the server has no such variable' };
  return { kind: 'forever' };
}

/**
 * RDS and Aurora purge by 'binlog retention hours', whatever the variables say. Told by `aurora_version` and `basedir`.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql-stored-proc-configuring.html
 */
export function isManaged(variables: ReadonlyMap<string, string>): boolean {
  return variables.has('aurora_version') || variables.get('basedir')?.startsWith('/rdsdbbin/') === true;
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

/** How far the server's clock is ahead of ours, and by how much that may be wrong. */
export interface ClockOffset {
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

export async function readClockOffset(client: MysqlClient, call: Call): Promise<ClockOffset> {
  const [monoMs, wallMs] = [call.clock.monoMs(), call.clock.wallMs()];
  const [row] = await client.query('SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 AS now_ms', [], call);
  const halfMs = (call.clock.monoMs() - monoMs) / 2;
  const nowMs = numberOf(String(row?.['now_ms']));
  if (nowMs === undefined) throw new TargetError('protocol', `mysql ${client.at}: tells no time`);
  return { offsetMs: nowMs - (wallMs + halfMs), uncertaintyMs: halfMs + 1 };
}

/** Older ones get no corrections from their makers any more, and their statements are not tried here. */
export function isSupported(client: Pick<MysqlClient, 'flavour' | 'version'>): boolean {
  return client.flavour === 'mariadb' ? atLeast(client, 10, 3, 0) : atLeast(client, 5, 7, 0);
}
