// How long the source keeps what Maxwell has not read.
import type { Call } from '../../collector.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { fileOf, type Binlogs } from '../mysql/facts-binlogs.ts';
import type { MaxwellHealth } from './facts-health.ts';
import type { MaxwellPosition } from './facts-position.ts';

/** Seconds after its last change at which the source removes a binary log file, or that it never does so by itself. */
export type Retention = number | 'unlimited';

// https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html, https://mariadb.com/kb/en/replication-and-binary-log-system-variables/
const variables = [
  'basedir',
  'binlog_expire_logs_seconds',
  'binlog_expire_logs_auto_purge',
  'expire_logs_days',
  'max_binlog_total_size',
  'binlog_space_limit',
] as const;

/** Needs no grants. */
export async function readRetention(source: MysqlClient, call: Call): Promise<Known<Retention>> {
  const wanted = variables.map((name) => `'${name}'`).join(', ');
  const rows = await source.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${wanted})`, [], call);
  return retentionOf(rows, call.clock.wallMs());
}

export function retentionOf(rows: readonly Row[], observedAtMs: number): Known<Retention> {
  const values = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  const number = (name: (typeof variables)[number]): number => Number(values.get(name) ?? 0);
  // RDS and Aurora remove files by a setting of their own: CALL mysql.rds_show_configuration
  if (values.get('basedir')?.startsWith('/rdsdbbin/') === true) {
    return unknown('the source keeps its binary logs by a setting of its provider');
  }
  // MariaDB 11.4 and Percona Server
  if (number('max_binlog_total_size') > 0 || number('binlog_space_limit') > 0) {
    return unknown('the source keeps its binary logs by their size');
  }
  if (!values.has('binlog_expire_logs_seconds') && !values.has('expire_logs_days')) {
    return unknown('the source does not tell for how long it keeps its binary logs');
  }
  if (values.get('binlog_expire_logs_auto_purge') === 'OFF') return known('unlimited', observedAtMs);
  // MySQL takes the days only where the seconds are 0; in MariaDB they are one setting with two names
  const seconds = number('binlog_expire_logs_seconds') || number('expire_logs_days') * 86_400;
  return known(seconds > 0 ? seconds : 'unlimited', observedAtMs);
}

export const purgeStates = ['by_time', 'unlimited', 'lost', 'unknown'] as const;
export type PurgeState = (typeof purgeStates)[number];

/**
 * For how long the source keeps what Maxwell has not read, at least. A server does not tell how old a file is, but it
 * removes one by the time of its last change, and the file with Maxwell's position was still written to when the heartbeat
 * was written that Maxwell has read last: so the file lives at least as long after that. While the server still writes to
 * the file, its time has not begun.
 */
export function purgeSeconds(
  at: Known<MaxwellPosition | undefined>,
  health: Pick<MaxwellHealth, 'purge'>,
  binlogs: Known<Binlogs>,
  retention: Known<Retention>,
): { readonly state: PurgeState; readonly seconds: Known<number> } {
  const no = (state: PurgeState, why: string) => ({ state, seconds: unknown(why) });
  const { purge } = health;
  if (purge.known && purge.value.lost) return no('lost', purge.value.why);
  if (!retention.known) return no('unknown', retention.why);
  if (!at.known) return no('unknown', at.why);
  const position = at.value;
  if (position === undefined) return no('unknown', 'there is no position');
  if (retention.value === 'unlimited') return no('unlimited', 'the source removes no binary log by itself');
  const is = (seconds: number) => ({ state: 'by_time' as const, seconds: known(seconds, retention.observedAtMs) });
  // In GTID mode the row may name a file of another server
  if (binlogs.known && position.serverId !== 0) {
    const file = fileOf(binlogs.value, { file: position.binlogFile, position: position.binlogPosition });
    if (file !== undefined && file.name === binlogs.value.current?.file) return is(retention.value);
  }
  const read = position.lastHeartbeatReadMs;
  if (!read.known) return no('unknown', read.why);
  const ageSeconds = Math.max(0, position.databaseNowMs - read.value) / 1000;
  return is(Math.max(0, retention.value - ageSeconds));
}
