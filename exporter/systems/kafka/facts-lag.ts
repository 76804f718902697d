// Lag of every consumer group of a cluster, in one sweep of a few batched requests: groups, their commits, and only then
// the ends of the logs. In this order lag can come out a little too large, but never below 0.
import { setImmediate } from 'node:timers/promises';
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import type { Clock } from '../../runtime/clock.ts';
import { known, mapKnown, unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory } from '../../runtime/offset-history.ts';
import type {
  Cluster,
  Commits,
  GroupDescription,
  GroupList,
  KafkaClient,
  ListedGroup,
  Offsets,
  TopicPartition,
} from './facts-cluster.ts';
import {
  partitionLagOf,
  type Moment,
  type PartitionLag,
  type PartitionOffsets,
  type StuckCommit,
} from './facts-partition.ts';
import type { GroupState } from './state.ts';

export type { LagAge, PartitionLag, PartitionOffsets } from './facts-partition.ts';

export interface KafkaLag {
  readonly cluster: Cluster;
  /** topic -> partition */
  readonly offsets: ReadonlyMap<string, ReadonlyMap<number, PartitionOffsets>>;
  readonly groups: ReadonlyMap<string, GroupLag>;
}

export interface GroupLag {
  readonly group: string;
  readonly state: GroupState;
  /** Says why when `state` is unknown. */
  readonly why: string | undefined;
  readonly members: Known<number>;
  /** False for a group whose consumers choose their partitions themselves: it looks empty although they work. */
  readonly managed: boolean;
  /**
   * Every topic of which the group has committed something, or a member of it has been given a partition.
   * Unknown when the commits could not be read.
   */
  readonly topics: Known<ReadonlyMap<string, GroupTopicLag>>;
}

export interface GroupTopicLag {
  readonly topic: string;
  /** Every partition of the topic, by number. */
  readonly partitions: ReadonlyMap<number, PartitionLag>;
}

export const kafkaLagFact = factKey<KafkaLag>('kafka.lag');

/** For how long a group that is no longer listed is still asked for and told of. */
export const groupGraceMs = 600_000;

/** What is kept from sweep to sweep: without it there are no ages. One per cluster. */
export class LagMemory {
  /** topic -> partition; only of partitions that a group reads */
  readonly ends = new Map<string, Map<number, OffsetHistory>>();
  /** group -> topic and partition */
  readonly commits = new Map<string, Map<string, StuckCommit>>();
  readonly groups = new Map<string, { readonly group: ListedGroup; readonly seenMs: number }>();
}

/** Metadata of the cluster is answered and names at least one broker. @throws TargetError */
export async function pingKafka(client: KafkaClient, call: Call): Promise<void> {
  await client.ping(call);
}

/** Ends of the logs of these topics: topic -> partition -> next offset. A topic that is not there is not in the answer. */
export async function readEndOffsets(client: KafkaClient, topics: readonly string[], call: Call): Promise<Offsets> {
  const cluster = await client.cluster(call);
  const wanted = topics.flatMap((name) => cluster.topics.get(name)?.partitions ?? []);
  return await client.offsets(call, wanted, 'end');
}

/** @throws TargetError when the cluster does not answer; parts of it that do not are unknown */
export async function readKafkaLag(client: KafkaClient, call: Call, memory: LagMemory): Promise<KafkaLag> {
  const cluster = await client.cluster(call);
  const groups = takeGroups(await client.groups(call), memory, call.clock.monoMs());
  const ids = groups.map((g) => g.id);
  const [commits, descriptions] = await Promise.all([client.commits(call, ids), client.describe(call, groups)]);
  const partitions = [...cluster.topics.values()].flatMap((t) => t.partitions);
  const [ends, begins] = await Promise.all([
    client.offsets(call, partitions, 'end'),
    client.offsets(call, partitions, 'begin'),
  ]);
  const now = { wallMs: call.clock.wallMs(), monoMs: call.clock.monoMs() };
  const found: Found = { cluster, groups, commits, descriptions, ends, begins };
  rememberEnds(found, memory, now);
  const lag = await kafkaLagOf(found, memory, now, call.clock);
  const cold = tooYoung(lag, memory);
  if (cold.length === 0) return lag;
  await backfill(client, call, cold, memory, now);
  return await kafkaLagOf(found, memory, now, call.clock);
}

/** What the cluster said in one sweep. */
interface Found {
  readonly cluster: Cluster;
  readonly groups: readonly ListedGroup[];
  readonly commits: ReadonlyMap<string, Known<Commits>>;
  readonly descriptions: ReadonlyMap<string, Known<GroupDescription>>;
  readonly ends: Offsets;
  readonly begins: Offsets;
}

/** Lets others run between groups: 100,000 partitions of groups take some hundred milliseconds. */
async function kafkaLagOf(found: Found, memory: LagMemory, now: Moment, clock: Clock): Promise<KafkaLag> {
  const offsets = new Map<string, Map<number, PartitionOffsets>>();
  for (const topic of found.cluster.topics.values()) {
    offsets.set(
      topic.name,
      new Map(topic.partitions.map((p) => [p.partition, { end: at(found.ends, p), begin: at(found.begins, p) }])),
    );
  }
  const groups = new Map<string, GroupLag>();
  let sinceMs = clock.monoMs();
  for (const group of found.groups) {
    if (clock.monoMs() - sinceMs > sliceMs) {
      await setImmediate();
      sinceMs = clock.monoMs();
    }
    const description = found.descriptions.get(group.id) ?? unknown('the group was not described');
    groups.set(group.id, {
      group: group.id,
      ...stateOf(description),
      members: mapKnown(description, (d) => d.members),
      managed: group.protocolType !== '',
      topics: topicsOf(group.id, found, description, offsets, memory, now),
    });
  }
  return { cluster: found.cluster, offsets, groups };
}

/**
 * The groups to ask for: those listed now and those listed less than ten minutes ago. After a broker's restart the list
 * is empty, without an error, for up to 7 s (seen on 4.1.1), and a group that died should be seen to be dead.
 */
function takeGroups(list: GroupList, memory: LagMemory, monoMs: number): ListedGroup[] {
  for (const group of list.groups) memory.groups.set(group.id, { group, seenMs: monoMs });
  for (const [id, { seenMs }] of memory.groups) {
    // A broker that did not answer may still have it
    if (list.failed.size > 0 || monoMs - seenMs <= groupGraceMs) continue;
    memory.groups.delete(id);
    memory.commits.delete(id);
  }
  return [...memory.groups.values()].map((g) => g.group);
}

// kafka/group-coordinator: ClassicGroupState, ConsumerGroup.ConsumerGroupState
const states: Readonly<Record<string, GroupState>> = {
  Stable: 'stable',
  PreparingRebalance: 'rebalancing',
  CompletingRebalance: 'rebalancing',
  Assigning: 'rebalancing',
  Reconciling: 'rebalancing',
  Empty: 'empty',
  Dead: 'dead',
};

function stateOf(description: Known<GroupDescription>): Pick<GroupLag, 'state' | 'why'> {
  if (!description.known) return { state: 'unknown', why: description.why };
  const state = states[description.value.state];
  return state === undefined
    ? { state: 'unknown', why: `the broker names the state ${description.value.state}` }
    : { state, why: undefined };
}

function topicsOf(
  group: string,
  found: Found,
  description: Known<GroupDescription>,
  offsets: KafkaLag['offsets'],
  memory: LagMemory,
  now: Moment,
): GroupLag['topics'] {
  const commits = found.commits.get(group) ?? unknown('the commits were not read');
  if (!commits.known) return commits;
  const stuck = memory.commits.get(group) ?? new Map<string, StuckCommit>();
  memory.commits.set(group, stuck);
  const topics = new Map<string, GroupTopicLag>();
  for (const topic of topicNames(commits.value, description)) {
    const partitions = offsets.get(topic);
    if (partitions === undefined) continue; // deleted, or not for us to see
    const lags = new Map<number, PartitionLag>();
    for (const [partition, ends] of partitions) {
      const committed: Known<number | 'none'> =
        commits.value.get(topic)?.get(partition) ?? known('none', commits.observedAtMs);
      const key = `${topic}/${partition}`;
      const lag = partitionLagOf(committed, ends, memory.ends.get(topic)?.get(partition), stuck.get(key), now);
      lags.set(partition, lag);
      rememberStuck(stuck, key, lag, now);
    }
    topics.set(topic, { topic, partitions: lags });
  }
  return known(topics, now.wallMs);
}

function topicNames(commits: Commits, description: Known<GroupDescription>): Set<string> {
  const names = new Set(description.known ? description.value.assigned : []);
  for (const [topic, partitions] of commits) {
    if ([...partitions.values()].some((c) => !c.known || c.value !== 'none')) names.add(topic);
  }
  return names;
}

function rememberStuck(
  stuck: Map<string, StuckCommit>,
  key: string,
  { committed, lag }: PartitionLag,
  now: Moment,
): void {
  if (!committed.known || committed.value === 'none' || !lag.known) return;
  if (lag.value === 0) stuck.delete(key);
  else if (stuck.get(key)?.committed !== committed.value) {
    stuck.set(key, { committed: committed.value, sinceMs: now.monoMs });
  }
}

/** Histories are kept only for partitions that a group reads. */
function rememberEnds(found: Found, memory: LagMemory, now: Moment): void {
  for (const topic of memory.ends.keys()) if (!found.cluster.topics.has(topic)) memory.ends.delete(topic);
  const read = new Set<string>();
  for (const { id } of found.groups) {
    const commits = found.commits.get(id);
    const description = found.descriptions.get(id) ?? unknown('the group was not described');
    if (commits?.known === true) for (const topic of topicNames(commits.value, description)) read.add(topic);
  }
  for (const topic of read) {
    for (const [partition, end] of found.ends.get(topic) ?? []) {
      if (end.known) historyOf(memory, topic, partition).add(now.monoMs, end.value);
    }
  }
}

function historyOf(memory: LagMemory, topic: string, partition: number): OffsetHistory {
  const ofTopic = memory.ends.get(topic) ?? new Map<number, OffsetHistory>();
  memory.ends.set(topic, ofTopic);
  const history = ofTopic.get(partition) ?? new OffsetHistory(historySamples);
  ofTopic.set(partition, history);
  return history;
}

/** At most this long at a time. */
const sliceMs = 10;

/** 10,000 partitions with 60 samples take about 10 MB. */
const historySamples = 60;

/** Ages that a history is begun with: when the exporter starts, the group may have been behind for hours. */
const backfillAgesMs = [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];

/** Partitions with a group whose next record is older than the history, that have not been backfilled. */
function tooYoung(lag: KafkaLag, memory: LagMemory): TopicPartition[] {
  const wanted = new Set<TopicPartition>();
  for (const group of lag.groups.values()) {
    if (!group.topics.known) continue;
    for (const { topic, partitions } of group.topics.value.values()) {
      for (const [number, { lag: records, lagAge }] of partitions) {
        if (!records.known || (lagAge.known && !lagAge.value.atLeast)) continue;
        if (memory.ends.get(topic)?.get(number)?.backfilled !== false) continue;
        const partition = lag.cluster.topics.get(topic)?.partitions[number]; // numbers are without gaps, and sorted
        if (partition?.partition === number) wanted.add(partition);
      }
    }
  }
  return [...wanted];
}

/**
 * Where the log ended at some times in the past, by the timestamps of its records (ListOffsets by time): once per
 * partition, one request per broker and time, for all partitions together. The ages from it trust the producers' clocks,
 * and are as coarse as the times are apart until the history has samples of its own.
 */
async function backfill(
  client: KafkaClient,
  call: Call,
  partitions: readonly TopicPartition[],
  memory: LagMemory,
  now: Moment,
): Promise<void> {
  const answers = await Promise.all(
    backfillAgesMs.map(async (ageMs) => ({
      ageMs,
      offsets: await client.offsets(call, partitions, now.wallMs - ageMs),
    })),
  );
  for (const p of partitions) {
    const samples = answers.flatMap(({ ageMs, offsets }) => {
      const offset = at(offsets, p);
      return offset.known ? [{ atMs: now.monoMs - ageMs, endOffset: offset.value }] : [];
    });
    if (samples.length === backfillAgesMs.length) historyOf(memory, p.topic, p.partition).backfill(samples);
  }
}

function at(offsets: Offsets, { topic, partition }: TopicPartition): Known<number> {
  return offsets.get(topic)?.get(partition) ?? unknown('the partition was not asked for');
}
