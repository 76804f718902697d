import { ofTarget, statesPanel, type Row } from './spec.ts';

export const remediatorRow: Row = {
  title: 'Remediator',
  panels: [
    statesPanel(
      {
        metric: 'pipemedic_remediator_switch_state',
        by: ['instance'],
        matcher: 'state!=""',
        states: [
          ['on', 'green'],
          ['off', 'orange'],
          ['unreadable', 'red'],
        ],
      },
      {
        title: 'Switch',
        description: 'Alerts: RemediatorPaused, RemediatorSwitchUnreadable, RemediatorDown, RemediatorAbsent.',
        width: 12,
      },
    ),
    {
      kind: 'lines',
      title: 'Open incidents, messages that wait, latched targets',
      description: 'Alerts: RemediatorEscalationsPending, RemediatorTargetsLatched.',
      unit: 'short',
      width: 12,
      queries: [
        { expr: 'max by (instance) (pipemedic_remediator_open_episodes)', legend: 'open incidents' },
        { expr: 'max by (instance) (pipemedic_remediator_escalations_pending)', legend: 'messages that wait' },
        { expr: 'max by (instance) (pipemedic_remediator_latched_targets)', legend: 'latched targets' },
      ],
    },
    {
      kind: 'lines',
      title: 'Runs that ended',
      description:
        'By action and outcome, in an hour. A repair that is needed often hides a cause. Alerts: RemediatorOutcomeUnknown, RemediatorMasking.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: 'sum by (action, outcome) (increase(pipemedic_remediator_runs_total[1h]))',
          legend: '{{action}} {{outcome}}',
          emptyWhen: 'nothing was repaired yet',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Guards that did not allow',
      description: 'Per second, by guard: why nothing was done. Alerts: RemediatorGuardsUnknown, RemediatorBlind.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: 'sum by (guard, result) (rate(pipemedic_remediator_decisions_total{result!="allow"}[$__rate_interval]))',
          legend: '{{guard}} {{result}}',
          emptyWhen: 'no guard has been asked yet',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Since the last heartbeat from Alertmanager',
      description: 'One comes every minute. Alert: RemediatorWebhookSilent, above 5 minutes.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: 'time() - max by (instance, source) (pipemedic_remediator_watchdog_last_seen_timestamp_seconds)',
          legend: '{{source}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Repairs that wait for a person',
      description: 'Answered by `pipemedic-remediator approve` or `reject`. Alert: RemediatorApprovalWaiting.',
      unit: 'short',
      width: 8,
      queries: [{ expr: 'max by (instance) (pipemedic_remediator_approvals_waiting)', legend: 'waiting' }],
    },
    {
      kind: 'lines',
      title: 'What holds repairs back',
      description:
        'A storm of alerts, maintenance, pauses, policies that are trusted less than their file says, policies that were not taken. Alerts: RemediatorStorm, RemediatorPolicyDemoted, RemediatorReloadFailed.',
      unit: 'short',
      width: 8,
      queries: [
        { expr: 'max by (instance) (pipemedic_remediator_storm_active)', legend: 'storm' },
        {
          expr: 'count by (instance) (pipemedic_remediator_maintenance_active == 1)',
          legend: 'maintenance',
          emptyWhen: 'nobody works on a target',
        },
        {
          expr: 'count by (instance) (pipemedic_remediator_pause_active == 1)',
          legend: 'paused',
          emptyWhen: 'nothing is paused in the store',
        },
        {
          expr: 'count by (instance) (pipemedic_remediator_policy_demoted == 1)',
          legend: 'demoted policies',
          emptyWhen: 'no policy is demoted',
        },
        {
          expr: '1 - min by (instance) (pipemedic_remediator_config_last_reload_successful)',
          legend: 'policies not taken',
          emptyWhen: 'they were not read a second time',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Budget left',
      description:
        'Runs that a policy may still begin on a target within its window. Alert: RemediatorBudgetExhausted.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: 'min by (policy, target) (pipemedic_remediator_budget_left)',
          legend: '{{policy}} {{target}}',
          emptyWhen: 'the store cannot be read, or there is no policy',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Alerts that came back',
      description: 'Soon after their episode was closed, in an hour. Alert: RemediatorRelapses.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: 'sum by (target) (increase(pipemedic_remediator_relapses_total[1h]))',
          legend: '{{target}}',
          emptyWhen: 'no alert came back',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'From the alert to its repair',
      description: 'Mean over a day, the watching after the repair included.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: 'sum by (action) (increase(pipemedic_remediator_alert_to_repair_seconds_sum[1d])) / (sum by (action) (increase(pipemedic_remediator_alert_to_repair_seconds_count[1d])) > 0)',
          legend: '{{action}}',
          emptyWhen: 'nothing was repaired in a day',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Time of a store operation',
      description: 'Mean, by what it is for. Alerts: RemediatorStoreSlow, RemediatorStoreFailing.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: 'sum by (operation) (rate(pipemedic_remediator_store_operation_seconds_sum[$__rate_interval])) / (sum by (operation) (rate(pipemedic_remediator_store_operation_seconds_count[$__rate_interval])) > 0)',
          legend: '{{operation}}',
          emptyWhen: 'the store was not asked',
        },
      ],
    },
  ],
};

export const exporterRow: Row = {
  title: 'Exporter',
  panels: [
    {
      kind: 'states',
      title: 'Collectors',
      description: 'Whether each succeeded in the last sweep. Alert: PipemedicCollectorFailing.',
      width: 12,
      states: { 0: { text: 'failed', color: 'red' }, 1: { text: 'ok', color: 'green' } },
      queries: [
        {
          expr: `max by (target, collector) (pipemedic_collector_success{${ofTarget}})`,
          legend: '{{target}} {{collector}}',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Time of each collector',
      description: 'What is late is left out of the scrape and counted as failed.',
      unit: 's',
      width: 12,
      queries: [
        {
          expr: `max by (target, collector) (pipemedic_collector_duration_seconds{${ofTarget}})`,
          legend: '{{target}} {{collector}}',
        },
      ],
    },
    {
      kind: 'table',
      title: 'Why a target or a collector fails',
      description: 'The class of the last error.',
      width: 12,
      queries: [
        {
          expr: `max by (target, class) (pipemedic_target_error_info{${ofTarget}}) == 1`,
          legend: '{{target}} {{class}}',
          emptyWhen: 'every target answers',
        },
        {
          expr: `max by (target, collector, class) (pipemedic_collector_error_info{${ofTarget}}) == 1`,
          legend: '{{target}} {{collector}} {{class}}',
          emptyWhen: 'every collector succeeds',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Series left out of each scrape',
      description: 'Of a target that has more of them than it may. Alert: PipemedicSeriesDropped.',
      unit: 'short',
      width: 12,
      queries: [
        {
          expr: `max by (target, collector) (pipemedic_collector_series_dropped{${ofTarget}})`,
          legend: '{{target}} {{collector}}',
        },
      ],
    },
    {
      kind: 'number',
      title: 'Targets of the inventory',
      description: 'Set up and watched. Alert: PipemedicTargetsMissing, when they differ.',
      unit: 'short',
      width: 6,
      queries: [
        { expr: 'max(pipemedic_targets_configured)', legend: 'set up' },
        { expr: 'count(max by (target) (pipemedic_target_up))', legend: 'watched' },
      ],
    },
    {
      kind: 'number',
      title: 'Exporters',
      description:
        'That are scraped, and whether the inventory on disk was taken. Alerts: PipemedicExporterDown, PipemedicExporterAbsent, PipemedicConfigReloadFailed.',
      unit: 'short',
      width: 6,
      queries: [
        { expr: 'count(pipemedic_exporter_build_info)', legend: 'running' },
        { expr: 'sum(pipemedic_exporter_config_last_reload_successful)', legend: 'with the inventory on disk' },
      ],
    },
  ],
};
