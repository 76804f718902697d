import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { deny, type PlanInput } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import { plan } from '../../../remediator/planner.ts';
import { episode, nowMs, permitted, policy, upstream, view } from './scenario.ts';

test('acts when every guard allows, and keeps every guard in the trace in order', () => {
  const decided = plan(permitted);
  assert.equal(decided.verdict, 'act');
  assert.deepEqual(
    decided.trace.map((r) => r.guard),
    guards.map((g) => g.name),
  );
});

test('asks every guard even when the first one denies', () => {
  const decided = plan({ ...permitted, clock: unknown('jumped'), budget: { used: 9, max: 3, windowMs: 1 } });
  assert.equal(decided.reasonKey, 'clock:unsteady');
  assert.deepEqual(
    decided.trace.filter((r) => r.result !== 'allow').map((r) => `${r.guard}:${r.code}`),
    ['clock:unsteady', 'budget:spent'],
  );
});

const observing = [{ ...policy, mode: 'observe' as const }];
const asking = [{ ...policy, mode: 'approve' as const }];
const silenced = { ...episode, alertState: 'silenced' as const };
const rows: readonly (readonly [string, Partial<PlanInput>, verdict: string, reason: string, tell: string])[] = [
  ['a policy that observes', { policies: observing }, 'would_act', 'mode:observe', 'no'],
  ['a policy that asks', { policies: asking }, 'hold', 'mode:needs_approval', 'at_once'],
  [
    'a policy that observes what is silenced',
    { policies: observing, episode: silenced },
    'hold',
    'alert:silenced',
    'no',
  ],
  [
    'a policy that asks about what is dangerous',
    { policies: asking, action: { ...view, preconditions: { binlog: deny('purged', '') } } },
    'refuse',
    'preconditions:purged',
    'at_once',
  ],
  ['no policy', { policies: [], action: undefined }, 'refuse', 'mode:no_policy', 'no'],
  [
    'an upstream that is down',
    { upstreams: [upstream('db1', known(false, nowMs))] },
    'hold',
    'dependency:upstream_down',
    'no',
  ],
  [
    'an upstream that is not seen',
    { upstreams: [upstream('db1', unknown('x'))] },
    'hold',
    'dependency:upstream_unknown',
    'if_it_lasts',
  ],
  ['a target that is not in the inventory', { candidates: [] }, 'refuse', 'identity:no_target', 'at_once'],
  ['a spent budget', { budget: { used: 3, max: 3, windowMs: 1 } }, 'refuse', 'budget:spent', 'at_once'],
  ['a pause', { switches: { ...permitted.switches, file: 'set' } }, 'refuse', 'switch:paused_by_file', 'no'],
  ['a cooldown', { cooldown: { untilMs: nowMs + 1, runId: 'r' } }, 'hold', 'cooldown:cooldown', 'no'],
];
for (const [what, change, verdict, reason, tell] of rows) {
  test(`${what}: ${verdict} ${reason}, told ${tell}`, () => {
    const decided = plan({ ...permitted, ...change });
    assert.deepEqual([decided.verdict, decided.reasonKey, decided.tell], [verdict, reason, tell]);
  });
}
