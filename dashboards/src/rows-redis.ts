import { limitQuery, ofTarget, statesPanel, type Row } from './spec.ts';

export const redisDepthRow: Row = {
  title: 'Redis replication in depth',
  panels: [
    {
      kind: 'lines',
      title: 'How long a link may be broken',
      description:
        'Backlog at the present write rate, and what is left of it for each replica. Alert: RedisFullCopyNear.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target) (redis_replication_backlog_seconds{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: 'nothing is written',
        },
        {
          expr: `min by (target, slave_ip, slave_port) (redis_replica_backlog_headroom_seconds{${ofTarget}})`,
          legend: '{{slave_ip}}:{{slave_port}} of {{target}}',
          emptyWhen: 'nothing is written',
        },
        limitQuery('redis_replica_backlog_headroom_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Received and not applied',
      description: 'Bytes that a replica holds and has not applied: it is busy, or blocked.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target) (redis_replica_unapplied_bytes{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: 'no replica is linked',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Copies given to replicas',
      description: 'In an hour, by kind. Alert: RedisFullCopiesRepeated.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `max by (target, kind) (increase(redis_replication_syncs_total{${ofTarget}}[1h]))`,
          legend: '{{target}} {{kind}}',
        },
      ],
    },
    statesPanel(
      {
        metric: 'redis_replication_topology_state',
        by: ['target', 'check'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['none', 'text'],
          ['wrong', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'As the inventory has it',
        description:
          'Role, primary, stream, data set, chain. Alerts: RedisTopologyWrong, RedisPrimaryEmpty, RedisPartlyUnknown.',
        width: 8,
      },
    ),
    statesPanel(
      {
        metric: 'redis_replication_config_state',
        by: ['target', 'check'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['not_applicable', 'text'],
          ['wrong', 'orange'],
          ['denied', 'purple'],
          ['missing', 'purple'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Settings for replication',
        description: 'Alerts: RedisConfigWrong, RedisReplicaWritable, RedisWritesRefused.',
        width: 8,
      },
    ),
    statesPanel(
      {
        metric: 'redis_replica_next_sync_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['linked', 'green'],
          ['none', 'text'],
          ['partial', 'yellow'],
          ['syncing', 'orange'],
          ['full', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'What the next connection costs',
        description: 'Full: the backlog of the primary does not reach back to where the replica stands.',
        width: 8,
      },
    ),
    {
      kind: 'lines',
      title: 'Kept of the data set',
      description: 'Keys or bytes against the most within half an hour. Alert: RedisDatasetShrank.',
      unit: 'percentunit',
      max: 1,
      width: 12,
      queries: [
        {
          expr: `min by (target) (redis_dataset_kept_ratio{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: 'the data set is small',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Replication in the log',
      description: 'Lines in an hour, by class. Alert: RedisReplicationErrors.',
      unit: 'short',
      width: 12,
      queries: [
        {
          expr: `max by (target, class) (increase(redis_log_events_total{${ofTarget}}[1h]))`,
          legend: '{{target}} {{class}}',
          emptyWhen: 'no log is named in the inventory',
        },
      ],
    },
  ],
};
