import { gauge } from '../../families.ts';

// Names, labels and values of redis_exporter, up to redis_stream_state. Ids are told by their milliseconds since 1970.

const stream = ['db', 'stream'] as const;
const group = [...stream, 'group'] as const;
const consumer = [...group, 'consumer'] as const;
const state = { state: 'redis_stream_state' } as const;
const lag = { state: 'redis_stream_group_lag_state' } as const;

export const searchStates = ['off', 'complete', 'cut', 'unknown'] as const;

export const streamFamilies = {
  length: gauge('redis_stream_length', 'Entries of a stream.', stream, state),
  radixTreeKeys: gauge('redis_stream_radix_tree_keys', 'Keys of the tree that holds a stream.', stream, state),
  radixTreeNodes: gauge('redis_stream_radix_tree_nodes', 'Nodes of the tree that holds a stream.', stream, state),
  groups: gauge('redis_stream_groups', 'Consumer groups of a stream.', stream, state),
  lastGeneratedId: gauge('redis_stream_last_generated_id', 'When the newest id of a stream was made.', stream, state),
  maxDeletedId: gauge('redis_stream_max_deleted_entry_id', 'The greatest id that was deleted.', stream, state),
  firstId: gauge('redis_stream_first_entry_id', 'The oldest entry; absent when the stream is empty.', stream, state),
  lastId: gauge('redis_stream_last_entry_id', 'The newest entry; absent when the stream is empty.', stream, state),
  groupConsumers: gauge('redis_stream_group_consumers', 'Consumers of a group.', group, state),
  groupPending: gauge(
    'redis_stream_group_messages_pending',
    'Entries that were delivered to a group and not acknowledged.',
    group,
    state,
  ),
  groupLastDelivered: gauge(
    'redis_stream_group_last_delivered_id',
    'The newest entry that was delivered to a group.',
    group,
    state,
  ),
  groupEntriesRead: gauge(
    'redis_stream_group_entries_read',
    'Entries that a group has read; absent where the server does not know.',
    group,
    lag,
  ),
  groupLag: gauge(
    'redis_stream_group_lag',
    'Entries not yet delivered to a group; absent where the server does not know, as after a deletion in the middle.',
    group,
    lag,
  ),
  consumerPending: gauge(
    'redis_stream_group_consumer_messages_pending',
    'Entries that were delivered to a consumer and not acknowledged.',
    consumer,
    state,
  ),
  consumerIdle: gauge(
    'redis_stream_group_consumer_idle_seconds',
    'Time since a consumer last tried to read.',
    consumer,
    state,
  ),
  streamState: gauge(
    'redis_stream_state',
    'Whether a stream could be read: one series per state, 1 for the present one.',
    [...stream, 'state'] as const,
  ),
  groupLagState: gauge('redis_stream_group_lag_state', 'Whether the server knows how far a group is behind.', [
    ...group,
    'state',
  ] as const),
  searchState: gauge(
    'redis_stream_search_state',
    'Whether all streams that match the patterns were found: cut when there are more than max_streams, unknown before the first pass.',
    ['state'],
  ),
} as const;
