import { gauge } from '../../families.ts';

const primary = ['master_host', 'master_port'] as const;
const seen = ['slave_ip', 'slave_port', 'slave_state'] as const;
const replica = ['slave_ip', 'slave_port'] as const;
const state = { state: 'redis_replication_state' };

export const redisUp = gauge('redis_up', '1 when the server answered and accepted the credentials.', []);

/** Names, labels and values of oliver006/redis_exporter 1.88, up to redis_replication_state. */
export const redisFamilies = {
  slaveInfo: gauge('redis_slave_info', 'About the replica: 1.', [...primary, 'read_only'] as const),
  linkUp: gauge('redis_master_link_up', '1 when the link to the primary is up.', primary, state),
  lastIo: gauge(
    'redis_master_last_io_seconds_ago',
    'Time since anything came from the primary; -1 while the link is down.',
    primary,
    state,
  ),
  syncInProgress: gauge('redis_master_sync_in_progress', '1 while the primary copies to this replica.', primary, state),
  slaveOffset: gauge('redis_slave_repl_offset', 'End of what the replica has applied.', primary, state),
  connectedSlaves: gauge('redis_connected_slaves', 'Replicas that are connected.', []),
  slaveOffsetSeen: gauge(
    'redis_connected_slave_offset_bytes',
    'Offset that the replica has acknowledged; 0 while it is not online.',
    seen,
  ),
  slaveAckAge: gauge(
    'redis_connected_slave_lag_seconds',
    'Time since the replica acknowledged anything. It says nothing about data, and is 0 while the replica is not online.',
    seen,
  ),
  masterOffset: gauge('redis_master_repl_offset', 'End of the replication stream.', []),
  secondOffset: gauge(
    'redis_second_repl_offset',
    'Up to where the replication id of before the last failover is valid; -1 without one.',
    [],
  ),
  backlogActive: gauge('redis_repl_backlog_is_active', '1 when there is a replication backlog.', []),
  backlogFirst: gauge('redis_repl_backlog_first_byte_offset', 'Offset of the oldest byte in the backlog.', []),
  backlogHistory: gauge('redis_repl_backlog_history_bytes', 'Bytes in the backlog.', []),
  backlogSize: gauge('redis_replication_backlog_bytes', 'Size of the backlog.', []),
  resyncsFull: gauge('redis_replica_resyncs_full', 'Full copies to replicas since the start.', []),
  partialAccepted: gauge('redis_replica_partial_resync_accepted', 'Partial copies since the start.', []),
  partialDenied: gauge('redis_replica_partial_resync_denied', 'Partial copies refused since the start.', []),
  replicationState: gauge(
    'redis_replication_state',
    'State of the replication: one series per state, 1 for the present one.',
    ['state'],
  ),
  behind: gauge(
    'redis_replica_behind_bytes',
    'Bytes of the stream that the replica has not acknowledged, as the primary sees it; absent while it is not online.',
    replica,
    state,
  ),
  unapplied: gauge('redis_replica_unapplied_bytes', 'Bytes that the replica has received and not applied.', [], state),
  headroom: gauge(
    'redis_replica_backlog_headroom_bytes',
    'How much further the replica may fall behind before a reconnect costs a full copy; below 0 it would already.',
    replica,
    state,
  ),
  downSince: gauge(
    'redis_master_link_down_since_seconds',
    'Time since the link to the primary went down; absent while it is up, and when it never was.',
    primary,
    state,
  ),
  lag: gauge(
    'redis_replica_lag_seconds',
    'Age of the oldest byte of the stream that the replica has not acknowledged (it does so once a second), as the primary sees it: exact to one sweep interval; absent while the replica is not online.',
    replica,
    state,
  ),
} as const;
