// Samples of the cluster and of its topics.
import type { Emit } from '../../families.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import type { Cluster, Topic } from './facts-cluster.ts';
import type { KafkaSweep } from './facts-model.ts';
import { Largest, sumOf } from './facts-values.ts';
import type { kafkaFamilies } from './families.ts';
import type { Granularity } from './state.ts';

type KafkaEmit = Emit<typeof kafkaFamilies>;

export function emitCluster(emit: KafkaEmit, { brokers, topics, failed }: Cluster): void {
  emit.brokers(brokers.length);
  for (const { id, host, port } of brokers) emit.brokerInfo(1, { id: String(id), address: `${host}:${port}` });
  let offline = 0;
  let underReplicated = 0;
  for (const { partitions } of topics.values()) {
    for (const { leader, replicas, inSync } of partitions) {
      if (leader < 0) offline++;
      if (inSync.length < replicas.length) underReplicated++;
    }
  }
  emit.offlinePartitions(offline);
  emit.underReplicatedPartitions(underReplicated);
  emit.unknownTopics(failed?.size ?? 0);
}

/** What there is of every partition, by name of the family. */
interface Row {
  readonly partition: string;
  readonly end: Known<number>;
  readonly begin: Known<number>;
  readonly replicas: number;
  readonly inSync: number;
  readonly underReplicated: number;
  readonly stable: Known<number>;
  readonly gap: Known<number>;
}

const notRead = unknown('it was not asked for');

export function emitTopic(emit: KafkaEmit, topic: Topic, sweep: KafkaSweep, granularity: Granularity): void {
  emit.partitions(topic.partitions.length, { topic: topic.name });
  const rows = rowsOf(topic, sweep);
  if (granularity === 'topic') emitRow(emit, topic.name, sumOfRows(rows));
  else for (const row of rows) emitRow(emit, topic.name, row);
  if (granularity === 'partition') {
    for (const { partition, leader, replicas } of topic.partitions) {
      const labels = { topic: topic.name, partition: String(partition) };
      if (leader >= 0) emit.leader(leader, labels);
      emit.leaderIsPreferred(replicas[0] === leader ? 1 : 0, labels);
    }
  }
  const open = new Largest();
  for (const { openSeconds } of sweep.stable.get(topic.name)?.values() ?? []) {
    open.add(openSeconds.known ? openSeconds.value : undefined);
  }
  if (open.value !== undefined) emit.openTransaction(open.value, { topic: topic.name });
}

function rowsOf(topic: Topic, sweep: KafkaSweep): Row[] {
  const offsets = sweep.offsets.get(topic.name);
  const stable = sweep.stable.get(topic.name);
  return topic.partitions.map(({ partition, replicas, inSync }) => ({
    partition: String(partition),
    end: offsets?.get(partition)?.end ?? notRead,
    begin: offsets?.get(partition)?.begin ?? notRead,
    replicas: replicas.length,
    inSync: inSync.length,
    underReplicated: inSync.length < replicas.length ? 1 : 0,
    stable: stable?.get(partition)?.offset ?? notRead,
    gap: stable?.get(partition)?.gap ?? notRead,
  }));
}

function sumOfRows(rows: readonly Row[]): Row {
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    partition: '',
    end: sumOf(rows.map((r) => r.end)),
    begin: sumOf(rows.map((r) => r.begin)),
    replicas: sum((r) => r.replicas),
    inSync: sum((r) => r.inSync),
    underReplicated: sum((r) => r.underReplicated),
    stable: sumOf(rows.map((r) => r.stable)),
    gap: sumOf(rows.map((r) => r.gap)),
  };
}

function emitRow(emit: KafkaEmit, topic: string, row: Row): void {
  const labels = { topic, partition: row.partition };
  if (row.end.known) emit.currentOffset(row.end.value, labels);
  if (row.begin.known) emit.oldestOffset(row.begin.value, labels);
  emit.replicas(row.replicas, labels);
  emit.inSync(row.inSync, labels);
  emit.underReplicated(row.underReplicated, labels);
  if (row.stable.known) emit.stableOffset(row.stable.value, labels);
  if (row.gap.known) emit.stableGap(row.gap.value, labels);
}
