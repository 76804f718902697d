// What MySQL's performance_schema knows about replication and the status row does not tell: when the receiver last heard
// from its source, and when the transactions in each stage were committed. MariaDB has no such tables.
// https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-tables.html
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { requireNumber } from './facts-cells.ts';
import { accountText } from './facts-errors.ts';
import { onceEach, sharedEach } from './facts-shared.ts';
import { atLeast } from './facts-version.ts';

export type Availability = 'available' | 'off' | 'unsupported';

/** Times of the receiver; the columns are these in capitals, with _TIMESTAMP behind. MySQL 5.7 has the first one only. */
export const receiverTimes = [
  'last_heartbeat',
  'last_queued_transaction_original_commit',
  'last_queued_transaction_immediate_commit',
  'last_queued_transaction_start_queue',
  'last_queued_transaction_end_queue',
  'queueing_transaction_original_commit',
  'queueing_transaction_immediate_commit',
  'queueing_transaction_start_queue',
] as const;

/** Times of the coordinator of parallel appliers, which is not there with a single one. */
export const coordinatorTimes = [
  'last_processed_transaction_original_commit',
  'last_processed_transaction_immediate_commit',
  'last_processed_transaction_start_buffer',
  'last_processed_transaction_end_buffer',
  'processing_transaction_original_commit',
  'processing_transaction_immediate_commit',
  'processing_transaction_start_buffer',
] as const;

export const workerTimes = [
  'last_applied_transaction_original_commit',
  'last_applied_transaction_immediate_commit',
  'last_applied_transaction_start_apply',
  'last_applied_transaction_end_apply',
  'applying_transaction_original_commit',
  'applying_transaction_immediate_commit',
  'applying_transaction_start_apply',
] as const;

/** Seconds since the epoch; 0: never, or not now. */
type Times<K extends string> = Readonly<Record<K, number>>;
export type ReceiverTimes = Times<(typeof receiverTimes)[number]>;
export type CoordinatorTimes = Times<(typeof coordinatorTimes)[number]>;
export type WorkerTimes = Times<(typeof workerTimes)[number]>;

/** One channel. */
export interface Receiver {
  readonly channelName: string;
  /** Another one after each start of the receiver; undefined while it does not run. */
  readonly threadId: string | undefined;
  readonly receivedHeartbeats: number;
  /** How often an idle source sends one; 0: never. Undefined where the server does not tell. */
  readonly heartbeatPeriodSeconds: number | undefined;
  /** The last heartbeat or transaction, by the clock of this server; 0: none yet. */
  readonly heardAtSeconds: number;
  /** The clock of this server, from the same statement. */
  readonly nowSeconds: number;
  /** Undefined in MySQL 5.7. */
  readonly times: ReceiverTimes | undefined;
  /** Undefined without a coordinator. */
  readonly coordinator: CoordinatorTimes | undefined;
  /** A transaction is being received, handed out. */
  readonly queueing: boolean;
  readonly processing: boolean;
  /** Whether all GTIDs received are executed; undefined where none were received (no GTIDs, or nothing since the start). */
  readonly executedAll: boolean | undefined;
}

/** One applier thread of one channel. */
export interface Worker {
  readonly channelName: string;
  readonly workerId: string;
  readonly applying: boolean;
  readonly times: WorkerTimes;
}

/** Whether the server has these tables with something in them. Cannot change while it runs: asked once per connection. */
export function performanceSchema(client: MysqlClient, call: Call): Promise<Availability> {
  if (client.flavour === 'mariadb' || !atLeast(client, 5, 7, 6)) return Promise.resolve('unsupported');
  return availabilities(client, async () => {
    const [row] = await client.query('SELECT @@GLOBAL.performance_schema AS enabled', [], call);
    return requireNumber(row, 'enabled', client.at) === 1 ? 'available' : 'off';
  });
}

/** MySQL 5.7 has a table of workers, but without times. */
export function hasWorkerTimes(client: MysqlClient): boolean {
  return client.flavour === 'mysql' && atLeast(client, 8, 0, 1);
}

/**
 * One statement for all channels; whoever asks while it runs shares its answer. Only where performanceSchema() says
 * available.
 */
export async function readReceivers(client: MysqlClient, call: Call): Promise<readonly Receiver[]> {
  return receiversInFlight(client, async () => {
    const rows = await granted(client, receiversStatement(client), call);
    return rows.map((row) => receiverOf(row, hasWorkerTimes(client)));
  });
}

/** As readReceivers(), and only where hasWorkerTimes(). */
export async function readWorkers(client: MysqlClient, call: Call): Promise<readonly Worker[]> {
  return workersInFlight(client, async () => (await granted(client, workersStatement, call)).map(workerOf));
}

const tables = [
  'replication_connection_status',
  'replication_connection_configuration',
  'replication_applier_status_by_coordinator',
  'replication_applier_status_by_worker',
  'replication_group_members',
  'replication_group_member_stats',
] as const;

/** A statement on these tables; a refusal is told with the GRANTs on all of them, and not on the rest, which holds SQL of others. */
export async function granted(client: MysqlClient, sql: string, call: Call): Promise<readonly Row[]> {
  try {
    return await client.query(sql, [], call);
  } catch (error) {
    if (!(error instanceof TargetError) || error.code !== 'denied') throw error;
    const account = accountText(client.account);
    const grants = tables.map((table) => `GRANT SELECT ON performance_schema.${table} TO ${account}`);
    throw new TargetError('denied', `${error.message}. To allow it: ${grants.join('; ')}`, { cause: error });
  }
}

/**
 * UNIX_TIMESTAMP() of a TIMESTAMP column gives what is stored, whatever the time zone of the session, and 0 for
 * 0000-00-00, which stands for never (seen on 9.7.4).
 */
function selected(alias: string, times: readonly string[]): readonly string[] {
  return times.map((name) => `UNIX_TIMESTAMP(${alias}.${name.toUpperCase()}_TIMESTAMP) AS ${name}`);
}

export function receiversStatement(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  const modern = atLeast(client, 8, 0, 1);
  const columns = [
    's.CHANNEL_NAME AS channel_name',
    's.THREAD_ID AS thread_id',
    's.COUNT_RECEIVED_HEARTBEATS AS received_heartbeats',
    'c.HEARTBEAT_INTERVAL AS heartbeat_period',
    'UNIX_TIMESTAMP(NOW(6)) AS now',
    ...selected('s', modern ? receiverTimes : ['last_heartbeat']),
    ...(modern
      ? [
          ...selected('p', coordinatorTimes),
          's.QUEUEING_TRANSACTION AS queueing',
          'p.PROCESSING_TRANSACTION AS processing',
          "IF(s.RECEIVED_TRANSACTION_SET = '', NULL, GTID_SUBSET(s.RECEIVED_TRANSACTION_SET, @@GLOBAL.gtid_executed)) AS executed_all",
        ]
      : []),
  ];
  const from = [
    'performance_schema.replication_connection_status s',
    'performance_schema.replication_connection_configuration c USING (CHANNEL_NAME)',
    ...(modern ? ['performance_schema.replication_applier_status_by_coordinator p USING (CHANNEL_NAME)'] : []),
  ];
  // MySQL itself allows 256 channels
  return `SELECT ${columns.join(', ')} FROM ${from.join(' LEFT JOIN ')} LIMIT 256`;
}

// replica_parallel_workers is at most 1024
const workersStatement = `SELECT w.CHANNEL_NAME AS channel_name, w.WORKER_ID AS worker_id, w.APPLYING_TRANSACTION AS applying, ${selected('w', workerTimes).join(', ')} FROM performance_schema.replication_applier_status_by_worker w LIMIT 4096`;

export function receiverOf(row: Row, modern: boolean): Receiver {
  const times = modern ? timesOf(row, receiverTimes) : undefined;
  const period = row['heartbeat_period'];
  return {
    channelName: text(row['channel_name']),
    threadId: isNull(row['thread_id']) ? undefined : text(row['thread_id']),
    receivedHeartbeats: numberOf(row, 'received_heartbeats'),
    heartbeatPeriodSeconds: isNull(period) ? undefined : numberOf(row, 'heartbeat_period'),
    heardAtSeconds: Math.max(
      numberOf(row, 'last_heartbeat'),
      times?.last_queued_transaction_end_queue ?? 0,
      times?.queueing_transaction_start_queue ?? 0,
    ),
    nowSeconds: numberOf(row, 'now'),
    times,
    coordinator:
      !modern || isNull(row['last_processed_transaction_end_buffer']) ? undefined : timesOf(row, coordinatorTimes),
    queueing: text(row['queueing']) !== '',
    processing: text(row['processing']) !== '',
    executedAll: isNull(row['executed_all']) ? undefined : Number(row['executed_all']) === 1,
  };
}

function workerOf(row: Row): Worker {
  return {
    channelName: text(row['channel_name']),
    workerId: text(row['worker_id']),
    applying: text(row['applying']) !== '',
    times: timesOf(row, workerTimes),
  };
}

function timesOf<K extends string>(row: Row, names: readonly K[]): Times<K> {
  return Object.fromEntries(names.map((name) => [name, numberOf(row, name)])) as Times<K>; // fromEntries forgets the keys
}

/** NULL is 0: never. @throws TargetError `protocol` where there is no such column */
export function numberOf(row: Row, name: string): number {
  if (row[name] === undefined) throw new TargetError('protocol', `an answer without ${name}`);
  const value = Number(row[name] ?? 0);
  if (!Number.isFinite(value))
    throw new TargetError('protocol', `${name} is no number: ${text(row[name]).slice(0, 100)}`);
  return value;
}

function isNull(cell: unknown): boolean {
  return cell === null || cell === undefined;
}

/** '' for NULL and for what no column is. */
export function text(cell: unknown): string {
  return typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'bigint' ? String(cell) : '';
}

const availabilities = onceEach<Availability>();
const receiversInFlight = sharedEach<readonly Receiver[]>();
const workersInFlight = sharedEach<readonly Worker[]>();
