import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type {
  Cluster,
  Commits,
  GroupDescription,
  GroupList,
  KafkaAbout,
  KafkaClient,
  ListedGroup,
  OffsetAt,
  Offsets,
  TopicPartition,
} from './facts-cluster.ts';
import { sent } from './client-apis.ts';
import { brokerOf, errorName, groupBy, KafkaWire, type Node, type WireOptions } from './client-wire.ts';
import { readAbout } from './client-about.ts';
import { assignedTopics } from './facts-protocol.ts';

export class KafkaSession implements KafkaClient {
  readonly #wire: KafkaWire;
  readonly #origin: Pick<KafkaAbout, 'bootstrap' | 'user'>;

  constructor(options: WireOptions) {
    this.#origin = {
      bootstrap: options.brokers.map(({ host, port }) => `${host}:${port}`).join(),
      user: options.sasl?.username,
    };
    this.#wire = new KafkaWire(options);
  }

  usable(): boolean {
    return !this.#wire.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wire.close();
  }

  async ping(call: Call): Promise<void> {
    const { brokers } = await this.#wire.metadata(call, []);
    if (brokers.length === 0) throw new TargetError('failed', 'metadata names no broker');
  }

  async about(call: Call): Promise<KafkaAbout> {
    return { ...this.#origin, ...(await readAbout(this.#wire, call)) };
  }

  async cluster(call: Call): Promise<Cluster> {
    const { clusterId, brokers, topics } = await this.#wire.metadata(call, null);
    const failed = topics.filter((t) => t.errorCode !== 0);
    return {
      id: clusterId ?? undefined,
      brokers: brokers.map(brokerOf),
      failed: new Map(failed.map((t) => [t.name ?? t.topicId, errorName(t.errorCode)])),
      topics: new Map(
        topics.flatMap((t) => {
          const { name } = t;
          if (name === null || name === undefined || t.errorCode !== 0) return [];
          const partitions = t.partitions
            .map((p) => ({
              topic: name,
              partition: p.partitionIndex,
              leader: p.leaderId,
              leaderEpoch: p.leaderEpoch,
              replicas: p.replicaNodes,
              inSync: p.isrNodes,
            }))
            .sort((a, b) => a.partition - b.partition);
          return [[name, { name, id: t.topicId, internal: t.isInternal, partitions }] as const];
        }),
      ),
    };
  }

  async groups(call: Call): Promise<GroupList> {
    const api = await this.#wire.api(call, 'ListGroups', ...sent.ListGroups);
    const groups: ListedGroup[] = [];
    const failed = new Map<number, string>();
    const brokers = await this.#wire.brokers(call);
    await Promise.all(
      brokers.map(async (broker) => {
        try {
          const answer = await this.#wire.send(call, 'ListGroups', broker, (c) =>
            api.async(c, [], ['classic', 'consumer', 'streams']),
          );
          if (answer.errorCode !== 0) throw new TargetError('failed', errorName(answer.errorCode));
          for (const g of answer.groups) {
            // Before Kafka 3.8 there is no type in the answer, and share groups are not yet there
            groups.push({
              id: g.groupId,
              type: g.groupType ?? 'classic',
              protocolType: g.protocolType,
              state: g.groupState,
            });
          }
        } catch (error) {
          failed.set(broker.id, this.#wire.mustGoOn(call, error));
        }
      }),
    );
    const [first] = failed.values();
    if (first !== undefined && failed.size === brokers.length) throw new TargetError('failed', `ListGroups: ${first}`);
    return { groups, failed };
  }

  async commits(call: Call, groups: readonly string[]): Promise<ReadonlyMap<string, Known<Commits>>> {
    const found = new Map<string, Known<Commits>>();
    if (groups.length === 0) return found;
    const api = await this.#wire.api(call, 'OffsetFetch', ...sent.OffsetFetch);
    const wallMs = call.clock.wallMs();
    await this.#wire.atCoordinators(call, groups, found, async (coordinator, ids) => {
      const answer = await this.#wire.send(call, 'OffsetFetch', coordinator, (c) =>
        api.async(
          c,
          ids.map((groupId) => ({ groupId, memberId: null, memberEpoch: -1, topics: null })),
          false,
        ),
      );
      for (const group of answer.groups) {
        found.set(
          group.groupId,
          group.errorCode === 0
            ? known(
                new Map(
                  group.topics.map((t) => [
                    t.name,
                    new Map(t.partitions.map((p) => [p.partitionIndex, commitOf(p, wallMs)] as const)),
                  ]),
                ),
                wallMs,
              )
            : unknown(`OffsetFetch: ${errorName(group.errorCode)}`),
        );
      }
    });
    return found;
  }

  async describe(call: Call, groups: readonly ListedGroup[]): Promise<ReadonlyMap<string, Known<GroupDescription>>> {
    const found = new Map<string, Known<GroupDescription>>();
    const wallMs = call.clock.wallMs();
    for (const { id, type, state } of groups) {
      if (type === 'streams') found.set(id, known({ state, members: undefined, assigned: [] }, wallMs));
    }
    const kinds = new Map(groups.filter((g) => g.type !== 'streams').map((g) => [g.id, g.type]));
    const put = (id: string, errorCode: number, description: () => GroupDescription): void => {
      found.set(
        id,
        errorCode === 0 ? known(description(), wallMs) : unknown(`describing the group: ${errorName(errorCode)}`),
      );
    };
    await this.#wire.atCoordinators(call, [...kinds.keys()], found, async (coordinator, ids) => {
      const classic = ids.filter((id) => kinds.get(id) !== 'consumer');
      const modern = ids.filter((id) => kinds.get(id) === 'consumer');
      await Promise.all([
        this.#describeClassic(call, coordinator, classic, put),
        this.#describeModern(call, coordinator, modern, put),
      ]);
    });
    return found;
  }

  async #describeClassic(call: Call, coordinator: Node, ids: readonly string[], put: PutDescription): Promise<void> {
    if (ids.length === 0) return;
    const api = await this.#wire.api(call, 'DescribeGroups', ...sent.DescribeGroups);
    const answer = await this.#wire.send(call, 'DescribeGroups', coordinator, (c) => api.async(c, [...ids], false));
    for (const group of answer.groups) {
      put(group.groupId, group.errorCode, () => ({
        state: group.groupState,
        members: group.members.length,
        assigned:
          group.protocolType === 'consumer'
            ? [...new Set(group.members.flatMap((m) => assignedTopics(m.memberAssignment)))]
            : [],
      }));
    }
  }

  /** KIP-848 groups: to DescribeGroups they are Dead, without members and without an error (seen on 4.1.1). */
  async #describeModern(call: Call, coordinator: Node, ids: readonly string[], put: PutDescription): Promise<void> {
    if (ids.length === 0) return;
    const api = await this.#wire.api(call, 'ConsumerGroupDescribe', ...sent.ConsumerGroupDescribe);
    const answer = await this.#wire.send(call, 'ConsumerGroupDescribe', coordinator, (c) =>
      api.async(c, [...ids], false),
    );
    for (const group of answer.groups) {
      put(group.groupId, group.errorCode === groupIdNotFound ? 0 : group.errorCode, () => ({
        state: group.errorCode === groupIdNotFound ? 'Dead' : group.groupState,
        members: group.members.length,
        assigned: [...new Set(group.members.flatMap((m) => m.assignment.topicPartitions.map((t) => t.topicName)))],
      }));
    }
  }

  async offsets(call: Call, partitions: readonly TopicPartition[], at: OffsetAt): Promise<Offsets> {
    const found = new Map<string, Map<number, Known<number>>>();
    if (partitions.length === 0) return found;
    const wallMs = call.clock.wallMs();
    const api = await this.#wire.api(call, 'ListOffsets', ...sent.ListOffsets);
    // KafkaApis: -1 latest (READ_COMMITTED: the last stable offset), -2 earliest, else the first record at or after the time
    const readCommitted = 1;
    const isolation = at === 'stable' ? readCommitted : 0;
    const fixed = at === 'end' || at === 'stable' ? -1n : at === 'begin' ? -2n : undefined;
    const timestampOf = (p: TopicPartition): bigint =>
      fixed ?? BigInt(Math.max(0, Math.floor(typeof at === 'function' ? at(p) : Number(at))));
    const put = (topic: string, partition: number, offset: Known<number>): void => {
      const ofTopic = found.get(topic) ?? new Map<number, Known<number>>();
      found.set(topic, ofTopic.set(partition, offset));
    };
    const brokers = new Map((await this.#wire.brokers(call)).map((b) => [b.id, b]));
    const byLeader = groupBy(partitions, (p) => p.leader);
    const afterEnd: TopicPartition[] = [];
    await Promise.all(
      [...byLeader].map(async ([leader, wanted]) => {
        for (const p of wanted) put(p.topic, p.partition, unknown('the leader did not answer for the partition'));
        const broker = brokers.get(leader);
        if (broker === undefined) {
          for (const p of wanted) put(p.topic, p.partition, unknown('the partition has no leader'));
          return;
        }
        try {
          const topics = [...groupBy(wanted, (p) => p.topic)].map(([name, of]) => ({
            name,
            partitions: of.map((p) => ({
              partitionIndex: p.partition,
              currentLeaderEpoch: p.leaderEpoch,
              timestamp: timestampOf(p),
            })),
          }));
          const epochs = new Map(wanted.map((p) => [`${p.topic}/${p.partition}`, p]));
          const answer = await this.#wire.send(call, 'ListOffsets', broker, (c) => api.async(c, -1, isolation, topics));
          for (const topic of answer.topics) {
            for (const p of topic.partitions) {
              const asked = epochs.get(`${topic.name}/${p.partitionIndex}`);
              if (p.errorCode !== 0) {
                put(topic.name, p.partitionIndex, unknown(`ListOffsets: ${errorName(p.errorCode)}`));
              } else if (p.offset < 0n) {
                if (asked !== undefined) afterEnd.push(asked);
              } else put(topic.name, p.partitionIndex, known(Number(p.offset), wallMs));
            }
          }
        } catch (error) {
          const why = this.#wire.mustGoOn(call, error);
          for (const p of wanted) put(p.topic, p.partition, unknown(why));
        }
      }),
    );
    // No record is that new: the end stood there already
    if (fixed === undefined && afterEnd.length > 0) {
      for (const [topic, ends] of await this.offsets(call, afterEnd, 'end')) {
        for (const [partition, end] of ends) put(topic, partition, end);
      }
    }
    return found;
  }
}

type PutDescription = (id: string, errorCode: number, description: () => GroupDescription) => void;

const groupIdNotFound = 69;

function commitOf(
  partition: { readonly committedOffset: bigint; readonly errorCode: number },
  wallMs: number,
): Known<number | 'none'> {
  if (partition.errorCode !== 0) return unknown(`OffsetFetch: ${errorName(partition.errorCode)}`);
  return known(partition.committedOffset < 0n ? 'none' : Number(partition.committedOffset), wallMs);
}
