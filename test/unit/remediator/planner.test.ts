import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { deny, type PlanInput } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import { plan } from '../../../remediator/planner.ts';
import { episode, link, nowMs, permitted, policy, upstream, view } from './scenario.ts';

const spent = [{ scope: 'global', used: 9, max: 3, windowMs: 1 }];

test('acts when every guard allows, and keeps every guard in the trace in order', () => {
  const decided = plan(permitted);
  assert.equal(decided.verdict, 'act');
  assert.deepEqual(
    decided.trace.map((r) => r.guard),
    guards.map((g) => g.name),
  );
});

test('asks every guard even when the first one denies', () => {
  const decided = plan({ ...permitted, clock: unknown('jumped'), budgets: spent });
  assert.equal(decided.reasonKey, 'clock:unsteady');
  assert.deepEqual(
    decided.trace.filter((r) => r.result !== 'allow').map((r) => `${r.guard}:${r.code}`),
    ['clock:unsteady', 'budget:spent'],
  );
});

const observing = [{ ...policy, mode: 'observe' as const }];
const asking = [{ ...policy, mode: 'approve' as const }];
const nightly: PlanInput['window'] = { inside: known(false, nowMs), why: 'daily 22:00-06:00 UTC' };
const stormy: PlanInput['storm'] = known({ state: 'active', enteredMs: 0, inputs: {} }, nowMs);
const work = { scope: 'global', by: 'ann', reason: 'move' };
const rejected: PlanInput['approval'] = {
  role: 'dba',
  latest: { id: 'a1', state: 'rejected', expiresMs: nowMs - 1, decidedBy: 'ann', comment: 'not now' },
  former: undefined,
};
const silenced = { ...episode, alertState: 'silenced' as const };
const rows: readonly (readonly [string, Partial<PlanInput>, verdict: string, reason: string, tell: string])[] = [
  ['a policy that observes', { policies: observing }, 'would_act', 'mode:observe', 'no'],
  ['a policy that asks', { policies: asking }, 'hold', 'approval:needs_approval', 'at_once'],
  ['a link that asks', { link: { ...link, mode: 'approve' } }, 'hold', 'approval:needs_approval', 'at_once'],
  ['hours in which it asks', { window: nightly }, 'hold', 'approval:needs_approval', 'at_once'],
  ['observing, outside its hours', { policies: observing, window: nightly }, 'would_act', 'mode:observe', 'no'],
  ['a policy that asks, in a storm', { policies: asking, storm: stormy }, 'hold', 'storm:storm', 'no'],
  ['a no', { policies: asking, approval: rejected }, 'refuse', 'approval:rejected', 'no'],
  ['relapses', { relapses: { count: 2, max: 2, windowMs: 1 } }, 'refuse', 'relapse:relapses', 'at_once'],
  ['the end of a chain', { link: { ...link, over: true } }, 'refuse', 'progress:chain_over', 'at_once'],
  ['maintenance', { maintenance: [work] }, 'hold', 'maintenance:maintenance', 'no'],
  ['a start', { self: { ...permitted.self, sweeps: 1 } }, 'hold', 'self:starting', 'no'],
  [
    'blindness',
    { self: { ...permitted.self, others: { asked: 2, answering: 0 } } },
    'hold',
    'self:blind',
    'if_it_lasts',
  ],
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
  [
    'an owner that leaves it down, or fails over',
    { action: { ...view, owner: deny('left_down', 'it was stopped by request') } },
    'hold',
    'owner:left_down',
    'if_it_lasts',
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
  ['a spent budget', { budgets: spent }, 'refuse', 'budget:spent', 'at_once'],
  ['a pause', { switches: { ...permitted.switches, file: 'set' } }, 'refuse', 'switch:paused_by_file', 'no'],
  ['a cooldown', { cooldown: { untilMs: nowMs + 1, runId: 'r' } }, 'hold', 'cooldown:cooldown', 'no'],
];
for (const [what, change, verdict, reason, tell] of rows) {
  test(`${what}: ${verdict} ${reason}, told ${tell}`, () => {
    const decided = plan({ ...permitted, ...change });
    assert.deepEqual([decided.verdict, decided.reasonKey, decided.tell], [verdict, reason, tell]);
  });
}
