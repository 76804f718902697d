// The table in which pt-heartbeat, or anything else, writes the time on the source once a second.
// https://docs.percona.com/percona-toolkit/pt-heartbeat.html
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient, Row } from './client.ts';
import { withGrant } from './facts-errors.ts';
import { numberOf } from './facts-performance.ts';
import type { ReplicaChannel } from './facts-replication.ts';

export interface HeartbeatTable {
  readonly database: string;
  readonly table: string;
  /** The writer writes UTC (pt-heartbeat --utc), or the column is a TIMESTAMP. Else it writes the time zone of the server. */
  readonly utc: boolean;
  /** Rows of others are ignored; all rows when left out. */
  readonly serverIds: readonly number[] | undefined;
}

export interface Heartbeat {
  readonly serverId: string;
  /** The clock of this server, seconds since the epoch. */
  readonly nowSeconds: number;
  /** What the source wrote; unknown when the text is no time. */
  readonly storedSeconds: Known<number>;
}

/**
 * A table of more servers than this is something else, or keeps what was written before. The newest rows of it would cost
 * a sort of the whole table at each scrape, and any others tell a lag that is none.
 */
const rowsAtMost = 1000;

/**
 * One statement, so that the row and the clock are of one moment.
 *
 * Grant: SELECT on the table.
 *
 * @throws TargetError `unsupported` when there are more rows than are read
 */
export async function readHeartbeats(
  client: MysqlClient,
  options: HeartbeatTable,
  call: Call,
): Promise<readonly Heartbeat[]> {
  const rows = await client
    .query(heartbeatStatement(options), options.serverIds ?? [], call)
    .catch((error: unknown) => {
      throw withGrant(error, client.account, 'SELECT', tableText(options));
    });
  if (rows.length > rowsAtMost) {
    const where = `mysql ${client.at}: ${tableText(options)} has more than ${rowsAtMost} rows`;
    throw new TargetError('unsupported', `${where}${options.serverIds === undefined ? tooMany : ofTheServer}`);
  }
  return rows.map((row) => heartbeatOf(row, call.clock.wallMs()));
}

const tooMany = '; name the servers that write it as server_id in the options of heartbeat, and keep one row for each';
const ofTheServer = ' of server_id; keep one row for each server (a unique key on server_id)';

/**
 * Our sessions are in UTC. What was written in the server's own time zone is taken back with it; in the hour that a time
 * zone has twice, the server takes it for one of them, so that --utc is the better choice.
 * `ts` is a varchar like 2026-11-21T15:00:00.001230.
 */
export function heartbeatStatement(options: HeartbeatTable): string {
  const ts = 'CAST(ts AS DATETIME(6))';
  const stored = options.utc ? ts : `CONVERT_TZ(${ts}, @@GLOBAL.time_zone, '+00:00')`;
  const only =
    options.serverIds === undefined ? '' : ` WHERE server_id IN (${options.serverIds.map(() => '?').join(', ')})`;
  return `SELECT server_id, UNIX_TIMESTAMP(${stored}) AS stored_at, UNIX_TIMESTAMP(NOW(6)) AS now_at FROM ${tableText(options)}${only} LIMIT ${rowsAtMost + 1}`;
}

function tableText({ database, table }: HeartbeatTable): string {
  const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
  return `${quoted(database)}.${quoted(table)}`;
}

function heartbeatOf(row: Row, observedAtMs: number): Heartbeat {
  const stored = row['stored_at'];
  const seconds = stored === null || stored === undefined ? NaN : Number(stored);
  return {
    serverId: String(numberOf(row, 'server_id')),
    nowSeconds: numberOf(row, 'now_at'),
    // 0 is what a server makes of a time that is none
    storedSeconds: seconds > 0 && Number.isFinite(seconds) ? known(seconds, observedAtMs) : unknown('ts is no time'),
  };
}

/** Clocks that agree this well count as agreeing: a row of the future is then 0 s old. */
const toleratedSkewSeconds = 1;

/** The age of a row; unknown when it is of the future, as the clocks then differ by more than the lag. */
export function ageOf(heartbeat: Heartbeat, observedAtMs: number): Known<number> {
  const { storedSeconds, nowSeconds } = heartbeat;
  if (!storedSeconds.known) return storedSeconds;
  const age = nowSeconds - storedSeconds.value;
  if (age < -toleratedSkewSeconds) return unknown(`the heartbeat is ${Math.round(-age)} s in the future`);
  return known(Math.max(0, age), observedAtMs);
}

/**
 * The channel whose lag a row tells: the one that replicates from the server that wrote it, or the only one there is
 * when the row was asked for by its server id (the writer may be further up). No channel: its rows say nothing of lag.
 */
export function channelOfHeartbeat(
  { serverId }: Heartbeat,
  channels: readonly ReplicaChannel[],
  isAskedFor: boolean,
): ReplicaChannel | undefined {
  const source = channels.find((c) => String(c.sourceServerId) === serverId);
  if (source !== undefined) return source;
  return isAskedFor && channels.length === 1 ? channels[0] : undefined;
}
