// A Kafka cluster that says what the test wants.
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type {
  Commits,
  GroupDescription,
  KafkaClient,
  ListedGroup,
  OffsetAt,
  Offsets,
  TopicPartition,
} from '../../../exporter/systems/kafka/facts-cluster.ts';

export interface FakePartition {
  readonly begin?: number | string;
  /** A text: why it is unknown. */
  readonly end: number | string;
  /** The last stable offset, when it is not the end. */
  readonly stable?: number | string;
  readonly leader?: number;
  readonly replicas?: readonly number[];
  readonly inSync?: readonly number[];
  /** Ends at times in the past: [wall ms, offset], ascending; a text: why it is unknown. */
  readonly past?: readonly (readonly [atMs: number, offset: number | string])[];
}

export interface FakeGroup {
  readonly type?: string;
  readonly protocolType?: string;
  readonly state?: string;
  readonly members?: number;
  readonly assigned?: readonly string[];
  /** topic -> offsets by partition; undefined: nothing is committed; a text: why it is unknown. */
  readonly commits?: Readonly<Record<string, readonly (number | string | undefined)[]>> | string;
  readonly described?: string;
}

export interface FakeCluster {
  topics: Record<string, readonly FakePartition[]>;
  groups: Record<string, FakeGroup>;
  /** Names of groups that the brokers list; all of them when left out. */
  listed?: readonly string[];
  failedBrokers?: readonly number[];
  /** topic -> what tells it from another of the same name. */
  ids?: Record<string, string>;
  failedTopics?: Record<string, string>;
  user?: string;
  mayDescribeCluster?: boolean;
  readonly asked: string[];
  /** Groups whose commits or description, and topics whose offsets were asked for. */
  readonly askedFor: { readonly groups: Set<string>; readonly topics: Set<string> };
}

export function fakeCluster(parts: Pick<FakeCluster, 'topics' | 'groups'>): FakeCluster {
  return { ...parts, asked: [], askedFor: { groups: new Set(), topics: new Set() } };
}

function knownOr(value: number | string): Known<number> {
  return typeof value === 'string' ? unknown(value) : known(value, 0);
}

export function clientOf(cluster: FakeCluster): KafkaClient {
  const partitionsOf = (name: string): TopicPartition[] =>
    (cluster.topics[name] ?? []).map(({ leader = 1, replicas = [1], inSync = [1] }, partition) => ({
      topic: name,
      partition,
      leader,
      leaderEpoch: 0,
      replicas,
      inSync,
    }));
  return {
    cluster: () => {
      cluster.asked.push('cluster');
      const names = Object.keys(cluster.topics);
      return Promise.resolve({
        id: 'fake',
        brokers: [{ id: 1, host: 'broker', port: 9092 }],
        failed: new Map(Object.entries(cluster.failedTopics ?? {})),
        topics: new Map(
          names.map((name) => [name, { name, id: cluster.ids?.[name] ?? 'first', partitions: partitionsOf(name) }]),
        ),
      });
    },
    groups: () => {
      cluster.asked.push('groups');
      const names = cluster.listed ?? Object.keys(cluster.groups);
      return Promise.resolve({
        groups: names.map((id) => listedOf(id, cluster.groups[id])),
        failed: new Map((cluster.failedBrokers ?? []).map((id) => [id, 'no answer'])),
      });
    },
    commits: (_call, groups) => {
      cluster.asked.push('commits');
      for (const id of groups) cluster.askedFor.groups.add(id);
      return Promise.resolve(new Map(groups.map((id) => [id, commitsOf(cluster.groups[id])])));
    },
    describe: (_call, groups) => {
      cluster.asked.push('describe');
      for (const { id } of groups) cluster.askedFor.groups.add(id);
      return Promise.resolve(new Map(groups.map(({ id }) => [id, descriptionOf(cluster.groups[id])])));
    },
    offsets: (_call, partitions, at) => {
      cluster.asked.push(typeof at === 'string' ? at : 'past');
      for (const { topic } of partitions) cluster.askedFor.topics.add(topic);
      return Promise.resolve(offsetsOf(cluster, partitions, at));
    },
    about: () =>
      Promise.resolve({
        bootstrap: 'broker:9092',
        user: cluster.user,
        releases: new Map([[1, known('Kafka 4.1 or newer', 0)]]),
        mayDescribeCluster: known(cluster.mayDescribeCluster ?? true, 0),
      }),
    ping: () => Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function listedOf(id: string, group: FakeGroup = {}): ListedGroup {
  const { type = 'classic', protocolType = 'consumer', state = 'Stable' } = group;
  return { id, type, protocolType, state };
}

function commitsOf(group: FakeGroup | undefined): Known<Commits> {
  const { commits = {} } = group ?? {};
  if (typeof commits === 'string') return unknown(commits);
  return known(
    new Map(
      Object.entries(commits).map(([topic, offsets]) => [
        topic,
        new Map(offsets.map((offset, partition) => [partition, commitOf(offset)])),
      ]),
    ),
    0,
  );
}

function commitOf(offset: number | string | undefined): Known<number | 'none'> {
  return offset === undefined ? known('none', 0) : knownOr(offset);
}

function descriptionOf(group: FakeGroup | undefined): Known<GroupDescription> {
  if (group === undefined) return known({ state: 'Dead', members: 0, assigned: [] }, 0);
  if (group.described !== undefined) return unknown(group.described);
  const { state = 'Stable', type, assigned = [] } = group;
  return known({ state, members: type === 'streams' ? undefined : (group.members ?? 1), assigned }, 0);
}

function offsetsOf(cluster: FakeCluster, partitions: readonly TopicPartition[], at: OffsetAt): Offsets {
  const found = new Map<string, Map<number, Known<number>>>();
  for (const asked of partitions) {
    const { topic, partition } = asked;
    const of = cluster.topics[topic]?.[partition];
    if (of === undefined) continue;
    const { begin = 0, end, stable = end, past = [] } = of;
    const pastAt = (atMs: number): number | string => past.findLast(([since]) => since <= atMs)?.[1] ?? begin;
    const value =
      at === 'end'
        ? end
        : at === 'begin'
          ? begin
          : at === 'stable'
            ? stable
            : pastAt(typeof at === 'function' ? at(asked) : at);
    found.set(topic, (found.get(topic) ?? new Map<number, Known<number>>()).set(partition, knownOr(value)));
  }
  return found;
}
