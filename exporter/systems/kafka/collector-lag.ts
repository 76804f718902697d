import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import { groupGraceMs, kafkaLagFact, LagMemory, readKafkaLag, type GroupLag, type GroupTopicLag } from './facts-lag.ts';
import type { KafkaClient, Topic } from './facts-cluster.ts';
import type { KafkaLag } from './facts-lag.ts';
import { kafkaFamilies } from './families.ts';
import { groupStates, type GroupState } from './state.ts';

type KafkaEmit = Emit<typeof kafkaFamilies>;

export const kafkaLag = collectorOf<KafkaClient>()({
  name: 'kafka_lag',
  help: 'Brokers, partitions and the lag of every consumer group, in records and in seconds.',
  config: z.strictObject({}),
  families: kafkaFamilies,
  state: () => new LagMemory(),
  async collect({ client, emit, call, state }) {
    const lag = await readKafkaLag(client, call, state);
    call.board.publish(call.target, kafkaLagFact, known(lag, call.clock.wallMs()));
    emit.brokers(lag.cluster.brokers.length);
    for (const { id, host, port } of lag.cluster.brokers) {
      emit.brokerInfo(1, { id: String(id), address: `${host}:${port}` });
    }
    for (const topic of lag.cluster.topics.values()) emitTopic(emit, topic, lag);
    for (const group of lag.groups.values()) emitGroup(emit, group);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, kafkaLagFact, unknown(why));
    for (const [group, { seenMs }] of state.groups) {
      if (call.clock.monoMs() - seenMs <= groupGraceMs) emitGroupState(emit, group, 'unknown');
    }
  },
});

function emitTopic(emit: KafkaEmit, topic: Topic, lag: KafkaLag): void {
  emit.partitions(topic.partitions.length, { topic: topic.name });
  const offsets = lag.offsets.get(topic.name);
  for (const { partition, leader, replicas, inSync } of topic.partitions) {
    const labels = { topic: topic.name, partition: String(partition) };
    const of = offsets?.get(partition);
    if (of?.end.known === true) emit.currentOffset(of.end.value, labels);
    if (of?.begin.known === true) emit.oldestOffset(of.begin.value, labels);
    if (leader >= 0) emit.leader(leader, labels);
    emit.replicas(replicas.length, labels);
    emit.inSync(inSync.length, labels);
    emit.leaderIsPreferred(replicas[0] === leader ? 1 : 0, labels);
    emit.underReplicated(inSync.length < replicas.length ? 1 : 0, labels);
  }
}

function emitGroup(emit: KafkaEmit, group: GroupLag): void {
  emitGroupState(emit, group.group, group.state);
  if (group.members.known) emit.members(group.members.value, { consumergroup: group.group });
  if (!group.topics.known) return;
  for (const topic of group.topics.value.values()) emitGroupTopic(emit, group.group, topic);
}

function emitGroupState(emit: KafkaEmit, consumergroup: string, state: GroupState): void {
  emitState(
    (value, of) => {
      emit.groupState(value, { consumergroup, state: of });
    },
    groupStates,
    state,
  );
}

function emitGroupTopic(emit: KafkaEmit, consumergroup: string, { topic, partitions }: GroupTopicLag): void {
  let uncommitted = 0;
  let offsetSum: number | undefined = 0;
  let lagSum: number | undefined = 0;
  const all = [...partitions.values()];
  const anyCommit = all.some((p) => !p.committed.known || p.committed.value !== 'none');
  for (const [partition, found] of partitions) {
    const labels = { consumergroup, topic, partition: String(partition) };
    if (!found.committed.known) {
      offsetSum = lagSum = undefined;
      continue;
    }
    const committed = found.committed.value;
    if (committed === 'none') {
      uncommitted++;
      // kafka_exporter leaves out topics of which the group has committed nothing at all
      if (anyCommit) emit.groupOffset(-1, labels);
      if (offsetSum !== undefined) offsetSum--;
      continue;
    }
    emit.groupOffset(committed, labels);
    if (offsetSum !== undefined) offsetSum += committed;
    if (found.lag.known) {
      emit.groupLag(found.lag.value, labels);
      if (lagSum !== undefined) lagSum += found.lag.value;
    } else lagSum = undefined;
    if (found.lagAge.known) emit.groupLagSeconds(found.lagAge.value.seconds, labels);
    if (found.lost.known) emit.lost(found.lost.value, labels);
  }
  emit.uncommitted(uncommitted, { consumergroup, topic });
  if (!anyCommit) return;
  if (offsetSum !== undefined) emit.groupOffsetSum(offsetSum, { consumergroup, topic });
  if (lagSum !== undefined) emit.groupLagSum(lagSum, { consumergroup, topic });
}
