import { counter, gauge, type Family } from '../exporter/families.ts';

const graph = { level: 'graph' } as const;

/** Every family that the remediator serves of its own. Rules and dashboards are checked against it. */
export const remediatorFamilies = {
  buildInfo: gauge('pipemedic_remediator_build_info', 'The running program: 1.', ['version', 'node'], graph),
  lastWebhook: gauge(
    'pipemedic_remediator_last_webhook_timestamp_seconds',
    'When the last notification of this source was stored. Absent before the first one.',
    ['source'],
    graph,
  ),
  watchdogLastSeen: gauge(
    'pipemedic_remediator_watchdog_last_seen_timestamp_seconds',
    'When PipemedicWatchdog last arrived from this source, also before a restart. Absent before the first one.',
    ['source'],
    graph,
  ),
  webhooks: counter(
    'pipemedic_remediator_webhooks_total',
    'Requests on the ingest path by what became of them: stored, not_stored, unauthorized, forbidden, malformed, too_large, wrong_method, unknown_source.',
    ['source', 'result'],
    graph,
  ),
  alerts: counter(
    'pipemedic_remediator_alerts_total',
    'Alerts in stored notifications: taken, own (posted by pipemedic itself: not acted on), watchdog, poison.',
    ['source', 'result'],
    graph,
  ),
  escalationsPending: gauge(
    'pipemedic_remediator_escalations_pending',
    'Messages for people that no Alertmanager has taken, or none has taken anew in time.',
    [],
    graph,
  ),
  switchState: gauge(
    'pipemedic_remediator_switch_state',
    'on: repairs may begin; off: paused by file, store or signal; unreadable: it cannot be told, and none begin. 1 for the present state.',
    ['state'],
    graph,
  ),
  runs: counter(
    'pipemedic_remediator_runs_total',
    'Runs that ended, by action and outcome.',
    ['action', 'outcome'],
    graph,
  ),
  runDurationSum: counter(
    'pipemedic_remediator_run_duration_seconds_sum',
    'Time from claim to end of the runs that ended.',
    ['action'],
    graph,
  ),
  runDurationCount: counter('pipemedic_remediator_run_duration_seconds_count', 'Runs that ended.', ['action'], graph),
  decisions: counter(
    'pipemedic_remediator_decisions_total',
    'Verdicts of the guards over all evaluations: allow, deny, unknown. Guard claim: of what all of them allow, whether the right to begin was won.',
    ['guard', 'result'],
    graph,
  ),
  openEpisodes: gauge('pipemedic_remediator_open_episodes', 'Incidents that are not closed.', [], graph),
  latchedTargets: gauge(
    'pipemedic_remediator_latched_targets',
    'Targets that are left to people until someone clears the latch.',
    [],
    graph,
  ),
  alertmanagerUp: gauge(
    'pipemedic_remediator_alertmanager_up',
    'Whether this peer (by its place in the list, from 0) answered the last poll.',
    ['source', 'peer'],
    graph,
  ),
  alertToRepairSum: counter(
    'pipemedic_remediator_alert_to_repair_seconds_sum',
    "From the start of the alert, by its sender's clock, to the end of the run that repaired it, its soak included.",
    ['action'],
    graph,
  ),
  alertToRepairCount: counter(
    'pipemedic_remediator_alert_to_repair_seconds_count',
    'Runs that repaired what their alert told of.',
    ['action'],
    graph,
  ),
  relapses: counter(
    'pipemedic_remediator_relapses_total',
    'Alerts that came back soon after their episode was closed, by target.',
    ['target'],
    graph,
  ),
  budgetLeft: gauge(
    'pipemedic_remediator_budget_left',
    'Runs that the policy may still begin on this target within its window; policy and target `*`: all runs together. Absent while the store cannot be read.',
    ['policy', 'target'],
    graph,
  ),
  policyInfo: gauge(
    'pipemedic_remediator_policy_info',
    'A policy that is in force, with the mode that its file gives it: 1.',
    ['policy', 'action', 'mode'],
    graph,
  ),
  policyDemoted: gauge(
    'pipemedic_remediator_policy_demoted',
    'A policy that is trusted less on this target than its file says, until a person lifts it: 1.',
    ['policy', 'target', 'mode'],
    graph,
  ),
  approvalsWaiting: gauge(
    'pipemedic_remediator_approvals_waiting',
    'Repairs that wait for a person. Absent while the store cannot be read.',
    [],
    graph,
  ),
  approvalOldest: gauge(
    'pipemedic_remediator_approval_oldest_seconds',
    'How long the oldest of them has waited; 0 while none waits. Absent while the store cannot be read.',
    [],
    graph,
  ),
  stormActive: gauge(
    'pipemedic_remediator_storm_active',
    '1 while so many targets alert at once that nothing is repaired by itself. Absent while the store cannot be read.',
    [],
    graph,
  ),
  maintenanceActive: gauge(
    'pipemedic_remediator_maintenance_active',
    'People work there, and nothing is begun: 1.',
    ['scope'],
    graph,
  ),
  pauseActive: gauge(
    'pipemedic_remediator_pause_active',
    'A target or pipeline, or all of it, is paused in the store: 1.',
    ['scope'],
    graph,
  ),
  storeSecondsSum: counter(
    'pipemedic_remediator_store_operation_seconds_sum',
    'Time spent in the store: intake, claim, journal, other.',
    ['operation'],
    graph,
  ),
  storeSecondsCount: counter(
    'pipemedic_remediator_store_operation_seconds_count',
    'Operations of the store that ended, well or not.',
    ['operation'],
    graph,
  ),
  storeErrors: counter(
    'pipemedic_remediator_store_errors_total',
    'Operations of the store that failed: full, busy, broken, other. Losing a lease is none.',
    ['code'],
    graph,
  ),
  storeBytes: gauge(
    'pipemedic_remediator_store_bytes',
    'Size of the store. Absent while it cannot be read.',
    [],
    graph,
  ),
  reloadSuccessful: gauge(
    'pipemedic_remediator_config_last_reload_successful',
    'Whether the last reading of the policies was taken; 0: those before are in use.',
    [],
    graph,
  ),
  reloadTimestamp: gauge(
    'pipemedic_remediator_config_last_reload_success_timestamp_seconds',
    'When the policies in use were read.',
    [],
    graph,
  ),
} as const;

export const remediatorCatalogue: ReadonlyMap<string, Family> = new Map(
  Object.values(remediatorFamilies).map((f) => [f.name, f]),
);
