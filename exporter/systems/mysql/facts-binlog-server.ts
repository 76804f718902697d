// Who the server is that writes binary logs, and how long it means to keep them.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from './client.ts';
import type { Binlogs } from './facts-binlogs.ts';
import type { ReplicaChannel } from './facts-replication.ts';
import { isManaged } from './facts-server.ts';

/** What tells servers of one topology apart: MySQL by UUID, MariaDB by the id, which must be unique there. */
export interface ServerIdentity {
  readonly serverId: number;
  /** MySQL only */
  readonly serverUuid: string | undefined;
}

/** When the server purges binary logs by itself; undefined: not for that reason. */
export interface BinlogRetention {
  readonly seconds: number | undefined;
  readonly bytes: number | undefined;
  /** The provider of the server purges them by a setting of its own: neither is known. */
  readonly isManaged?: true;
}

export interface BinlogServer extends ServerIdentity {
  readonly retention: BinlogRetention;
}

/** Binary logs with whose they are and when that was read, for those who read them. */
export interface SourceLog extends ServerIdentity {
  readonly binlogs: Binlogs;
  /** On the monotonic clock: before the position was asked for. */
  readonly askedAtMonoMs: number;
}

export const sourceLogFact = factKey<SourceLog>('mysql.source_log');

const names = [
  'server_id',
  'server_uuid',
  'binlog_expire_logs_seconds',
  'binlog_expire_logs_auto_purge',
  'expire_logs_days',
  'max_binlog_total_size',
  'basedir',
  'aurora_version',
] as const;

/** Asks by name and takes what is there: a variable that a version lacks is no error. Needs no grants. */
export async function readBinlogServer(client: MysqlClient, call: Call): Promise<BinlogServer> {
  const wanted = names.map((name) => `'${name}'`).join(', ');
  const rows = await client.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${wanted})`, [], call);
  const variables = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  const serverId = variables.get('server_id');
  if (serverId === undefined) throw new TargetError('protocol', `mysql ${client.at}: tells no server_id`);
  return {
    serverId: Number(serverId),
    serverUuid: variables.get('server_uuid'),
    retention: retentionOf(variables),
  };
}

/**
 * Seconds before days where both are set, as MySQL 8.0 has it; MariaDB since 10.6.1 keeps the two alike, and its days may
 * have a fraction. 0 is no limit. MySQL since 8.0.29 purges nothing with binlog_expire_logs_auto_purge=OFF.
 * https://dev.mysql.com/doc/refman/8.0/en/replication-options-binary-log.html,
 * https://mariadb.com/kb/en/replication-and-binary-log-system-variables/ (max_binlog_total_size: since 11.4)
 */
export function retentionOf(variables: ReadonlyMap<string, string>): BinlogRetention {
  if (isManaged(variables)) {
    return { seconds: undefined, bytes: undefined, isManaged: true };
  }
  const positive = (name: (typeof names)[number], unit: number): number | undefined => {
    const value = Number(variables.get(name) ?? 0);
    return value > 0 && Number.isFinite(value) ? value * unit : undefined;
  };
  const bytes = positive('max_binlog_total_size', 1);
  if (/^(OFF|0)$/i.test(variables.get('binlog_expire_logs_auto_purge') ?? '')) return { seconds: undefined, bytes };
  return { seconds: positive('binlog_expire_logs_seconds', 1) ?? positive('expire_logs_days', 86_400), bytes };
}

/**
 * Does the channel replicate from this server? Undefined while the replica does not tell, as it has not been connected
 * since it was started (seen on MariaDB 10.11: Master_Server_Id 0).
 */
export function replicatesFrom(
  channel: Pick<ReplicaChannel, 'sourceServerId' | 'sourceUuid'>,
  server: ServerIdentity,
): boolean | undefined {
  if (channel.sourceUuid !== '' && server.serverUuid !== undefined) {
    return channel.sourceUuid.toLowerCase() === server.serverUuid.toLowerCase();
  }
  return channel.sourceServerId === 0 ? undefined : channel.sourceServerId === server.serverId;
}

/**
 * The channels by which a server replicates from another one. Those of Group Replication stand in the same list (names
 * that are reserved for it); they have no source and no positions.
 */
export function channelsToSources<C extends Pick<ReplicaChannel, 'channelName'>>(channels: readonly C[]): readonly C[] {
  return channels.filter(({ channelName }) => !channelName.startsWith('group_replication_'));
}
