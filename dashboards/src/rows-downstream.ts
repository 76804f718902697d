import { limitQuery, ofTarget, type Row } from './spec.ts';

export const kafkaRow: Row = {
  title: 'Kafka',
  panels: [
    {
      kind: 'lines',
      title: 'Consumer lag in seconds',
      description: 'Age of the oldest record that waits, the slowest partition. Alert: KafkaConsumerLag.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, consumergroup, topic) (kafka_consumergroup_lag_seconds{${ofTarget}})`,
          legend: '{{consumergroup}} {{topic}}',
        },
        limitQuery('kafka_consumergroup_lag_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Consumer lag in records',
      description: 'A backlog that does not move: KafkaConsumerStuck.',
      unit: 'short',
      width: 12,
      queries: [
        {
          expr: `max by (target, consumergroup, topic) (kafka_consumergroup_lag_sum{${ofTarget}})`,
          legend: '{{consumergroup}} {{topic}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Records written per second',
      description: 'Growth of the end offsets of each topic.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (target, topic) (max by (target, topic, partition) (rate(kafka_topic_partition_current_offset{${ofTarget}}[$__rate_interval])))`,
          legend: '{{topic}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Brokers and members',
      description: 'Brokers that answer, and members of each group. Alert: KafkaDown.',
      unit: 'short',
      width: 8,
      queries: [
        { expr: `max by (target) (kafka_brokers{${ofTarget}})`, legend: 'brokers of {{target}}' },
        {
          expr: `max by (target, consumergroup) (kafka_consumergroup_members{${ofTarget}})`,
          legend: 'members of {{consumergroup}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Under-replicated partitions and lost records',
      description: 'Alerts: KafkaUnderReplicated, KafkaRecordsLost.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `sum by (target) (max by (target, topic, partition) (kafka_topic_partition_under_replicated_partition{${ofTarget}}))`,
          legend: 'under-replicated of {{target}}',
        },
        {
          expr: `sum by (target, consumergroup) (max by (target, consumergroup, topic, partition) (kafka_consumergroup_lost_records{${ofTarget}}))`,
          legend: 'lost to {{consumergroup}}',
        },
      ],
    },
  ],
};

export const redisRow: Row = {
  title: 'Redis',
  panels: [
    {
      kind: 'lines',
      title: 'Replica lag',
      description: 'Age of what the replica has, by the offsets its primary knows. Alert: RedisReplicaLag.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target, slave_ip, slave_port) (redis_replica_lag_seconds{${ofTarget}})`,
          legend: '{{slave_ip}}:{{slave_port}} of {{target}}',
        },
        limitQuery('redis_replica_lag_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Replica behind, and what the backlog covers',
      description: 'A replica that falls behind the backlog needs a full copy when its link breaks.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target, slave_ip, slave_port) (redis_replica_behind_bytes{${ofTarget}})`,
          legend: '{{slave_ip}}:{{slave_port}} behind',
        },
        {
          expr: `max by (target, slave_ip, slave_port) (redis_replica_backlog_headroom_bytes{${ofTarget}})`,
          legend: '{{slave_ip}}:{{slave_port}} backlog left',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Memory',
      description: 'Used, and the limit where one is set (0: none).',
      unit: 'bytes',
      width: 8,
      queries: [
        { expr: `max by (target) (redis_memory_used_bytes{${ofTarget}})`, legend: '{{target}} used' },
        {
          expr: `max by (target) (redis_memory_max_bytes{${ofTarget}}) > 0`,
          legend: '{{target}} limit',
          emptyWhen: 'no limit is set',
        },
      ],
    },
  ],
};

export const jvmRow: Row = {
  title: 'JVM',
  panels: [
    {
      kind: 'lines',
      title: 'Heap after collection',
      description: 'What survives a collection, as part of the limit. Alert: JvmHeapHigh.',
      unit: 'percentunit',
      max: 1,
      width: 8,
      queries: [
        {
          expr: `max by (target) (jvm_heap_after_gc_ratio{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: 'no collection has happened yet, or the source does not tell',
        },
        limitQuery('jvm_heap_after_gc_ratio'),
      ],
    },
    {
      kind: 'lines',
      title: 'Heap in use',
      description: 'Goes up and down with every collection: no sign of trouble by itself.',
      unit: 'bytes',
      width: 8,
      queries: [
        { expr: `max by (target) (jvm_memory_used_bytes{area="heap",${ofTarget}})`, legend: '{{target}} used' },
        { expr: `max by (target) (jvm_memory_max_bytes{area="heap",${ofTarget}})`, legend: '{{target}} limit' },
      ],
    },
    {
      kind: 'lines',
      title: 'Time in collections',
      description: 'Part of the time that goes into garbage collection.',
      unit: 'percentunit',
      width: 8,
      queries: [
        {
          expr: `sum by (target) (max by (target, gc) (rate(jvm_gc_collection_seconds_sum{${ofTarget}}[$__rate_interval])))`,
          legend: '{{target}}',
          emptyWhen: 'the source of its data does not tell',
        },
      ],
    },
  ],
};

export const backupRow: Row = {
  title: 'Backups',
  panels: [
    {
      kind: 'lines',
      title: 'Age of the newest good backup',
      description: 'Good means finished, with evidence. Alerts: BackupStale, BackupNeverSucceeded.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `time() - max by (target, type) (backup_last_success_timestamp_seconds{${ofTarget}})`,
          legend: '{{target}} {{type}}',
        },
        limitQuery('backup_max_age_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Size of the newest backup',
      description: 'A sudden change is worth a look. Alert: BackupIncomplete, when it was not finished.',
      unit: 'bytes',
      width: 12,
      queries: [
        {
          expr: `max by (target, type) (backup_last_size_bytes{${ofTarget}})`,
          legend: '{{target}} {{type}}',
        },
      ],
    },
  ],
};
