import { limitQuery, ofTarget, statesPanel, type Row } from './spec.ts';

export const mysqlRow: Row = {
  title: 'MySQL',
  panels: [
    {
      kind: 'lines',
      title: 'Replication lag',
      description:
        'By each method that gives a number; less the delay it is meant to have in the alert. Alert: MysqlReplicationLag.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, channel_name, connection_name, method) (mysql_replication_lag_seconds{${ofTarget}})`,
          legend: '{{target}} {{channel_name}}{{connection_name}} {{method}}',
        },
        limitQuery('mysql_replication_lag_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Binary logs',
      description:
        'Size of all binary logs a server keeps. Alerts: MaxwellPurgeNear, when a reader is in the oldest; MysqlBinlogUnknown.',
      unit: 'bytes',
      width: 6,
      queries: [{ expr: `max by (target) (mysql_binlog_size_bytes{${ofTarget}})`, legend: '{{target}}' }],
    },
    {
      kind: 'lines',
      title: 'Readers of the binary log',
      description:
        'Dump threads by user: replicas, Maxwell. One too many may be a second Maxwell. Alert: MaxwellDuplicate.',
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
      description: 'Settings that readers of changes need. Alerts: MysqlCdcNotReady and MysqlCdcUnknown, for sources.',
      width: 24,
      states: { 0: { text: 'not ready', color: 'red' }, 1: { text: 'ready', color: 'green' } },
      queries: [
        { expr: `max by (target, check) (mysql_binlog_cdc_ready{${ofTarget}})`, legend: '{{target}} {{check}}' },
      ],
    },
    statesPanel(
      {
        metric: 'mysql_semi_sync_state',
        by: ['target', 'role'],
        matcher: ofTarget,
        states: [
          ['not_configured', 'text'],
          ['active', 'green'],
          ['degraded', 'orange'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Semi-synchronous replication',
        description: 'Degraded: set to on, and commits do not wait for a replica. Alert: MysqlSemiSyncDegraded.',
        width: 24,
      },
    ),
    {
      kind: 'lines',
      title: 'Replicas behind, in binary log',
      description:
        'What a replica has not executed, by the list of files of its source. Alerts: MysqlReplicaCannotCatchUp, MysqlReplicaDistanceUnknown.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target, channel_name, connection_name) (mysql_replication_behind_bytes{${ofTarget}})`,
          legend: '{{target}} {{channel_name}}{{connection_name}}',
          emptyWhen: 'no replica is paired with its source',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Transactions missing and errant',
      description:
        'Errant ones were written to the replica. Alerts: MysqlGtidErrant, MysqlGtidUnknown, MysqlReplicaCannotCatchUp.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `max by (target, channel_name, connection_name) (mysql_gtid_missing_transactions{${ofTarget}})`,
          legend: '{{target}} {{channel_name}}{{connection_name}} missing',
          emptyWhen: 'no GTIDs, or no replica is paired with its source',
        },
        {
          expr: `max by (target) (mysql_gtid_errant_transactions{${ofTarget}})`,
          legend: '{{target}} errant',
          emptyWhen: 'no GTIDs, or no replica is paired with its source',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Transactions and locks that wait',
      description: 'The oldest open transaction and the longest wait for a row lock: what delays replicas and backups.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target) (mysql_transaction_oldest_seconds{${ofTarget}})`,
          legend: '{{target}} oldest transaction',
        },
        {
          expr: `max by (target) (mysql_lock_wait_longest_seconds{${ofTarget}})`,
          legend: '{{target}} longest lock wait',
        },
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
    {
      kind: 'lines',
      title: 'Lines in its log per minute, by level',
      description: 'Alerts: MaxwellLogErrors, MaxwellLogUnread.',
      unit: 'short',
      width: 24,
      queries: [
        {
          expr: `max by (target, level) (rate(maxwell_log_lines_total{${ofTarget},level=~"error|warn"}[$__rate_interval])) * 60`,
          legend: '{{target}} {{level}}',
          emptyWhen: 'no log file is configured',
        },
      ],
    },
  ],
};

const noService = 'the pipeline has no CDC service';

export const cdcServiceRow: Row = {
  title: 'CDC service and Debezium',
  panels: [
    statesPanel(
      {
        metric: 'cdc_service_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['running', 'green'],
          ['stalled', 'orange'],
          ['down', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'State of the CDC service',
        description: 'Alerts: CdcServiceDown, CdcServiceStalled, CdcServiceUnknown.',
        width: 6,
        emptyWhen: noService,
      },
    ),
    {
      kind: 'lines',
      title: 'Lag of the CDC service',
      description: 'What it says, or what it is at least by its source. Alert: CdcServiceLag.',
      unit: 's',
      width: 6,
      queries: [
        {
          expr: `max by (target) (cdc_service_lag_seconds{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: noService,
        },
        {
          expr: `max by (target) (cdc_service_lag_at_least_seconds{${ofTarget}})`,
          legend: '{{target}} at least',
          emptyWhen: noService,
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Queue of the CDC service',
      description: 'Records read and not passed on, and schema changes that wait. Alert: CdcServiceDdlBlocked.',
      unit: 'short',
      width: 6,
      queries: [
        {
          expr: `max by (target) (cdc_service_queue_records{${ofTarget}})`,
          legend: '{{target}} records',
          emptyWhen: noService,
        },
        {
          expr: `max by (target) (cdc_service_ddl_alerts{${ofTarget}})`,
          legend: '{{target}} schema changes',
          emptyWhen: noService,
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Changes that fail',
      description: 'Share of the changes that it handles. Alerts: CdcServiceErrors, CdcServiceEndpointUnknown.',
      unit: 'percentunit',
      width: 6,
      queries: [
        {
          expr: `max by (target) (cdc_service_error_rate{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: noService,
        },
        limitQuery('cdc_service_error_rate'),
      ],
    },
  ],
};
