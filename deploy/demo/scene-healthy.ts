import { waitFor, type Lab } from '../lab/lab.ts';
import { firing, query, scalar } from './observe.ts';
import type { Timeline } from './timeline.ts';

export async function stages(lab: Lab): Promise<string> {
  const lags = await query(lab, 'pipeline_stage_lag_seconds{pipeline="orders"}');
  const states = await query(lab, 'pipeline_stage_state{pipeline="orders"} == 1');
  const rows = states.map(({ labels }) => {
    const lag = lags.find((l) => l.labels['stage'] === labels['stage'] && l.labels['target'] === labels['target']);
    const seconds = lag === undefined ? 'unknown' : `${lag.value.toFixed(1)} s`;
    const owner = `${labels['target'] ?? ''}${labels['consumergroup'] ? ` (${labels['consumergroup']})` : ''}`;
    return `${(labels['stage'] ?? '').padEnd(18)}${owner.padEnd(26)}${(labels['state'] ?? '').padEnd(10)}${seconds.padStart(9)}`;
  });
  const total = await scalar(lab, 'pipeline_lag_seconds{pipeline="orders",method="computed"}');
  const objective = await scalar(lab, 'pipeline_lag_objective_seconds{pipeline="orders"}');
  return [
    `${'stage'.padEnd(18)}${'owner'.padEnd(26)}${'state'.padEnd(10)}${'lag'.padStart(9)}`,
    ...rows.sort(),
    `${'end to end'.padEnd(54)}${(total === undefined ? 'unknown' : `${total.toFixed(1)} s`).padStart(9)}  (objective ${objective ?? '?'} s)`,
  ].join('\n');
}

export async function healthy(lab: Lab, timeline: Timeline): Promise<void> {
  timeline.section('1. The healthy pipeline');
  const settled = await waitFor(
    async () => {
      const up = await query(lab, 'pipemedic_target_up == 1');
      const lag = await scalar(lab, 'pipeline_lag_seconds{pipeline="orders",method="computed"}');
      const backup = await scalar(lab, 'backup_state{state="ok"}');
      return up.length === 7 && lag !== undefined && lag < 10 && backup === 1 ? lag : undefined;
    },
    { deadlineMs: 60_000, what: 'seven targets up, a known lag and a complete backup', intervalMs: 500 },
  ).catch((error: unknown) => error as Error);
  timeline.expect(
    'all seven targets are up, the lag is known and small, the newest backup is complete',
    typeof settled === 'number',
    settled instanceof Error ? settled.message : '',
  );
  timeline.block(await stages(lab));
  const alerts = await firing(lab);
  timeline.expect(
    'no alert fires',
    alerts.length === 0,
    alerts.map((a) => `${a.labels['alertname'] ?? ''} ${a.labels['target'] ?? ''}`).join(', '),
  );
}
