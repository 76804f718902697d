import { ofPipeline, ofTarget, statesPanel, type Row } from './spec.ts';

const upOrDown = { 0: { text: 'down', color: 'red' }, 1: { text: 'up', color: 'green' } } as const;

export const flowRow: Row = {
  title: 'Is data flowing from end to end?',
  panels: [
    {
      kind: 'number',
      title: 'End-to-end lag',
      description:
        'Age of the oldest change on the source that has not reached the end of the pipeline. No data: a stage is unknown. Alerts: PipelineLag, PipelineLagUnknown.',
      unit: 's',
      width: 6,
      queries: [{ expr: `max by (pipeline) (pipeline_lag_seconds{${ofPipeline}})`, legend: '{{pipeline}}' }],
    },
    {
      kind: 'number',
      title: 'Lag as part of the objective',
      description: 'Above 100 % the pipeline is late. Alert: PipelineLag.',
      unit: 'percentunit',
      redFrom: 1,
      width: 6,
      queries: [
        {
          expr: `max by (pipeline) (pipeline_lag_seconds{${ofPipeline}}) / on (pipeline) max by (pipeline) (pipeline_lag_objective_seconds{${ofPipeline}})`,
          legend: '{{pipeline}}',
        },
      ],
    },
    {
      kind: 'number',
      title: 'Targets that are down',
      description: 'Of the chosen ones. Alerts: MysqlDown, MaxwellDown, KafkaDown, RedisDown, JvmDown.',
      unit: 'short',
      redFrom: 1,
      width: 6,
      queries: [
        {
          expr: `count(max by (target) (pipemedic_target_up{${ofTarget}}) == 0) or vector(0)`,
          legend: 'down',
        },
      ],
    },
    {
      kind: 'number',
      title: 'How many alerts fire',
      description: 'Critical and warning, inhibited and silenced ones included.',
      unit: 'short',
      redFrom: 1,
      width: 6,
      queries: [
        { expr: 'count(ALERTS{alertstate="firing",severity=~"critical|warning"}) or vector(0)', legend: 'firing' },
      ],
    },
    {
      kind: 'lines',
      title: 'End-to-end lag and objective',
      description: 'Alert: PipelineLag, when the lag is above the objective for 2 minutes.',
      unit: 's',
      width: 12,
      queries: [
        { expr: `max by (pipeline) (pipeline_lag_seconds{${ofPipeline}})`, legend: '{{pipeline}}' },
        {
          expr: `max by (pipeline) (pipeline_lag_objective_seconds{${ofPipeline}})`,
          legend: 'objective {{pipeline}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Lag of each stage',
      description:
        'How long the oldest change in each stage has waited there; target owns the stage. Alert: PipelineStageUnknown, where a line ends.',
      unit: 's',
      isStacked: true,
      width: 12,
      queries: [
        {
          expr: `max by (pipeline, stage, target, consumergroup) (pipeline_stage_lag_seconds{${ofPipeline}})`,
          legend: '{{pipeline}} {{stage}} {{target}} {{consumergroup}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Firing alerts',
      description: 'Inhibited and silenced ones too: Alertmanager says which. The runbook of each alert has its name.',
      width: 24,
      queries: [
        {
          expr: 'max by (alertname, severity, priority, remediation, target, pipeline, consumergroup, topic, type) (ALERTS{alertstate="firing",severity=~"critical|warning|info"})',
          legend: '{{alertname}}',
          emptyWhen: 'nothing fires',
        },
      ],
    },
  ],
};

export const statesRow: Row = {
  title: 'States of all targets',
  panels: [
    statesPanel(
      {
        metric: 'pipeline_stage_state',
        by: ['pipeline', 'stage', 'target', 'consumergroup'],
        matcher: ofPipeline,
        states: [
          ['ok', 'green'],
          ['behind', 'yellow'],
          ['stalled', 'orange'],
          ['down', 'red'],
          ['unsplit', 'text'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Stages',
        description: 'Alert: PipelineStageUnknown; the others have alerts at their targets.',
        width: 12,
      },
    ),
    {
      kind: 'states',
      title: 'Targets',
      description: 'Whether each target answered. Alerts: MysqlDown, KafkaDown, RedisDown and the inhibitors.',
      width: 12,
      states: upOrDown,
      queries: [{ expr: `max by (target) (pipemedic_target_up{${ofTarget}})`, legend: '{{target}}' }],
    },
    statesPanel(
      {
        metric: 'mysql_replication_state',
        by: ['target', 'channel_name', 'connection_name'],
        matcher: ofTarget,
        states: [
          ['running', 'green'],
          ['not_configured', 'text'],
          ['connecting', 'yellow'],
          ['stalled', 'orange'],
          ['stopped', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'MySQL replication',
        description: 'Alerts: MysqlReplicationBroken, MysqlReplicationUnknown. A source is "not configured".',
        width: 12,
      },
    ),
    statesPanel(
      {
        metric: 'maxwell_state',
        by: ['target', 'client_id'],
        matcher: ofTarget,
        states: [
          ['running', 'green'],
          ['stalled', 'orange'],
          ['down', 'red'],
          ['position_lost', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Maxwell',
        description: 'Alerts: MaxwellDown, MaxwellStalled, MaxwellPositionLost, MaxwellUnknown.',
        width: 12,
      },
    ),
    statesPanel(
      {
        metric: 'kafka_consumergroup_state',
        by: ['target', 'consumergroup'],
        matcher: ofTarget,
        states: [
          ['stable', 'green'],
          ['rebalancing', 'yellow'],
          ['empty', 'text'],
          ['dead', 'red'],
          ['unknown', 'purple'],
        ],
      },
      { title: 'Consumer groups', description: 'Alert: KafkaConsumerGroupUnknown.', width: 12 },
    ),
    statesPanel(
      {
        metric: 'redis_replication_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['primary', 'green'],
          ['replica_up', 'green'],
          ['replica_syncing', 'yellow'],
          ['replica_down', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Redis replication',
        description: 'Alerts: RedisReplicationLinkDown, RedisReplicationLinkSilent, RedisReplicationUnknown.',
        width: 12,
      },
    ),
    statesPanel(
      {
        metric: 'jvm_state',
        by: ['target', 'source'],
        matcher: ofTarget,
        states: [
          ['visible', 'green'],
          ['gone', 'red'],
          ['unknown', 'purple'],
        ],
      },
      { title: 'JVMs', description: 'Alerts: JvmDown, JvmUnknown.', width: 12 },
    ),
    statesPanel(
      {
        metric: 'backup_state',
        by: ['target', 'type'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['stale', 'orange'],
          ['incomplete', 'red'],
          ['never', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Backups',
        description: 'Alerts: BackupStale, BackupIncomplete, BackupNeverSucceeded, BackupUnknown.',
        width: 12,
      },
    ),
  ],
};
