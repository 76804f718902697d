import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { mysqlErrno, withGrant } from '../mysql/facts-errors.ts';

export interface MaxwellTables {
  /** schema_database */
  readonly schema: string;
  readonly clientId: string;
  /** @@server_id of the server whose binary log is read; that of the schema's own server when left out. */
  readonly sourceServerId?: number;
}

/** The row of one client in `positions`, with its row in `heartbeats`. */
export interface MaxwellPosition {
  readonly found: true;
  /** 0 in GTID mode */
  readonly serverId: number;
  readonly binlogFile: string;
  readonly binlogPosition: number;
  /** Filled in GTID mode, and on MariaDB also without it. */
  readonly gtidSet: string | undefined;
  /** The newest heartbeat that came back through the binary log, by Maxwell's clock, ms since the epoch. */
  readonly lastHeartbeatReadMs: Known<number>;
  /** The newest heartbeat that was written, by Maxwell's clock. */
  readonly heartbeatMs: Known<number>;
  readonly databaseNowMs: number;
}

/** Known: this client has no position for this source. */
export interface NoMaxwellPosition {
  readonly found: false;
  /** For people: what is there instead. */
  readonly why: string;
  readonly databaseNowMs: number;
}

/**
 * Where Maxwell stands by its own tables (`positions`, `heartbeats`): the row of the source's server id, or that of
 * server id 0, which GTID mode uses. Both can be there, as switching to GTID mode leaves the old row: the one whose
 * heartbeat is newer is in use. Rows of other servers are left over from former sources and say nothing.
 *
 * Grants: SELECT on the schema.
 */
export async function readMaxwellPosition(
  mysql: MysqlClient,
  tables: MaxwellTables,
  call: Call,
): Promise<MaxwellPosition | NoMaxwellPosition> {
  const [rows, time] = await askTables(mysql, tables.schema, async (schema) => [
    await mysql.query(
      `SELECT p.server_id, p.binlog_file, p.binlog_position, p.gtid_set, p.last_heartbeat_read, h.heartbeat
         FROM ${schema}.positions p
         LEFT JOIN ${schema}.heartbeats h ON h.server_id = p.server_id AND h.client_id = p.client_id
        WHERE p.client_id = ? AND p.server_id IN (0, ${tables.sourceServerId === undefined ? '@@GLOBAL.server_id' : '?'})`,
      tables.sourceServerId === undefined ? [tables.clientId] : [tables.clientId, tables.sourceServerId],
      call,
    ),
    // after the heartbeat, so that its age is never negative by the order of the two
    await mysql.query('SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 AS now_ms', [], call),
  ]);
  return positionOf(rows, Number(time[0]?.['now_ms']), call.clock.wallMs(), tables.clientId);
}

export function positionOf(
  rows: readonly Row[],
  databaseNowMs: number,
  observedAtMs: number,
  clientId: string,
): MaxwellPosition | NoMaxwellPosition {
  const found = rows
    .map((row): MaxwellPosition => {
      const ms = (name: string, never: string): Known<number> => {
        const value = Number(row[name] ?? 0);
        return value > 0 ? known(value, observedAtMs) : unknown(never);
      };
      const gtidSet = row['gtid_set'];
      return {
        found: true,
        serverId: Number(row['server_id']),
        binlogFile: String(row['binlog_file']),
        binlogPosition: Number(row['binlog_position']),
        gtidSet: typeof gtidSet === 'string' && gtidSet !== '' ? gtidSet : undefined,
        lastHeartbeatReadMs: ms('last_heartbeat_read', 'it has not read a heartbeat of its own yet'),
        heartbeatMs: ms('heartbeat', 'it has not written a heartbeat yet'),
        databaseNowMs,
      };
    })
    .sort((a, b) => newest(b) - newest(a));
  const [first] = found;
  if (first !== undefined) return first;
  return { found: false, why: `positions has no row of client ${clientId} for this source`, databaseNowMs };
}

function newest(position: MaxwellPosition): number {
  const { heartbeatMs, lastHeartbeatReadMs } = position;
  return heartbeatMs.known ? heartbeatMs.value : lastHeartbeatReadMs.known ? lastHeartbeatReadMs.value : 0;
}

/** Runs statements on Maxwell's tables; says what to do when they may not be read or are not there. */
export async function askTables<T>(
  mysql: MysqlClient,
  schema: string,
  ask: (schema: string) => Promise<T>,
): Promise<T> {
  const quoted = `\`${schema.replaceAll('`', '``')}\``;
  try {
    return await ask(quoted);
  } catch (error) {
    const errno = mysqlErrno(error);
    // unknown database, no such table
    if (errno === 1049 || errno === 1146) {
      const why = `mysql ${mysql.at}: ${schema} holds no tables of Maxwell: it has never run here, or schema_database is another one`;
      throw new TargetError('failed', why, { cause: error });
    }
    throw withGrant(error, mysql.account, 'SELECT', `${quoted}.*`);
  }
}
