import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient, Row } from './client.ts';
import type { BinlogPosition } from './facts-binlogs.ts';
import { withGrant } from './facts-errors.ts';
import type { Receiver } from './facts-performance.ts';
import { sharedEach } from './facts-shared.ts';
import { atLeast } from './facts-version.ts';

export const replicationStates = ['running', 'connecting', 'stopped', 'stalled', 'not_configured', 'unknown'] as const;
export type ReplicationState = (typeof replicationStates)[number];

/** One row of the replica status: one source that this server replicates from. Same for both flavours and spellings. */
export interface ReplicaChannel {
  /** MySQL; empty for the default channel. */
  readonly channelName: string;
  /** MariaDB; empty for the default connection. */
  readonly connectionName: string;
  readonly ioRunning: 'yes' | 'connecting' | 'no';
  readonly sqlRunning: boolean;
  /** From this row alone: a stall shows only over time, see watchReceiver(). */
  readonly state: 'running' | 'connecting' | 'stopped' | 'stalled';
  /** Why it is in this state, for people. */
  readonly why: string;
  /** As the server says it; unknown when it says NULL, and while the receiver is stalled (it says 0 then). */
  readonly lagSeconds: Known<number>;
  readonly sqlDelaySeconds: number;
  readonly sourceHost: string;
  readonly sourcePort: number;
  /** 0 while it was never connected. */
  readonly sourceServerId: number;
  readonly sourceUuid: string;
  readonly lastIoErrno: number;
  readonly lastIoError: string;
  readonly lastSqlErrno: number;
  readonly lastSqlError: string;
  /** How far the source's binary log was received, and executed; undefined before the first connection. */
  readonly received: BinlogPosition | undefined;
  readonly executed: BinlogPosition | undefined;
  /** MariaDB: no | slave_pos | current_pos; MySQL: auto_position or no */
  readonly gtid: 'no' | 'slave_pos' | 'current_pos' | 'auto_position';
  /** What the receiver is doing, in the server's words. */
  readonly ioState: string;
  readonly sqlState: string;
  /**
   * How many heartbeats came, and how often they are sent by an idle source (0: never). In the row of MariaDB only: for
   * MySQL watchReceiver() adds it.
   */
  readonly heartbeats: { readonly received: number; readonly periodSeconds: number } | undefined;
  /** The row as it came, names lowercased. */
  readonly columns: ReadonlyMap<string, string | null>;
}

/** Empty: this server is no replica. */
export const replicationFact = factKey<readonly ReplicaChannel[]>('mysql.replication');

/**
 * Asks with the one statement that the server's version understands: none fails on a healthy server.
 *
 * Grants: REPLICATION CLIENT (MySQL, MariaDB before 10.5.2), REPLICA MONITOR (MariaDB since 10.5.9),
 * REPLICATION SLAVE ADMIN between these.
 */
export function readReplication(client: MysqlClient, call: Call): Promise<readonly ReplicaChannel[]> {
  return statusInFlight(client, async () => {
    try {
      const rows = await client.query(statusStatement(client), [], call);
      const observedAtMs = call.clock.wallMs();
      return rows.map((row) => channelOf(row, observedAtMs));
    } catch (error) {
      throw withGrant(error, client.account, statusPrivilege(client));
    }
  });
}

const statusInFlight = sharedEach<readonly ReplicaChannel[]>();

/** https://dev.mysql.com/doc/refman/8.0/en/show-replica-status.html, https://mariadb.com/kb/en/show-replica-status/ */
export function statusStatement(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  if (client.flavour === 'mariadb') return 'SHOW ALL SLAVES STATUS'; // plain SHOW SLAVE STATUS hides named connections
  return atLeast(client, 8, 0, 22) ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
}

function statusPrivilege(client: MysqlClient): string {
  if (client.flavour === 'mysql' || !atLeast(client, 10, 5, 2)) return 'REPLICATION CLIENT';
  return atLeast(client, 10, 5, 9) ? 'REPLICA MONITOR' : 'REPLICATION SLAVE ADMIN';
}

/** The spelling that MariaDB keeps and MySQL had before 8.4: columns are looked up by it. */
export function oldSpelling(column: string): string {
  return column.toLowerCase().replaceAll('source', 'master').replaceAll('replica_', 'slave_');
}

/** @throws TargetError `protocol` for what is no row of a status */
export function channelOf(row: Row, observedAtMs: number): ReplicaChannel {
  const columns = new Map(Object.entries(row).map(([name, value]) => [name.toLowerCase(), cellOf(value)]));
  const byOldName = new Map([...columns].map(([name, value]) => [oldSpelling(name), value]));
  const text = (name: string): string => byOldName.get(name) ?? '';
  /** Undefined for NULL and for what no server says. */
  const finite = (name: string): number | undefined => {
    const cell = byOldName.get(name) ?? '';
    return cell === '' || !Number.isFinite(Number(cell)) ? undefined : Number(cell);
  };
  const number = (name: string): number => finite(name) ?? 0;

  // Every version has both: a row without them is no status, and must not read as "stopped".
  for (const name of ['slave_io_running', 'slave_sql_running']) {
    if (/^(yes|no|connecting|preparing)$/i.test(text(name))) continue;
    throw new TargetError('protocol', `a replica status that does not tell ${name}`);
  }
  const ioText = text('slave_io_running').toLowerCase();
  // MariaDB also says Preparing: https://mariadb.com/kb/en/show-replica-status/
  const ioRunning = ioText === 'yes' ? 'yes' : ioText === 'connecting' || ioText === 'preparing' ? 'connecting' : 'no';
  const sqlRunning = text('slave_sql_running').toLowerCase() === 'yes';
  const errors = {
    lastIoErrno: number('last_io_errno'),
    lastIoError: text('last_io_error'),
    lastSqlErrno: number('last_sql_errno'),
    lastSqlError: text('last_sql_error'),
  };
  const { state, why } = judgeThreads(ioRunning, sqlRunning, errors);
  const lag = finite('seconds_behind_master');
  const period = finite('slave_heartbeat_period');
  return {
    channelName: text('channel_name'),
    connectionName: text('connection_name'),
    ioRunning,
    sqlRunning,
    state,
    why,
    lagSeconds: lagOf(lag, state, why, observedAtMs),
    sqlDelaySeconds: number('sql_delay'),
    sourceHost: text('master_host'),
    sourcePort: number('master_port'),
    sourceServerId: number('master_server_id'),
    sourceUuid: text('master_uuid'),
    ...errors,
    received: positionOf(text('master_log_file'), finite('read_master_log_pos')),
    executed: positionOf(text('relay_master_log_file'), finite('exec_master_log_pos')),
    gtid: gtidOf(text('using_gtid'), text('auto_position')),
    ioState: text('slave_io_state'),
    sqlState: text('slave_sql_running_state'),
    heartbeats:
      period === undefined ? undefined : { received: number('slave_received_heartbeats'), periodSeconds: period },
    columns,
  };
}

/**
 * While the receiver does not run, the server still tells how far the applier is behind what was received before (0 too,
 * seen on MySQL 9.7 in the moment after STOP REPLICA IO_THREAD): that is not how far it is behind its source.
 */
function lagOf(
  lag: number | undefined,
  state: ReplicaChannel['state'],
  why: string,
  observedAtMs: number,
): Known<number> {
  if (lag === undefined) return unknown(`the server says NULL: ${why}`);
  if (state !== 'running') return unknown(`the server says ${lag}, but ${why}`);
  return known(lag, observedAtMs);
}

/** Every column of a status row is text, a number or NULL. */
function cellOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : null;
}

function judgeThreads(
  ioRunning: ReplicaChannel['ioRunning'],
  sqlRunning: boolean,
  errors: Pick<ReplicaChannel, 'lastIoErrno' | 'lastIoError' | 'lastSqlErrno' | 'lastSqlError'>,
): Pick<ReplicaChannel, 'state' | 'why'> {
  const ioError = errors.lastIoErrno === 0 ? '' : `, error ${errors.lastIoErrno}: ${errors.lastIoError}`;
  const sqlError = errors.lastSqlErrno === 0 ? '' : `, error ${errors.lastSqlErrno}: ${errors.lastSqlError}`;
  if (ioRunning === 'no' && !sqlRunning) {
    return { state: 'stopped', why: `receiver and applier are stopped${ioError}${sqlError}` };
  }
  if (ioRunning === 'no') return { state: 'stopped', why: `the receiver is stopped${ioError}` };
  if (!sqlRunning) return { state: 'stopped', why: `the applier is stopped${sqlError}` };
  if (ioRunning === 'connecting') return { state: 'connecting', why: `the receiver is connecting${ioError}` };
  return { state: 'running', why: 'receiver and applier are running' };
}

function positionOf(file: string, position: number | undefined): BinlogPosition | undefined {
  return file === '' || position === undefined ? undefined : { file, position };
}

function gtidOf(usingGtid: string, autoPosition: string): ReplicaChannel['gtid'] {
  if (autoPosition === '1') return 'auto_position';
  const found = usingGtid.toLowerCase();
  return found === 'slave_pos' || found === 'current_pos' ? found : 'no';
}

/** What was seen of a receiver by whoever looks more than once. Times are monotonic. */
export interface ReceiverMark {
  /** Changes with each event and heartbeat that comes. */
  readonly heard: string;
  /** Whether performance_schema told it. */
  readonly byServer: boolean;
  readonly heardMs: number;
  /** Something came between two looks: before that, `heardMs` is only the first look. */
  readonly hasMoved: boolean;
  /** Changes with each start of the receiver. */
  readonly run: string;
  readonly runMs: number;
}

export interface WatchedReceiver {
  readonly channel: ReplicaChannel;
  readonly mark: ReceiverMark;
  /** How long ago the source was last heard of. */
  readonly heartbeatAgeSeconds: Known<number>;
}

/**
 * A receiver on a half-open connection says Yes, and 0 seconds behind, until slave_net_timeout (MySQL bug #27142). Its
 * source would have sent an event or, when idle, a heartbeat in every period: with neither for more than two periods
 * (and a second, as counters are read between two of them) it is stalled.
 *
 * MariaDB counts heartbeats in the status row; MySQL does so in performance_schema, which is `receiver`. Without a
 * count, or with heartbeats off, nothing is called stalled. Nor is a receiver that waits for something else than its
 * source (relay_log_space_limit).
 *
 * The age is that by the server's own clock where it tells when it heard, and since something was last seen to come by
 * us: the smaller one, as a transaction of many events tells the server's time only at its ends.
 */
export function watchReceiver(
  seen: ReplicaChannel,
  before: ReceiverMark | undefined,
  now: { readonly monoMs: number; readonly wallMs: number },
  receiver?: Receiver,
): WatchedReceiver {
  const channel = receiver === undefined ? seen : withHeartbeats(seen, receiver);
  const mark = receiverMark(channel, before, now.monoMs, receiver);
  const heartbeatAgeSeconds = ageOf(channel, mark, now, receiver);
  const { heartbeats } = channel;
  const quietSeconds = (now.monoMs - Math.max(mark.heardMs, mark.runMs)) / 1000;
  if (
    channel.state !== 'running' ||
    heartbeats === undefined ||
    heartbeats.periodSeconds <= 0 ||
    quietSeconds <= 2 * heartbeats.periodSeconds + 1 ||
    !/^Waiting for (master|source) to send event/i.test(channel.ioState)
  ) {
    return { channel, mark, heartbeatAgeSeconds };
  }
  const why = `neither an event nor a heartbeat came for ${Math.floor(quietSeconds)} s, heartbeats are due every ${heartbeats.periodSeconds} s`;
  return { channel: { ...channel, state: 'stalled', why, lagSeconds: unknown(why) }, mark, heartbeatAgeSeconds };
}

function withHeartbeats(channel: ReplicaChannel, receiver: Receiver): ReplicaChannel {
  const { receivedHeartbeats: received, heartbeatPeriodSeconds: periodSeconds } = receiver;
  return periodSeconds === undefined ? channel : { ...channel, heartbeats: { received, periodSeconds } };
}

function receiverMark(
  { heartbeats, received, columns, ioRunning }: ReplicaChannel,
  before: ReceiverMark | undefined,
  nowMs: number,
  receiver: Receiver | undefined,
): ReceiverMark {
  const gtids = columns.get('gtid_io_pos') ?? '';
  const heard = [heartbeats?.received, received?.file, received?.position, gtids, receiver?.heardAtSeconds].join(' ');
  const run = `${ioRunning} ${receiver?.threadId ?? ''}`;
  const byServer = receiver !== undefined;
  // What is told in another way than at the look before cannot be compared with it
  const moved = before?.byServer === byServer && before.heard !== heard;
  return {
    heard,
    byServer,
    heardMs: before === undefined || moved ? nowMs : before.heardMs,
    hasMoved: moved || before?.hasMoved === true,
    run,
    runMs: before?.run === run ? before.runMs : nowMs,
  };
}

function ageOf(
  { heartbeats }: ReplicaChannel,
  mark: ReceiverMark,
  now: { readonly monoMs: number; readonly wallMs: number },
  receiver: Receiver | undefined,
): Known<number> {
  const sinceSeenSeconds = (now.monoMs - mark.heardMs) / 1000;
  const heardAtSeconds = receiver?.heardAtSeconds ?? 0;
  const byServerSeconds =
    receiver === undefined || heardAtSeconds === 0 ? Infinity : Math.max(0, receiver.nowSeconds - heardAtSeconds);
  const seconds = Math.min(byServerSeconds, mark.hasMoved ? sinceSeenSeconds : Infinity);
  if (seconds !== Infinity) return known(seconds, now.wallMs);
  // Nothing came since the first look: at least so long, which says something once a heartbeat is due
  if (sinceSeenSeconds > (heartbeats?.periodSeconds || Infinity)) return known(sinceSeenSeconds, now.wallMs);
  return unknown('this is the first look, and the server does not tell when it last heard of its source');
}
