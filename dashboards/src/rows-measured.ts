import { limitQuery, ofAny, ofPipeline, ofTarget, statesPanel, type Row } from './spec.ts';

const noCanary = 'no canary is configured';
const noConsistency = 'nothing is compared';
const noHost = 'no host is configured';

export const canaryRow: Row = {
  title: 'Measured from end to end',
  panels: [
    statesPanel(
      {
        metric: 'pipeline_data_flowing_state',
        by: ['pipeline'],
        matcher: ofPipeline,
        states: [
          ['flowing', 'green'],
          ['idle', 'text'],
          ['stuck', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Data flows',
        description: 'Idle: nothing was written, and nothing waits. Alerts: PipelineNotFlowing, PipelineFlowUnknown.',
        width: 8,
      },
    ),
    statesPanel(
      {
        metric: 'canary_seen_state',
        by: ['target', 'seen_at'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['late', 'yellow'],
          ['lost', 'red'],
          ['unreachable', 'purple'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Canaries at each end',
        description: 'Alerts: CanaryLate, CanaryUnknown.',
        width: 8,
        emptyWhen: noCanary,
      },
    ),
    statesPanel(
      {
        metric: 'canary_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['held', 'yellow'],
          ['refused', 'orange'],
          ['no_table', 'red'],
          ['denied', 'red'],
          ['unreachable', 'red'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Writing of canaries',
        description: 'Held: every end is lost. Alert: CanaryNotWritten.',
        width: 8,
        emptyWhen: noCanary,
      },
    ),
    {
      kind: 'lines',
      title: 'Way of a canary, and what is still on it',
      description: 'From the write to the sight of the newest token; age of the oldest that was not seen yet.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, seen_at) (canary_latency_seconds{${ofTarget}})`,
          legend: '{{target}} at {{seen_at}}',
          emptyWhen: noCanary,
        },
        {
          expr: `max by (target, seen_at) (canary_outstanding_seconds{${ofTarget}})`,
          legend: '{{target}} not yet at {{seen_at}}',
          emptyWhen: noCanary,
        },
        limitQuery('canary_outstanding_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Lag by method',
      description: 'Computed from the stages, and measured by the canary. Alert: PipelineLag, by the larger one.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (pipeline, method) (pipeline_lag_seconds{${ofPipeline}})`,
          legend: '{{pipeline}} {{method}}',
        },
      ],
    },
  ],
};

export const consistencyRow: Row = {
  title: 'Are the copies right?',
  panels: [
    statesPanel(
      {
        metric: 'consistency_state',
        by: ['target', 'table'],
        matcher: ofAny,
        states: [
          ['consistent', 'green'],
          ['running', 'text'],
          ['stale', 'orange'],
          ['unverifiable', 'purple'],
          ['inconsistent', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Tables',
        description: 'Alerts: ConsistencyDiffers, ConsistencyStale.',
        width: 8,
        emptyWhen: noConsistency,
      },
    ),
    statesPanel(
      {
        metric: 'consistency_run_state',
        by: ['target'],
        matcher: ofAny,
        states: [
          ['checking', 'green'],
          ['idle', 'green'],
          ['lag', 'yellow'],
          ['load', 'yellow'],
          ['lag_unknown', 'purple'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'What the comparison does',
        description: 'Or what it waits for. Alert: ConsistencyUnknown.',
        width: 8,
        emptyWhen: noConsistency,
      },
    ),
    {
      kind: 'lines',
      title: 'Rows that differ',
      description: 'Missing, extra and different ones, by the last pass. Alert: ConsistencyDiffers.',
      unit: 'short',
      width: 8,
      queries: ['missing', 'extra', 'different'].map((what) => ({
        expr: `max by (target, table) (consistency_rows_${what}{${ofAny}})`,
        legend: `{{table}} ${what}`,
        emptyWhen: noConsistency,
      })),
    },
  ],
};

export const hostRow: Row = {
  title: 'Host',
  panels: [
    {
      kind: 'lines',
      title: 'Free space',
      description: 'Part of the file system under each folder. Alert: HostFolderLow.',
      unit: 'percentunit',
      max: 1,
      width: 8,
      queries: [
        {
          expr: `max by (target, folder) (host_folder_avail_bytes{${ofAny}}) / max by (target, folder) (host_folder_size_bytes{${ofAny}})`,
          legend: '{{folder}} of {{target}}',
          emptyWhen: noHost,
        },
        limitQuery('host_folder_avail_ratio', ofAny),
      ],
    },
    {
      kind: 'lines',
      title: 'Full in',
      description: 'If it goes on filling as now; no line while it does not. Alert: HostFolderFilling.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target, folder) (host_folder_full_in_seconds{${ofAny}})`,
          legend: '{{folder}} of {{target}}',
          emptyWhen: 'no folder fills',
        },
      ],
    },
    statesPanel(
      {
        metric: 'host_folder_state',
        by: ['target', 'folder'],
        matcher: ofAny,
        states: [
          ['ok', 'green'],
          ['late', 'orange'],
          ['read_only', 'red'],
          ['missing', 'red'],
          ['denied', 'purple'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Folders',
        description: 'Alerts: HostFolderUnusable, HostFolderUnknown.',
        width: 8,
        emptyWhen: noHost,
      },
    ),
    {
      kind: 'lines',
      title: 'Memory available',
      description: 'Part of the memory of the machine. Alerts: HostMemoryLow, HostOutOfMemory.',
      unit: 'percentunit',
      max: 1,
      width: 8,
      queries: [
        {
          expr: `max by (target) (node_memory_MemAvailable_bytes{${ofAny}}) / max by (target) (node_memory_MemTotal_bytes{${ofAny}})`,
          legend: '{{target}}',
          emptyWhen: noHost,
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Memory of watched processes',
      description: 'Resident, by group.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `max by (target, groupname) (namedprocess_namegroup_memory_bytes{memtype="resident",${ofAny}})`,
          legend: '{{groupname}} of {{target}}',
          emptyWhen: 'no process is watched',
        },
      ],
    },
    statesPanel(
      {
        metric: 'host_process_state',
        by: ['target', 'groupname'],
        matcher: ofAny,
        states: [
          ['running', 'green'],
          ['stopped', 'orange'],
          ['zombie', 'red'],
          ['gone', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Watched processes',
        description: 'Alerts: HostProcessGone, HostProcessStopped, HostProcessUnknown.',
        width: 8,
        emptyWhen: 'no process is watched',
      },
    ),
  ],
};
