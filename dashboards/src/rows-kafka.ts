import { limitQuery, ofAny, ofTarget, statesPanel, type Row } from './spec.ts';

const noConnect = 'no Kafka Connect is configured';

export const kafkaDepthRow: Row = {
  title: 'Kafka in depth',
  panels: [
    {
      kind: 'lines',
      title: 'Partitions without a leader, commits beyond the end',
      description: 'Both 0 on a healthy cluster. Alerts: KafkaPartitionsOffline, KafkaCommitBeyondEnd.',
      unit: 'short',
      width: 8,
      queries: [
        { expr: `max by (target) (kafka_offline_partitions{${ofTarget}})`, legend: 'without a leader of {{target}}' },
        {
          expr: `sum by (target, consumergroup) (max by (target, consumergroup, topic) (kafka_consumergroup_beyond_end_partitions{${ofTarget}}))`,
          legend: '{{consumergroup}} beyond the end',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Commits that do not move',
      description:
        'How long records have waited in a partition whose commit stands. Alerts: KafkaConsumerStuck, KafkaConsumerGone, KafkaConsumerRebalancing.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target, consumergroup, topic) (kafka_consumergroup_commit_unmoved_seconds{${ofTarget}})`,
          legend: '{{consumergroup}} {{topic}}',
          emptyWhen: 'the group was not seen twice yet',
        },
        limitQuery('kafka_consumergroup_commit_unmoved_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Open transactions',
      description:
        'For how long the last stable offset has stood still, the longest of the topic. Alert: KafkaTransactionHanging.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target, topic) (kafka_topic_open_transaction_seconds{${ofTarget}})`,
          legend: '{{topic}} of {{target}}',
          emptyWhen: 'last stable offsets are not asked for',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Offsets held back by transactions',
      description: 'From the last stable offset to the end, summed over the topic.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `sum by (target, topic) (max by (target, topic, partition) (kafka_topic_partition_last_stable_offset_gap{${ofTarget}}))`,
          legend: '{{topic}} of {{target}}',
          emptyWhen: 'last stable offsets are not asked for',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Partitions without a commit, or unknown',
      description: 'Their lag is not known. Alerts: KafkaConsumerUncommitted, KafkaConsumerGroupUnknown.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `sum by (target, consumergroup) (max by (target, consumergroup, topic) (kafka_consumergroup_uncommitted_partitions{${ofTarget}}))`,
          legend: '{{consumergroup}} without a commit',
        },
        {
          expr: `sum by (target, consumergroup) (max by (target, consumergroup, topic) (kafka_consumergroup_unknown_partitions{${ofTarget}}))`,
          legend: '{{consumergroup}} unknown',
        },
      ],
    },
    {
      kind: 'states',
      title: 'Parts of a sweep',
      description: 'Whether the cluster has told everything that was asked. Alert: KafkaSweepIncomplete.',
      width: 8,
      states: { 0: { text: 'incomplete', color: 'purple' }, 1: { text: 'whole', color: 'green' } },
      queries: [{ expr: `min by (target, part) (kafka_sweep_complete{${ofTarget}})`, legend: '{{target}} {{part}}' }],
    },
    statesPanel(
      {
        metric: 'kafka_connect_connector_state',
        by: ['target', 'connector'],
        matcher: ofAny,
        states: [
          ['running', 'green'],
          ['paused', 'text'],
          ['stopped', 'text'],
          ['restarting', 'yellow'],
          ['unassigned', 'orange'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Connectors',
        description: 'Alerts: KafkaConnectFailed, KafkaConnectIdle, KafkaConnectUnknown, KafkaConnectDown.',
        width: 12,
        emptyWhen: noConnect,
      },
    ),
    statesPanel(
      {
        metric: 'kafka_connect_task_state',
        by: ['target', 'connector', 'task'],
        matcher: ofAny,
        states: [
          ['running', 'green'],
          ['paused', 'text'],
          ['stopped', 'text'],
          ['restarting', 'yellow'],
          ['unassigned', 'orange'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Tasks of connectors',
        description: 'A connector that runs may have tasks that failed. Alert: KafkaConnectFailed.',
        width: 12,
        emptyWhen: noConnect,
      },
    ),
  ],
};
