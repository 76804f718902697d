import { gauge } from '../../families.ts';
import { ownFamilies } from './families-own.ts';

const partition = ['topic', 'partition'] as const;
const groupTopic = ['consumergroup', 'topic'] as const;
const groupPartition = ['consumergroup', 'topic', 'partition'] as const;
const state = { state: 'kafka_consumergroup_state' };
const answered = { state: 'kafka_sweep_complete' };

export const kafkaUp = gauge('kafka_up', '1 when metadata of the cluster was answered with at least one broker.', []);

/** Up to kafka_consumergroup_members: names, labels and values of danielqsj/kafka_exporter 1.9. */
export const kafkaFamilies = {
  brokers: gauge('kafka_brokers', 'Brokers in the cluster.', []),
  brokerInfo: gauge('kafka_broker_info', 'Address of each broker: 1.', ['id', 'address']),
  partitions: gauge('kafka_topic_partitions', 'Partitions of the topic.', ['topic']),
  currentOffset: gauge(
    'kafka_topic_partition_current_offset',
    'End of the log: offset of the next record to be written.',
    partition,
    answered,
  ),
  oldestOffset: gauge(
    'kafka_topic_partition_oldest_offset',
    'Start of the log: offset of the oldest record that is still there.',
    partition,
    answered,
  ),
  leader: gauge(
    'kafka_topic_partition_leader',
    'Broker that leads the partition; absent without one, and with granularity topic.',
    partition,
    answered,
  ),
  replicas: gauge('kafka_topic_partition_replicas', 'Replicas of the partition.', partition),
  inSync: gauge('kafka_topic_partition_in_sync_replica', 'Replicas that are in sync.', partition),
  leaderIsPreferred: gauge(
    'kafka_topic_partition_leader_is_preferred',
    '1 when the preferred broker leads the partition; not with granularity topic.',
    partition,
  ),
  underReplicated: gauge(
    'kafka_topic_partition_under_replicated_partition',
    '1 when not all replicas are in sync.',
    partition,
  ),
  groupOffset: gauge(
    'kafka_consumergroup_current_offset',
    'Offset that the group has committed: the next one to read. -1 when it has committed other partitions of the topic, but not this one.',
    groupPartition,
    state,
  ),
  groupOffsetSum: gauge(
    'kafka_consumergroup_current_offset_sum',
    'Sum of the committed offsets over all partitions of the topic, -1 for those without; absent when one is unknown.',
    groupTopic,
    state,
  ),
  groupLag: gauge(
    'kafka_consumergroup_lag',
    'Records between the commit (or the start of the log, when that is later) and the end. Absent for a partition without a commit, where kafka_exporter says -1: that would cancel lag in sums.',
    groupPartition,
    state,
  ),
  groupLagSum: gauge(
    'kafka_consumergroup_lag_sum',
    'Sum of kafka_consumergroup_lag over the topic; absent when the lag of a partition with a commit is unknown.',
    groupTopic,
    state,
  ),
  members: gauge('kafka_consumergroup_members', 'Members of the group.', ['consumergroup'], state),
  uncommitted: gauge(
    'kafka_consumergroup_uncommitted_partitions',
    'Partitions of which the group has committed nothing, of topics that it reads: their lag is unknown.',
    groupTopic,
    state,
  ),
  groupLagSeconds: gauge(
    'kafka_consumergroup_lag_seconds',
    'Age of the oldest record that waits, 0 when none does: from the history of the end of the log, and at the first look from the timestamps of its records. Wrong by at most two sweep intervals plus a third of the age; a lower bound when the record is older than a week.',
    groupPartition,
    state,
  ),
  lost: gauge(
    'kafka_consumergroup_lost_records',
    'Records that retention or deletion took before the group read them.',
    groupPartition,
    state,
  ),
  groupState: gauge(
    'kafka_consumergroup_state',
    'State of each group seen in the last ten minutes: one series per state, 1 for the present one.',
    ['consumergroup', 'state'],
  ),
  ...ownFamilies,
} as const;
