import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import type { MysqlClient } from './client.ts';

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
  readonly readOnly: boolean;
  readonly gtidMode: string | undefined;
  /** The server's wall clock, ms since the epoch. */
  readonly nowMs: number;
}

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
  'read_only',
  'gtid_mode',
] as const;

/** Asks by name and takes what is there: a variable that a version lacks is no error. Needs no grants. */
export async function readServer(client: MysqlClient, call: Call): Promise<MysqlServer> {
  const wanted = names.map((name) => `'${name}'`).join(', ');
  const rows = await client.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${wanted})`, [], call);
  const [time] = await client.query('SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 AS now_ms', [], call);
  const variables = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
  return serverOf(variables, Number(time?.['now_ms']), client.flavour);
}

export function serverOf(
  variables: ReadonlyMap<string, string>,
  nowMs: number,
  flavour: MysqlServer['flavour'],
): MysqlServer {
  const text = (name: (typeof names)[number]): string | undefined => variables.get(name);
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
    readOnly: /^(ON|1|READ_ONLY)/.test(text('read_only') ?? ''), // MariaDB 12: READ_ONLY, READ_ONLY_NO_LOCK…
    gtidMode: text('gtid_mode'),
    nowMs,
  };
}

export const cdcChecks = ['log_bin', 'binlog_format', 'binlog_row_image', 'server_id'] as const;
export type CdcCheck = (typeof cdcChecks)[number];

/**
 * What a reader of changes needs from its source. No entry where the server does not tell.
 * https://maxwells-daemon.io/config/#mysql-server-configuration
 */
export function cdcReady(server: MysqlServer): readonly { readonly check: CdcCheck; readonly ok: boolean }[] {
  const found: { check: CdcCheck; ok: boolean }[] = [{ check: 'log_bin', ok: server.logBin }];
  if (server.binlogFormat !== undefined) {
    found.push({ check: 'binlog_format', ok: server.binlogFormat.toUpperCase() === 'ROW' });
  }
  if (server.binlogRowImage !== undefined) {
    found.push({ check: 'binlog_row_image', ok: server.binlogRowImage.toUpperCase() === 'FULL' });
  }
  found.push({ check: 'server_id', ok: server.serverId > 0 });
  return found;
}
