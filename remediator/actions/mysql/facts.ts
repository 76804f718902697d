// Everything that a restart of a replication thread is decided on, read once. Nothing is thrown for a target's fault: what
// cannot be read is unknown.
import type { Call } from '../../../exporter/collector.ts';
import { classOf, messageOf } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { mysqlAddress } from '../../../exporter/systems/mysql/address.ts';
import { openMysql, type MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { channelsToSources, replicatesFrom } from '../../../exporter/systems/mysql/facts-binlog-server.ts';
import { readBinlogs, type Binlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { readGtids, type GtidReading } from '../../../exporter/systems/mysql/facts-gtid.ts';
import { compareGtids, type ReplicaGtids } from '../../../exporter/systems/mysql/facts-gtid-replica.ts';
import { performanceSchema, readReceivers, type Receiver } from '../../../exporter/systems/mysql/facts-performance.ts';
import {
  readReplication,
  watchReceiver,
  type ReceiverMark,
  type ReplicaChannel,
} from '../../../exporter/systems/mysql/facts-replication.ts';
import { readServer, type MysqlServer } from '../../../exporter/systems/mysql/facts-server.ts';
import { readDumpThreads, type DumpThread } from '../../../exporter/systems/mysql/facts-threads.ts';
import { attempt, type World } from '../../world.ts';
import { errnosOf } from './errors.ts';

/** A channel, with what was seen of it over several looks. */
export interface WatchedChannel {
  readonly channel: ReplicaChannel;
  /** '' is the default one. */
  readonly name: string;
  /** For how long each thread has been seen in the state that it is in; by this process, so at least. */
  readonly ioSeconds: number;
  readonly sqlSeconds: number;
  /** Another one after each start of the receiver; null while none runs. */
  readonly incarnation: Known<string | null>;
}

export interface ReplicaFacts {
  readonly server: MysqlServer;
  readonly channels: readonly WatchedChannel[];
  /** What it retries by itself besides lock waits and deadlocks. */
  readonly alsoRetried: ReadonlySet<number>;
  readonly gtids: Known<GtidReading>;
}

export interface SourceFacts {
  readonly server: MysqlServer;
  /** `host:port` or a socket, as the inventory has it. */
  readonly at: string;
  /** It is a replica itself: then it may be read only. */
  readonly isReplica: Known<boolean>;
  readonly binlogs: Known<Binlogs>;
  readonly gtids: Known<GtidReading>;
  readonly dumpThreads: Known<readonly DumpThread[]>;
}

/** One source that the inventory names for the replica. */
export interface SourceView {
  readonly target: string;
  readonly facts: Known<SourceFacts>;
  /** Nobody listens there, or no way leads there: that is more than not knowing. */
  readonly down: boolean;
}

export interface RestartFacts {
  readonly replica: Known<ReplicaFacts>;
  readonly sources: readonly SourceView[];
  readonly gtids: Known<ReplicaGtids>;
}

/** By the process list of MariaDB, which does not say whose receiver a thread is: then by all of them. */
const mariadbReceivers =
  "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Slave_IO' ORDER BY ID LIMIT 100";

interface ThreadMark {
  readonly io: string;
  readonly ioSinceMs: number;
  readonly sql: string;
  readonly sqlSinceMs: number;
  readonly receiver: ReceiverMark;
}

/** By the world (its map of marks lives as long as it), then by target and channel. */
const marks = new WeakMap<World['marks'], Map<string, ThreadMark>>();

export function openTarget(target: string, world: World, signal: AbortSignal): Promise<MysqlClient> {
  return openMysql(
    world.opening(target, (address) => mysqlAddress.parse(address)),
    { signal, clock: world.clock },
  );
}

export function nameOf(channel: Pick<ReplicaChannel, 'channelName' | 'connectionName'>): string {
  return channel.channelName === '' ? channel.connectionName : channel.channelName;
}

/** Direct ones: what is upstream of these is the business of another policy. */
export function sourcesOf(target: string, { inventory }: Pick<World, 'inventory'>): readonly string[] {
  const named = inventory.pipelines.filter((p) => p.replicas.includes(target)).map((p) => p.source);
  return [...new Set(named)].sort();
}

export async function readFacts(target: string, world: World, signal: AbortSignal): Promise<RestartFacts> {
  const call: Call = { signal, clock: world.clock };
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, signal);
    const replica = client;
    // The replica before its sources, and once more after them: only then are differences of both kinds real.
    const earlier = await attempt(world.clock, () => readGtids(replica, new Map(), undefined, call));
    const sources = await Promise.all(sourcesOf(target, world).map((name) => readSource(name, world, signal)));
    const facts = await readReplica(target, replica, world, call);
    return { replica: known(facts, world.clock.wallMs()), sources, gtids: compare(facts, sources, earlier, world) };
  } catch (error) {
    const why = messageOf(error);
    return { replica: unknown(why), sources: [], gtids: unknown(why) };
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

async function readReplica(target: string, client: MysqlClient, world: World, call: Call): Promise<ReplicaFacts> {
  const server = await readServer(client, call);
  const retried = await attempt(world.clock, () => readRetried(client, call));
  const channels = await readChannels(target, client, world, call);
  const gtids = await attempt(world.clock, () => readGtids(client, new Map(), undefined, call));
  return { server, channels, alsoRetried: retried.known ? retried.value : new Set(), gtids };
}

/** MariaDB lists them (https://mariadb.com/kb/en/replication-and-binary-log-system-variables/); MySQL asks its engines. */
async function readRetried(client: MysqlClient, call: Call): Promise<ReadonlySet<number>> {
  const [row] = await client.query("SHOW GLOBAL VARIABLES LIKE 'slave_transaction_retry_errors'", [], call);
  const value = row?.['Value'];
  return typeof value === 'string' ? errnosOf(value) : new Set();
}

/** Without the channels of Group Replication: they have no source. */
export async function readChannels(
  target: string,
  client: MysqlClient,
  world: World,
  call: Call,
): Promise<readonly WatchedChannel[]> {
  const receivers = await attempt(world.clock, () => readReceiversOf(client, call));
  const mariadbIds = client.flavour === 'mariadb' ? await attempt(world.clock, () => readIds(client, call)) : undefined;
  const rows = channelsToSources(await readReplication(client, call));
  const kept = marks.get(world.marks) ?? new Map<string, ThreadMark>();
  marks.set(world.marks, kept);
  const monoMs = world.clock.monoMs();
  return rows.map((row): WatchedChannel => {
    const name = nameOf(row);
    const key = `${target}\0${name}`;
    const before = kept.get(key);
    const receiver = receivers.known ? receivers.value?.find((r) => r.channelName === name) : undefined;
    const watched = watchReceiver(row, before?.receiver, { monoMs, wallMs: world.clock.wallMs() }, receiver);
    const { channel } = watched;
    const io = `${channel.ioRunning} ${channel.state === 'stalled' ? 'stalled' : ''}`;
    const sql = String(channel.sqlRunning);
    const mark: ThreadMark = {
      io,
      ioSinceMs: before?.io === io ? before.ioSinceMs : monoMs,
      sql,
      sqlSinceMs: before?.sql === sql ? before.sqlSinceMs : monoMs,
      receiver: watched.mark,
    };
    kept.set(key, mark);
    return {
      channel,
      name,
      ioSeconds: (monoMs - mark.ioSinceMs) / 1000,
      sqlSeconds: (monoMs - mark.sqlSinceMs) / 1000,
      incarnation: mariadbIds ?? incarnationOf(receivers, receiver, world),
    };
  });
}

function incarnationOf(
  receivers: Known<readonly Receiver[] | undefined>,
  receiver: Receiver | undefined,
  world: World,
): Known<string | null> {
  if (!receivers.known) return receivers;
  if (receivers.value === undefined) return unknown('performance_schema is off: its receivers cannot be told apart');
  return known(receiver?.threadId ?? null, world.clock.wallMs());
}

async function readIds(client: MysqlClient, call: Call): Promise<string | null> {
  const rows = await client.query(mariadbReceivers, [], call);
  return rows.length === 0 ? null : rows.map((row) => String(row['ID'])).join(',');
}

/** undefined: the server has no such tables, or MariaDB, whose status row has the heartbeats itself. */
async function readReceiversOf(client: MysqlClient, call: Call): Promise<readonly Receiver[] | undefined> {
  if ((await performanceSchema(client, call)) !== 'available') return undefined;
  return await readReceivers(client, call);
}

async function readSource(target: string, world: World, signal: AbortSignal): Promise<SourceView> {
  const call: Call = { signal, clock: world.clock };
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, signal);
    const source = client;
    const server = await readServer(source, call);
    const binlogs = await attempt(world.clock, () => readBinlogs(source, call));
    const oldest = binlogs.known ? binlogs.value.files[0]?.name : undefined;
    const gtids = await attempt(world.clock, () => readGtids(source, new Map(), oldest, call));
    const dumpThreads = await attempt(world.clock, () => readDumpThreads(source, call));
    const isReplica = await attempt(world.clock, async () => (await readReplication(source, call)).length > 0);
    const facts = { server, at: source.at, isReplica, binlogs, gtids, dumpThreads };
    return { target, facts: known(facts, world.clock.wallMs()), down: false };
  } catch (error) {
    return { target, facts: unknown(messageOf(error)), down: ['refused', 'unreachable'].includes(classOf(error)) };
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

function compare(
  replica: ReplicaFacts,
  sources: readonly SourceView[],
  earlier: Known<GtidReading>,
  world: World,
): Known<ReplicaGtids> {
  if (!replica.gtids.known) return replica.gtids;
  const observedAtMs = world.clock.wallMs();
  return known(
    compareGtids({
      channels: replica.channels.map((c) => c.channel),
      sources: sources.map(({ facts }) => (facts.known ? facts.value.gtids : facts)),
      now: replica.gtids.value,
      earlier: earlier.known ? [earlier.value] : [],
      observedAtMs,
    }),
    observedAtMs,
  );
}

/**
 * Which of the inventory's sources the channel replicates from. `undefined` where it is none of them; with one source
 * alone that is told apart by judgeSource().
 */
export function sourceOf(channel: ReplicaChannel, sources: readonly SourceView[]): SourceView | undefined {
  const [only] = sources;
  if (sources.length === 1) return only;
  return sources.find(({ facts }) => facts.known && replicatesFrom(channel, facts.value.server) === true);
}
