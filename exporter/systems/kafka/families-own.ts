// What no peer exporter tells of a cluster and its groups.
import { gauge } from '../../families.ts';

const partition = ['topic', 'partition'] as const;
const groupTopic = ['consumergroup', 'topic'] as const;
const state = { state: 'kafka_consumergroup_state' };
const answered = { state: 'kafka_sweep_complete' };

export const ownFamilies = {
  complete: gauge(
    'kafka_sweep_complete',
    '1 when the part of the last sweep (metadata, groups, descriptions, commits, offsets) was answered as a whole; 0 when something in it is unknown and has no sample.',
    ['part'],
  ),
  offlinePartitions: gauge(
    'kafka_offline_partitions',
    'Partitions of all topics, selected or not, that have no leader: they can be neither written nor read.',
    [],
    answered,
  ),
  underReplicatedPartitions: gauge(
    'kafka_under_replicated_partitions',
    'Partitions of all topics, selected or not, with fewer replicas in sync than they should have.',
    [],
    answered,
  ),
  unknownTopics: gauge(
    'kafka_unknown_topics',
    'Topics that the cluster has and could not tell about: they are in no other count.',
    [],
    answered,
  ),
  stableOffset: gauge(
    'kafka_topic_partition_last_stable_offset',
    'Offset up to which consumers that read committed transactions only can come.',
    partition,
    answered,
  ),
  stableGap: gauge(
    'kafka_topic_partition_last_stable_offset_gap',
    'Offsets between the last stable one and the end of the log: what an open transaction keeps from consumers that read committed ones only. 0 without one.',
    partition,
    answered,
  ),
  openTransaction: gauge(
    'kafka_topic_open_transaction_seconds',
    'For how long the last stable offset of a partition has stood still before the end of the log, as seen from here: the longest of the topic, 0 when none does. Hours mean a transaction that nobody will end.',
    ['topic'],
    answered,
  ),
  groupInfo: gauge(
    'kafka_consumergroup_info',
    'Type (classic, consumer: KIP-848, streams: KIP-1071) and protocol type (consumer, connect; empty: it only keeps commits) of each group: 1.',
    ['consumergroup', 'protocol_type', 'type'],
  ),
  commitAge: gauge(
    'kafka_consumergroup_last_commit_age_seconds',
    'Since when no committed offset of the group in the topic has moved, as seen from here: Kafka does not tell when a commit was made, and the same offset committed again is not seen. Absent until a move has been seen.',
    groupTopic,
    state,
  ),
  unmoved: gauge(
    'kafka_consumergroup_commit_unmoved_seconds',
    'For how long records have waited in a partition whose commit does not move, as seen from here: the longest of the topic.',
    groupTopic,
    state,
  ),
  beyondEnd: gauge(
    'kafka_consumergroup_beyond_end_partitions',
    'Partitions whose commit is beyond the end of the log: the topic was truncated or made anew. The lag of them is unknown, and new records may be skipped.',
    groupTopic,
    state,
  ),
  unknownPartitions: gauge(
    'kafka_consumergroup_unknown_partitions',
    'Partitions whose commit or log offsets could not be read: their lag is unknown, and the sums of the topic are absent.',
    groupTopic,
    state,
  ),
} as const;
