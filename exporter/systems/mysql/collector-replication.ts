import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit, type EmitOpen } from '../../families.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { mysqlErrno } from './facts-errors.ts';
import { newSpelling, openStatusFamilies, replicationFamilies, statusColumns } from './families.ts';
import { commitLagOf, type CommitMark } from './facts-performance-lag.ts';
import {
  hasWorkerTimes,
  performanceSchema,
  readReceivers,
  readWorkers,
  type Receiver,
  type Worker,
} from './facts-performance.ts';
import {
  oldSpelling,
  readReplication,
  replicationFact,
  replicationStates,
  watchReceiver,
  type ReceiverMark,
  type ReplicaChannel,
  type ReplicationState,
} from './facts-replication.ts';
import { boundGtidText } from './facts-gtid-sets.ts';
import { parseMariadbGtids, statusNumber } from './facts-values.ts';

interface ChannelName {
  readonly channel_name: string;
  readonly connection_name: string;
}

interface Seen {
  readonly name: ChannelName;
  readonly receiver: ReceiverMark;
  readonly commits: CommitMark | undefined;
}

interface State {
  /** The channels of the last answer. */
  seen: ReadonlyMap<string, Seen>;
  /** The connection that it came by. */
  by: WeakRef<MysqlClient> | undefined;
}

interface Watched {
  readonly name: ChannelName;
  readonly channel: ReplicaChannel;
  readonly heartbeatAgeSeconds: Known<number>;
  readonly commitLagSeconds: Known<number>;
}

type Emits = Emit<typeof replicationFamilies> & EmitOpen<typeof openStatusFamilies>;

const nobody: ChannelName = { channel_name: '', connection_name: '' };

/** All columns as mysqld_exporter has them, and what it lacks: a state that is always there, a stalled receiver, lags. */
export const replicationCollector = collectorOf<MysqlClient>()({
  name: 'replication',
  help: 'State, lag and all numbers of each replication channel.',
  keeps: 'the channels last seen, whose state is served while the server is away',
  config: z.strictObject({}),
  families: replicationFamilies,
  open: openStatusFamilies,
  state: (): State => ({ seen: new Map(), by: undefined }),
  async collect({ client, emit, call, state }) {
    const rows = await readReplication(client, call);
    const { receivers, workers } = rows.length === 0 ? nothing : await readPerformance(client, call);
    const seen = new Map<string, Seen>();
    const isSameConnection = state.by?.deref() === client;
    const watched = rows.map((row): Watched => {
      const name = nameOf(row);
      const before = state.seen.get(keyOf(name));
      const receiver = receivers.find((r) => r.channelName === row.channelName);
      const now = { monoMs: call.clock.monoMs(), wallMs: call.clock.wallMs() };
      const { channel, mark, heartbeatAgeSeconds } = watchReceiver(
        row,
        before && (isSameConnection ? before.receiver : asOfAnotherRun(before.receiver)),
        now,
        receiver,
      );
      const commits =
        receiver === undefined
          ? { lagSeconds: unknown('the server tells no commit times'), mark: undefined }
          : commitLagOf({ channel, receiver, workers: workersOf(workers, channel) }, before?.commits, now.wallMs);
      seen.set(keyOf(name), { name, receiver: mark, commits: commits.mark });
      return { name, channel, heartbeatAgeSeconds, commitLagSeconds: commits.lagSeconds };
    });
    state.seen = seen;
    state.by = new WeakRef(client);
    const channels = watched.map((w) => w.channel);
    call.board.publish(call.target, replicationFact, known(channels, call.clock.wallMs()));
    if (watched.length === 0) emitStateOf(emit, nobody, 'not_configured');
    for (const each of watched) emitChannel(emit, each);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, replicationFact, unknown(why));
    const names = [...state.seen.values()].map(({ name }) => name);
    for (const name of names.length === 0 ? [nobody] : names) emitStateOf(emit, name, 'unknown');
  },
});

/**
 * Over another connection the server may have been started anew, and MariaDB counts heartbeats from 0 again: that they
 * stand where they stood says nothing of the time between.
 */
function asOfAnotherRun(mark: ReceiverMark): ReceiverMark {
  return { ...mark, run: '' };
}

interface Performance {
  readonly receivers: readonly Receiver[];
  readonly workers: readonly Worker[];
}

const nothing: Performance = { receivers: [], workers: [] };

/** Unknown column, unknown table, no such table: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const lacking: ReadonlySet<number> = new Set([1054, 1109, 1146]);

/**
 * Without the grant, or on a fork that lacks a column or table, the status row is served all the same: the collector
 * perf_schema_replication tells what is missing.
 * The receivers are read before the workers: what was received is then looked for in what was applied.
 */
async function readPerformance(client: MysqlClient, call: CollectorCall): Promise<Performance> {
  if ((await performanceSchema(client, call)) !== 'available') return nothing;
  try {
    const receivers = readReceivers(client, call);
    const workers = hasWorkerTimes(client) ? readWorkers(client, call) : [];
    const [found, applying] = await Promise.all([receivers, workers]);
    return { receivers: found, workers: applying };
  } catch (error) {
    if (error instanceof TargetError && error.code === 'denied') return nothing;
    if (lacking.has(mysqlErrno(error) ?? 0)) return nothing;
    throw error;
  }
}

function workersOf(workers: readonly Worker[], { channelName }: ReplicaChannel): readonly Worker[] {
  return workers.filter((w) => w.channelName === channelName);
}

function nameOf(channel: ReplicaChannel): ChannelName {
  return { channel_name: channel.channelName, connection_name: channel.connectionName };
}

function keyOf({ channel_name, connection_name }: ChannelName): string {
  return `${channel_name}\0${connection_name}`;
}

function emitStateOf(emit: Emit<typeof replicationFamilies>, name: ChannelName, current: ReplicationState): void {
  emitState(
    (value, state) => {
      emit.state(value, { ...name, state });
    },
    replicationStates,
    current,
  );
}

function emitChannel(emit: Emits, { name, channel, heartbeatAgeSeconds, commitLagSeconds }: Watched): void {
  emitStateOf(emit, name, channel.state);
  if (channel.lagSeconds.known) emit.lag(channel.lagSeconds.value, { ...name, method: 'status' });
  if (commitLagSeconds.known) emit.lag(commitLagSeconds.value, { ...name, method: 'commit_timestamp' });
  if (heartbeatAgeSeconds.known) emit.heartbeatAge(heartbeatAgeSeconds.value, name);

  const labels = { master_host: channel.sourceHost, master_uuid: channel.sourceUuid, ...name };
  const columns = new Map([...channel.columns].map(([column, text]) => [oldSpelling(column), text]));
  for (const [column, text] of columns) {
    const value = statusNumber(text);
    if (value === undefined) continue;
    const keys = statusColumns.get(column);
    if (keys !== undefined) {
      for (const key of keys) emit[key](value, labels);
      continue;
    }
    const plain = column.replaceAll(/[^a-z0-9_]/g, '_');
    for (const spelling of new Set([plain, newSpelling(plain)])) {
      emit.column(`mysql_slave_status_${spelling}`, value, labels);
    }
  }
  for (const column of ['gtid_io_pos', 'gtid_slave_pos'] as const) {
    for (const { domainId, serverId, sequence } of parseMariadbGtids(
      boundGtidText(columns.get(column) ?? '', column),
    )) {
      emit[column](sequence, { ...labels, domain_id: domainId, server_id: serverId });
    }
  }
}
