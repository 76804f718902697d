// From the cluster's answers to facts. No I/O.
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../runtime/clock.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type {
  Cluster,
  Commits,
  GroupDescription,
  GroupList,
  ListedGroup,
  Offsets,
  TopicPartition,
} from './facts-cluster.ts';
import { TopicCommits } from './facts-commit.ts';
import { at } from './facts-history.ts';
import type { GroupLag, GroupSweep, GroupTopicSweep, KafkaSweep, LagMemory } from './facts-model.ts';
import { LagTable, TopicLogs } from './facts-lag-table.ts';
import type { Moment, PartitionOffsets } from './facts-partition.ts';
import type { GroupState, SweepPart } from './state.ts';

/** What the cluster said in one sweep. */
export interface Found {
  readonly cluster: Cluster;
  /** Those that were asked for. */
  readonly partitions: readonly TopicPartition[];
  readonly list: GroupList;
  readonly groups: readonly ListedGroup[];
  readonly commits: ReadonlyMap<string, Known<Commits>>;
  readonly descriptions: ReadonlyMap<string, Known<GroupDescription>>;
  readonly ends: Offsets;
  readonly begins: Offsets;
  readonly stable: Offsets;
}

/** Lets others run between groups: 100,000 partitions of groups take some hundred milliseconds. */
export async function sweepOf(found: Found, memory: LagMemory, now: Moment, clock: Clock): Promise<KafkaSweep> {
  const offsets = new Map<string, Map<number, PartitionOffsets>>();
  for (const p of found.partitions) {
    const ofTopic = offsets.get(p.topic) ?? new Map<number, PartitionOffsets>();
    offsets.set(p.topic, ofTopic.set(p.partition, { end: at(found.ends, p), begin: at(found.begins, p) }));
  }
  const logs = new Map([...offsets].map(([topic, of]) => [topic, new TopicLogs(of, memory.ends.ofTopic(topic))]));
  const groups = new Map<string, GroupSweep>();
  const listed = new Set(found.list.groups.map(({ id }) => id));
  let sinceMs = clock.monoMs();
  for (const group of found.groups) {
    if (clock.monoMs() - sinceMs > sliceMs) {
      await setImmediate();
      sinceMs = clock.monoMs();
    }
    // The list is all that tells of a Streams group: what it said the last time is no state of now
    const isStale = group.type === 'streams' && !listed.has(group.id);
    const description = isStale
      ? unknown('the group is no longer listed')
      : (found.descriptions.get(group.id) ?? unknown('the group was not described'));
    groups.set(group.id, {
      group: group.id,
      type: group.type,
      protocolType: group.protocolType,
      ...stateOf(description),
      members: membersOf(description, group.type),
      managed: group.protocolType !== '',
      topics: topicsOf(group.id, found, description, logs, memory, now),
    });
  }
  const stable = memory.transactions.stableOf(found.stable, offsets, now);
  return { cluster: found.cluster, offsets, groups, stable, partial: partialOf(found) };
}

/** The first reason for each part that is not whole. */
function partialOf({
  cluster,
  list,
  groups,
  commits,
  descriptions,
  ends,
  begins,
  stable,
}: Found): KafkaSweep['partial'] {
  const partial = new Map<SweepPart, string>();
  const [failed] = cluster.failed ?? [];
  if (failed !== undefined) partial.set('metadata', `topic ${failed[0]}: ${failed[1]}`);
  const [silent] = list.failed;
  if (silent !== undefined) partial.set('groups', `broker ${silent[0]}: ${silent[1]}`);
  for (const { id } of groups) {
    const description = descriptions.get(id);
    if (description?.known === false) setFirst(partial, 'descriptions', `group ${id}: ${description.why}`);
    const why = firstUnknown(commits.get(id));
    if (why !== undefined) setFirst(partial, 'commits', `group ${id}: ${why}`);
  }
  for (const offsets of [ends, begins, stable]) {
    const why = firstUnknown(known(offsets, 0));
    if (why !== undefined) setFirst(partial, 'offsets', why);
  }
  return partial;
}

function setFirst<K>(map: Map<K, string>, key: K, why: string): void {
  if (!map.has(key)) map.set(key, why);
}

function firstUnknown(
  topics: Known<ReadonlyMap<string, ReadonlyMap<number, Known<unknown>>>> | undefined,
): string | undefined {
  if (topics === undefined) return 'no answer';
  if (!topics.known) return topics.why;
  for (const [topic, partitions] of topics.value) {
    for (const [partition, value] of partitions) if (!value.known) return `${topic}/${partition}: ${value.why}`;
  }
  return undefined;
}

function membersOf(description: Known<GroupDescription>, type: string): Known<number> {
  if (!description.known) return description;
  const { members } = description.value;
  if (members === undefined) return unknown(`groups of the type ${type} are not described`);
  return known(members, description.observedAtMs);
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
  const named = description.value.state;
  const state = Object.hasOwn(states, named) ? states[named] : undefined; // the broker's word: `constructor` is one
  return state === undefined
    ? { state: 'unknown', why: `the broker names the state ${description.value.state}` }
    : { state, why: undefined };
}

function topicsOf(
  group: string,
  found: Found,
  description: Known<GroupDescription>,
  logs: ReadonlyMap<string, TopicLogs>,
  memory: LagMemory,
  now: Moment,
): GroupSweep['topics'] {
  const commits = found.commits.get(group) ?? unknown('the commits were not read');
  if (!commits.known) return commits;
  const seenBefore = memory.commits.has(group);
  const remembered = memory.commits.get(group) ?? new Map<string, TopicCommits>();
  memory.commits.set(group, remembered);
  const topics = new Map<string, GroupTopicSweep>();
  const names = topicNames(commits.value, description);
  for (const topic of remembered.keys()) if (!names.has(topic)) remembered.delete(topic);
  for (const topic of names) {
    const partitions = logs.get(topic);
    if (partitions === undefined) {
      // Deleted, not selected, or not for us to see. A commit that cannot be looked at now is no new one later.
      if (found.cluster.failed?.has(topic) === true) remembered.set(topic, remembered.get(topic) ?? new TopicCommits());
      continue;
    }
    const committed = commits.value.get(topic);
    const isBorn = seenBefore && committed !== undefined;
    const memoryOf = remembered.get(topic) ?? new TopicCommits(isBorn ? now.monoMs : undefined);
    remembered.set(topic, memoryOf);
    const ofTopic = { known: true, value: committed, observedAtMs: commits.observedAtMs } as const;
    const lags = new LagTable(partitions, ofTopic, memoryOf, now);
    topics.set(topic, { topic, partitions: lags, commitAgeSeconds: memoryOf.remember(lags.rows(), now) });
  }
  return known(topics, now.wallMs);
}

/** Of which the group has committed something, or is given a partition. */
export function topicNames(commits: Commits, description: Known<GroupDescription>): Set<string> {
  const names = new Set(description.known ? description.value.assigned : []);
  for (const [topic, partitions] of commits) {
    for (const commit of partitions.values()) {
      if (commit.known && commit.value === 'none') continue;
      names.add(topic);
      break;
    }
  }
  return names;
}

/** At most this long at a time. */
const sliceMs = 10;
