// Lag of every consumer group of a cluster, in one sweep of a few batched requests: groups, their commits, and only then
// the ends of the logs. In this order lag can come out a little too large, but never below 0.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { unknown } from '../../runtime/known.ts';
import type { Cluster, GroupList, KafkaClient, ListedGroup, Offsets, TopicPartition } from './facts-cluster.ts';
import { wholeSweep, type KafkaLag, type KafkaSweep, type LagMemory, type SweepOptions } from './facts-model.ts';
import type { Moment } from './facts-partition.ts';
import { isSelected } from './facts-selection.ts';
import { sweepOf, topicNames, type Found } from './facts-sweep.ts';

export { LagMemory, type GroupLag, type KafkaLag } from './facts-model.ts';
export type { LagAge, PartitionLag } from './facts-partition.ts';

export const kafkaLagFact = factKey<KafkaLag>('kafka.lag');

/** For how long a group that is no longer listed is still asked for and told of. */
export const groupGraceMs = 600_000;

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
export async function readKafkaLag(
  client: KafkaClient,
  call: Call,
  memory: LagMemory,
  options: SweepOptions = wholeSweep,
): Promise<KafkaSweep> {
  const cluster = await client.cluster(call);
  forgetOthers(cluster, memory);
  const list = await client.groups(call);
  const groups = takeGroups(list, options, memory, call.clock.monoMs());
  const ids = groups.map((g) => g.id);
  const [commits, descriptions] = await Promise.all([client.commits(call, ids), client.describe(call, groups)]);
  const partitions = [...cluster.topics.values()]
    .filter((t) => isSelected(options.topics, t.name))
    .flatMap((t) => t.partitions);
  const readEnds = client.offsets(call, partitions, 'end');
  const [ends, begins, stable] = await Promise.all([
    readEnds,
    client.offsets(call, partitions, 'begin'),
    options.lastStableOffset
      ? readEnds.then(() => client.offsets(call, partitions, 'stable'))
      : new Map<string, never>(),
  ]);
  const now = { wallMs: call.clock.wallMs(), monoMs: call.clock.monoMs() };
  const found: Found = { cluster, partitions, list, groups, commits, descriptions, ends, begins, stable };
  rememberEnds(found, memory, now);
  await memory.ends.learn(client, call, waitingIn(found), now);
  return await sweepOf(found, memory, now, call.clock);
}

/** What was kept of topics that were made anew or are gone. */
function forgetOthers(cluster: Cluster, memory: LagMemory): void {
  const gone = memory.ends.forgetOthers(cluster);
  if (gone.length === 0) return;
  for (const topics of memory.commits.values()) for (const topic of gone) topics.get(topic)?.startOver();
}

/**
 * The groups to ask for: those listed now and those listed less than ten minutes ago. After a broker's restart the list
 * is empty, without an error, for up to 7 s (seen on 4.1.1), and a group that died should be seen to be dead.
 */
function takeGroups(list: GroupList, options: SweepOptions, memory: LagMemory, monoMs: number): ListedGroup[] {
  for (const group of list.groups) {
    if (isSelected(options.groups, group.id)) memory.groups.set(group.id, { group, seenMs: monoMs });
  }
  for (const [id, { seenMs }] of memory.groups) {
    // A broker that did not answer may still have it
    if (list.failed.size > 0 || monoMs - seenMs <= groupGraceMs) continue;
    memory.groups.delete(id);
    memory.commits.delete(id);
  }
  return [...memory.groups.values()].map((g) => g.group);
}

/** Histories are kept only for partitions that a group reads. */
function rememberEnds(found: Found, memory: LagMemory, now: Moment): void {
  const read = new Set<string>();
  for (const { id } of found.groups) {
    const commits = found.commits.get(id);
    const description = found.descriptions.get(id) ?? unknown('the group was not described');
    if (commits?.known === true) for (const topic of topicNames(commits.value, description)) read.add(topic);
  }
  for (const topic of read) memory.ends.add(topic, found.ends.get(topic) ?? new Map<number, never>(), now.monoMs);
}

/** Partitions in which records wait, each with the offsets of the ones that its groups read next. */
function waitingIn({ cluster, commits, ends, begins }: Found): ReadonlyMap<TopicPartition, readonly number[]> {
  const waiting = new Map<TopicPartition, number[]>();
  for (const ofGroup of commits.values()) {
    if (!ofGroup.known) continue;
    for (const [topic, of] of ofGroup.value) {
      const [beginOf, endOf] = [begins.get(topic), ends.get(topic)];
      const partitions = cluster.topics.get(topic)?.partitions;
      if (beginOf === undefined || endOf === undefined || partitions === undefined) continue;
      for (const [number, commit] of of) {
        if (!commit.known || commit.value === 'none') continue;
        const [begin, end, partition] = [beginOf.get(number), endOf.get(number), partitions[number]];
        // Partitions are sorted, and their numbers without gaps
        if (begin?.known !== true || end?.known !== true || partition?.partition !== number) continue;
        const next = Math.max(commit.value, begin.value);
        if (next >= end.value) continue;
        const offsets = waiting.get(partition);
        if (offsets === undefined) waiting.set(partition, [next]);
        else if (!offsets.includes(next)) offsets.push(next);
      }
    }
  }
  return waiting;
}
