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
    'Verdicts of the guards over all evaluations: allow, deny, unknown.',
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
} as const;

export const remediatorCatalogue: ReadonlyMap<string, Family> = new Map(
  Object.values(remediatorFamilies).map((f) => [f.name, f]),
);
