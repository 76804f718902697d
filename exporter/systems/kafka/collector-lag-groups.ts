// Samples of consumer groups.
import { emitState, type Emit } from '../../families.ts';
import type { GroupSweep, GroupTopicSweep } from './facts-model.ts';
import type { LagTable } from './facts-lag-table.ts';
import type { LagRow } from './facts-partition.ts';
import { Largest } from './facts-values.ts';
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

// Plain numbers and one set of labels for each partition: a large cluster has 100,000 of them.
function emitGroupTopic(
  emit: KafkaEmit,
  consumergroup: string,
  found: GroupTopicSweep,
  granularity: Granularity,
): void {
  const { topic, partitions } = found;
  const labels = { consumergroup, topic };
  const totals = totalsOf(partitions);
  emit.uncommitted(totals.uncommitted, labels);
  emit.beyondEnd(totals.beyondEnd, labels);
  emit.unknownPartitions(totals.unknown, labels);
  if (found.commitAgeSeconds.known) emit.commitAge(found.commitAgeSeconds.value, labels);
  // kafka_exporter leaves out topics of which the group has committed nothing at all
  if (totals.uncommitted === partitions.size) return;
  const { offset, lag, lost } = totals;
  const unmoved = totals.unmovedSeconds.value;
  if (unmoved !== undefined) emit.unmoved(unmoved, labels);
  if (offset !== undefined) emit.groupOffsetSum(offset, labels);
  if (lag !== undefined) emit.groupLagSum(lag, labels);
  if (granularity === 'partition') {
    for (const row of partitions.rows()) {
      emitPartition(emit, { consumergroup, topic, partition: String(row.partition) }, row);
    }
    return;
  }
  const all = { ...labels, partition: '' };
  if (offset !== undefined) emit.groupOffset(offset, all);
  if (lag !== undefined) emit.groupLag(lag, all);
  if (totals.lagSeconds.value !== undefined) emit.groupLagSeconds(totals.lagSeconds.value, all);
  if (lost !== undefined) emit.lost(lost, all);
}

function emitPartition(
  emit: KafkaEmit,
  labels: { readonly consumergroup: string; readonly topic: string; readonly partition: string },
  { committed, lag, lagAgeSeconds, lost }: LagRow,
): void {
  if (committed === undefined) return;
  emit.groupOffset(committed === 'none' ? -1 : committed, labels);
  if (lag !== undefined) emit.groupLag(lag, labels);
  if (lagAgeSeconds !== undefined) emit.groupLagSeconds(lagAgeSeconds, labels);
  if (lost !== undefined) emit.lost(lost, labels);
}

/** Over the partitions of a topic. A sum is undefined as soon as one of those with a commit is unknown. */
interface Totals {
  uncommitted: number;
  beyondEnd: number;
  unknown: number;
  /** With -1 for each partition without a commit, as kafka_exporter has it. */
  offset: number | undefined;
  lag: number | undefined;
  lost: number | undefined;
  readonly lagSeconds: Largest;
  readonly unmovedSeconds: Largest;
}

function totalsOf(partitions: LagTable): Totals {
  const totals: Totals = { uncommitted: 0, beyondEnd: 0, unknown: 0, offset: 0, lag: 0, lost: 0, lagSeconds: new Largest(), unmovedSeconds: new Largest() }; // prettier-ignore
  for (const { committed, lag, lagAgeSeconds, lost, truncated, unmovedSeconds } of partitions.rows()) {
    if (committed === 'none') {
      totals.uncommitted++;
      if (totals.offset !== undefined) totals.offset--;
      continue;
    }
    if (truncated) totals.beyondEnd++;
    else if (lag === undefined) totals.unknown++;
    totals.offset = plus(totals.offset, committed);
    totals.lag = plus(totals.lag, lag);
    totals.lost = plus(totals.lost, lost);
    totals.lagSeconds.add(lagAgeSeconds);
    totals.unmovedSeconds.add(unmovedSeconds);
  }
  return totals;
}

function plus(sum: number | undefined, value: number | undefined): number | undefined {
  return sum === undefined || value === undefined ? undefined : sum + value;
}
