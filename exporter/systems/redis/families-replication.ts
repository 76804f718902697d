// What no other exporter tells of a replication: the stream in seconds, who replicates from whom, the data set itself.
import { counter, gauge } from '../../families.ts';

const replica = ['slave_ip', 'slave_port'] as const;
const primary = ['master_host', 'master_port'] as const;
const rate = { state: 'redis_replication_rate_state' };
const link = { state: 'redis_replication_state' };

export const streamFamilies = {
  rateState: gauge(
    'redis_replication_rate_state',
    'Whether the write rate of the replication stream is known: one series per state, 1 for the present one. no_stream: without a backlog, or without a link, there is none; idle: nothing was written in the last minute.',
    ['state'],
  ),
  rate: gauge(
    'redis_replication_write_bytes_per_second',
    'Growth of the replication stream in the last minute, or between the last two looks.',
    [],
    rate,
  ),
  backlogSeconds: gauge(
    'redis_replication_backlog_seconds',
    'How long a link may be broken before the next connection is a full copy: size of the backlog at the present write rate.',
    [],
    rate,
  ),
  headroomSeconds: gauge(
    'redis_replica_backlog_headroom_seconds',
    'The same for a replica and what it lags behind: redis_replica_backlog_headroom_bytes at the present write rate; below 0 its next connection is a full copy.',
    replica,
    rate,
  ),
  syncs: counter(
    'redis_replication_syncs_total',
    'Copies that replicas were given since the start of the process, by kind: full, partial, and partial_refused (a partial copy was asked for, a full one given).',
    ['kind'],
  ),
  goodReplicas: gauge(
    'redis_min_slaves_good_slaves',
    'Replicas that are online and lag at most min-replicas-max-lag; absent where min-replicas-to-write is not set.',
    [],
    link,
  ),
  syncTotal: gauge(
    'redis_master_sync_total_bytes',
    'Size of the full copy that is being received; absent without one, or while its size is not told.',
    primary,
    link,
  ),
  syncRead: gauge(
    'redis_master_sync_read_bytes',
    'Received of the full copy that is being received; absent without one.',
    primary,
    link,
  ),
} as const;

export const topologyFamilies = {
  topology: gauge(
    'redis_replication_topology_state',
    'Whether a server is what the inventory says, by check: one series per state, 1 for the present one. role: a replica that is one, of a primary that is one. primary: it replicates from the primary of the inventory. replication_id: both have the same stream. dataset: while the link is down, the primary has nearly as many keys as the replica, so that a full copy loses nothing. chain: no replica replicates from a replica. none: nothing to compare with.',
    ['check', 'state'],
  ),
  nextSync: gauge(
    'redis_replica_next_sync_state',
    'What the next connection of a replica to the primary of the inventory will be, by the backlog and the replication ids of the primary: one series per state, 1 for the present one. linked: none is needed; none: no replica, or no primary is named for it.',
    ['state'],
  ),
} as const;

const dataset = { state: 'redis_dataset_state' };

export const datasetFamilies = {
  state: gauge(
    'redis_dataset_state',
    'Whether the data set has shrunk at once: one series per state, 1 for the present one.',
    ['state'],
  ),
  shrank: gauge(
    'redis_dataset_shrank',
    '1 while the data set has lost more than its share of keys or bytes within the window.',
    [],
    dataset,
  ),
  kept: gauge(
    'redis_dataset_kept_ratio',
    'Keys, or bytes if that is less, against the most within the window; absent for a small data set.',
    [],
    dataset,
  ),
  shrinks: counter(
    'redis_dataset_shrinks_total',
    'Times that the data set has shrunk at once, by cause: flush (FLUSHALL, FLUSHDB), restart, copy (from its primary), other (deletion, expiry, eviction).',
    ['cause'],
  ),
} as const;

export const commandFamilies = {
  state: gauge(
    'redis_command_state',
    'Whether the server lets this user run the commands that are asked for, as ACL rules name them: one series per state, 1 for the present one. missing: the server has none of this name. A refused command is asked again after ten minutes.',
    ['command', 'state'],
  ),
} as const;
