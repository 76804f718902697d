// Samples of consumer groups.
import { emitState, type Emit } from '../../families.ts';
import { known, type Known } from '../../runtime/known.ts';
import type { GroupSweep, GroupTopicSweep } from './facts-model.ts';
import type { PartitionLag } from './facts-partition.ts';
import { largestOf, sumOf } from './facts-values.ts';
import type { kafkaFamilies } from './families.ts';
import { groupStates, type Granularity, type GroupState } from './state.ts';

type KafkaEmit = Emit<typeof kafkaFamilies>;

export function emitGroup(emit: KafkaEmit, group: GroupSweep, granularity: Granularity): void {
  const consumergroup = group.group;
  emitGroupState(emit, consumergroup, group.state);
  emit.groupInfo(1, { consumergroup, protocol_type: group.protocolType, type: group.type });
  if (group.members.known) emit.members(group.members.value, { consumergroup });
  if (!group.topics.known) return;
  for (const topic of group.topics.value.values()) emitGroupTopic(emit, consumergroup, topic, granularity);
}

export function emitGroupState(emit: Pick<KafkaEmit, 'groupState'>, consumergroup: string, state: GroupState): void {
  emitState(
    (value, of) => {
      emit.groupState(value, { consumergroup, state: of });
    },
    groupStates,
    state,
  );
}

function emitGroupTopic(
  emit: KafkaEmit,
  consumergroup: string,
  found: GroupTopicSweep,
  granularity: Granularity,
): void {
  const { topic, partitions } = found;
  const labels = { consumergroup, topic };
  const all = [...partitions.values()];
  const isCommitted = (p: PartitionLag): boolean => !p.committed.known || p.committed.value !== 'none';
  const withCommit = all.filter(isCommitted);
  emit.uncommitted(all.length - withCommit.length, labels);
  emit.beyondEnd(all.filter((p) => p.truncated).length, labels);
  emit.unknownPartitions(withCommit.filter((p) => !p.lag.known && !p.truncated).length, labels);
  if (found.commitAgeSeconds.known) emit.commitAge(found.commitAgeSeconds.value, labels);
  // kafka_exporter leaves out topics of which the group has committed nothing at all
  if (withCommit.length === 0) return;
  const unmoved = largestOf(withCommit.map((p) => p.unmovedSeconds));
  if (unmoved.known) emit.unmoved(unmoved.value, labels);
  const sum: Row = {
    partition: '',
    offset: sumOf(all.map(offsetOf)),
    lag: sumOf(withCommit.map((p) => p.lag)),
    lagSeconds: largestOf(withCommit.map(secondsOf)),
    lost: sumOf(withCommit.map((p) => p.lost)),
  };
  if (sum.offset.known) emit.groupOffsetSum(sum.offset.value, labels);
  if (sum.lag.known) emit.groupLagSum(sum.lag.value, labels);
  if (granularity === 'topic') {
    emitRow(emit, labels, sum);
    return;
  }
  for (const [partition, p] of partitions) {
    const { lag, lost } = p;
    emitRow(emit, labels, { partition: String(partition), offset: offsetOf(p), lag, lagSeconds: secondsOf(p), lost });
  }
}

interface Row {
  readonly partition: string;
  readonly offset: Known<number>;
  readonly lag: Known<number>;
  readonly lagSeconds: Known<number>;
  readonly lost: Known<number>;
}

function emitRow(emit: KafkaEmit, of: { readonly consumergroup: string; readonly topic: string }, row: Row): void {
  const labels = { ...of, partition: row.partition };
  if (row.offset.known) emit.groupOffset(row.offset.value, labels);
  if (row.lag.known) emit.groupLag(row.lag.value, labels);
  if (row.lagSeconds.known) emit.groupLagSeconds(row.lagSeconds.value, labels);
  if (row.lost.known) emit.lost(row.lost.value, labels);
}

/** Without a commit -1, as kafka_exporter has it. */
function offsetOf({ committed }: PartitionLag): Known<number> {
  if (!committed.known) return committed;
  return known(committed.value === 'none' ? -1 : committed.value, committed.observedAtMs);
}

function secondsOf({ lagAge }: PartitionLag): Known<number> {
  return lagAge.known ? known(lagAge.value.seconds, lagAge.observedAtMs) : lagAge;
}
