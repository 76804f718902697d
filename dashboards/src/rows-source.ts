import { limitQuery, ofTarget, type Row } from './spec.ts';

export const mysqlRow: Row = {
  title: 'MySQL',
  panels: [
    {
      kind: 'lines',
      title: 'Replication lag',
      description: 'As the replica says; less the delay it is meant to have in the alert. Alert: MysqlReplicationLag.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, channel_name, connection_name) (mysql_replication_lag_seconds{${ofTarget}})`,
          legend: '{{target}} {{channel_name}}{{connection_name}}',
        },
        limitQuery('mysql_replication_lag_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Binary logs',
      description: 'Size of all binary logs a server keeps. Alert: MaxwellPurgeNear, when a reader is in the oldest.',
      unit: 'bytes',
      width: 6,
      queries: [{ expr: `max by (target) (mysql_binlog_size_bytes{${ofTarget}})`, legend: '{{target}}' }],
    },
    {
      kind: 'lines',
      title: 'Readers of the binary log',
      description: 'Dump threads by user: replicas, Maxwell. One too many may be a second Maxwell.',
      unit: 'short',
      width: 6,
      queries: [
        {
          expr: `max by (target, user) (mysql_dump_threads{${ofTarget}})`,
          legend: '{{target}} {{user}}',
        },
      ],
    },
    {
      kind: 'states',
      title: 'Binary log fit for change data capture',
      description: 'Settings that Maxwell needs. Alert: MysqlCdcNotReady, for sources.',
      width: 24,
      states: { 0: { text: 'not ready', color: 'red' }, 1: { text: 'ready', color: 'green' } },
      queries: [
        { expr: `max by (target, check) (mysql_binlog_cdc_ready{${ofTarget}})`, legend: '{{target}} {{check}}' },
      ],
    },
  ],
};

export const maxwellRow: Row = {
  title: 'Maxwell',
  panels: [
    {
      kind: 'lines',
      title: 'Heartbeat lag',
      description: 'How old the newest change is that went through all of Maxwell. Alert: MaxwellHeartbeatLag.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, client_id) (maxwell_heartbeat_lag_seconds{${ofTarget}})`,
          legend: '{{target}} {{client_id}}',
        },
        limitQuery('maxwell_heartbeat_lag_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Age of the last heartbeat',
      description: 'Maxwell writes one at least every 10 s. Above 20 s it is stopped, dead or cannot write.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, client_id) (maxwell_heartbeat_age_seconds{${ofTarget}})`,
          legend: '{{target}} {{client_id}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Messages per second',
      description:
        'Delivered and failed. Failed ones are lost by default. Alerts: MaxwellMessagesFailed, MaxwellMetricsUnknown.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `max by (target) (rate(maxwell_messages_succeeded_total{${ofTarget}}[$__rate_interval]))`,
          legend: '{{target}} delivered',
          emptyWhen: 'its HTTP metrics are not configured',
        },
        {
          expr: `max by (target) (rate(maxwell_messages_failed_total{${ofTarget}}[$__rate_interval]))`,
          legend: '{{target}} failed',
          emptyWhen: 'its HTTP metrics are not configured',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Behind the source',
      description: 'Binary log between its position and that of the source. Never 0 for long: Maxwell writes too.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target, client_id) (maxwell_position_behind_bytes{${ofTarget}})`,
          legend: '{{target}} {{client_id}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Before its position is purged',
      description:
        'Binary logs that may be purged before the position is lost. Alerts: MaxwellPurgeNear, MaxwellPositionLost.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target, client_id) (maxwell_position_purge_headroom_bytes{${ofTarget}})`,
          legend: '{{target}} {{client_id}}',
          emptyWhen: 'Maxwell reads by GTID, or its position is lost',
        },
      ],
    },
  ],
};
