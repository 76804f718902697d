import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remediatorCatalogue } from '../../../remediator/catalogue.ts';
import { createMetrics } from '../../../remediator/metrics.ts';

function everything(): ReturnType<typeof createMetrics> {
  const metrics = createMetrics('1.2.3');
  metrics.decision('alert', 'deny');
  metrics.run('maxwell.restart', 'verified', 12.5);
  metrics.run('maxwell.restart', 'failed', 7.5);
  metrics.webhook('main', 'stored');
  metrics.alerts('main', 'taken', 3);
  metrics.lastWebhook('main', 1_800_000_000_500);
  metrics.watchdog('main', 1_800_000_001_000);
  metrics.alertmanagerUp('main', 0, false);
  metrics.escalationsPending(2);
  metrics.openEpisodes(4);
  metrics.latchedTargets(1);
  metrics.switchState('unreadable');
  metrics.alertToRepair('maxwell.restart', 90);
  metrics.relapse('maxwell1');
  metrics.policies([{ name: 'maxwell-down', action: 'maxwell.restart', mode: 'auto' }]);
  metrics.stored({
    ...{ approvalsWaiting: 2, approvalOldestSeconds: 600, isStorm: true, bytes: 4096 },
    demotions: [{ policy: 'maxwell-down', target: 'maxwell1', mode: 'approve' }],
    ...{ maintenance: ['target:db1'], pauses: ['pipeline:p'] },
    budgets: [{ policy: 'maxwell-down', target: 'maxwell1', left: 0 }],
  });
  metrics.storeCall('claim', 0.25);
  metrics.storeError('full');
  metrics.reloaded(true, 1_800_000_002_000);
  metrics.reloaded(false, 1_800_000_009_000);
  return metrics;
}

/** Series of pipemedic's own, by name with labels. */
async function series(metrics: ReturnType<typeof createMetrics>): Promise<ReadonlyMap<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((l) => l.startsWith('pipemedic_'));
  return new Map(lines.map((l) => [l.slice(0, l.lastIndexOf(' ')), Number(l.slice(l.lastIndexOf(' ') + 1))]));
}

test('what is served is what the catalogue says: names, labels, types', async () => {
  const metrics = everything();
  const served = new Map<string, Set<string>>();
  for (const [key] of await series(metrics)) {
    const [, name = '', labels = ''] = /^([a-z_]+)(?:\{(.*)\})?$/.exec(key) ?? [];
    served.set(name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label)));
  }
  assert.deepEqual([...served.keys()].sort(), [...remediatorCatalogue.keys()].sort());
  for (const [name, family] of remediatorCatalogue) {
    assert.deepEqual([...(served.get(name) ?? [])].sort(), [...family.labels].sort(), name);
    if (/_(sum|count)$/.test(name)) continue; // halves of a summary
    assert.match(await metrics.text(), new RegExp(`^# TYPE ${name} ${family.type}$`, 'm'));
  }
});

test('values', async () => {
  const found = await series(everything());
  const expected: Readonly<Record<string, number>> = {
    'pipemedic_remediator_run_duration_seconds_sum{action="maxwell.restart"}': 20,
    'pipemedic_remediator_run_duration_seconds_count{action="maxwell.restart"}': 2,
    'pipemedic_remediator_runs_total{action="maxwell.restart",outcome="failed"}': 1,
    // there before it happens: a counter that begins with 1 has no increase
    'pipemedic_remediator_runs_total{action="maxwell.restart",outcome="outcome_unknown"}': 0,
    'pipemedic_remediator_store_errors_total{code="busy"}': 0,
    'pipemedic_remediator_last_webhook_timestamp_seconds{source="main"}': 1_800_000_000.5,
    'pipemedic_remediator_alertmanager_up{source="main",peer="0"}': 0,
    'pipemedic_remediator_switch_state{state="on"}': 0,
    'pipemedic_remediator_switch_state{state="unreadable"}': 1,
    pipemedic_remediator_latched_targets: 1,
    pipemedic_remediator_approvals_waiting: 2,
    pipemedic_remediator_approval_oldest_seconds: 600,
    pipemedic_remediator_storm_active: 1,
    'pipemedic_remediator_policy_demoted{policy="maxwell-down",target="maxwell1",mode="approve"}': 1,
    'pipemedic_remediator_budget_left{policy="maxwell-down",target="maxwell1"}': 0,
    'pipemedic_remediator_store_operation_seconds_sum{operation="claim"}': 0.25,
    pipemedic_remediator_config_last_reload_successful: 0,
    pipemedic_remediator_config_last_reload_success_timestamp_seconds: 1_800_000_002,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(found.get(name), value, name);
});

test('nothing is claimed that was not seen', async () => {
  const names = [...(await series(createMetrics('1'))).keys()].join('\n');
  const unseen = ['last_webhook', 'watchdog', 'alertmanager_up', 'switch_state', 'approvals_waiting', 'storm_active'];
  for (const absent of [...unseen, 'budget_left', 'reload']) {
    assert.ok(!names.includes(absent), `${absent} before the first sight`);
  }
});

test('what the store said is withdrawn when it cannot be read any more', async () => {
  const metrics = everything();
  metrics.stored(undefined);
  const names = [...(await series(metrics)).keys()].join('\n');
  for (const gone of ['approval', 'storm_active', 'demoted', 'budget_left', 'maintenance', 'pause_active', 'bytes']) {
    assert.ok(!names.includes(gone), gone);
  }
});
