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
    'pipemedic_remediator_last_webhook_timestamp_seconds{source="main"}': 1_800_000_000.5,
    'pipemedic_remediator_alertmanager_up{source="main",peer="0"}': 0,
    'pipemedic_remediator_switch_state{state="on"}': 0,
    'pipemedic_remediator_switch_state{state="unreadable"}': 1,
    pipemedic_remediator_latched_targets: 1,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(found.get(name), value, name);
});

test('nothing is claimed that was not seen', async () => {
  const names = [...(await series(createMetrics('1'))).keys()].join('\n');
  for (const absent of ['last_webhook', 'watchdog', 'alertmanager_up', 'switch_state']) {
    assert.ok(!names.includes(absent), `${absent} before the first sight`);
  }
});
