import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { allow, deny, unsure, type ActionView, type PlanInput } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import type { Approval, Demotion, Latch } from '../../../remediator/model.ts';
import { plan } from '../../../remediator/planner.ts';
import { episode, link, nowMs, permitted, policy, upstream, view } from './scenario.ts';

const latch: Latch = { id: 'l1', scope: 'maxwell1', reason: 'outcome unknown', runId: 'r1', setMs: 1 };
const run = { id: 'r1', action: 'maxwell.restart', state: 'running', target: 'maxwell1' };
const { switches } = permitted;
const [candidate = { name: '', kind: '', by: 'target' as const }] = permitted.candidates;

const { self } = permitted;
const demotion = (mode: Demotion['mode']): Demotion => ({
  ...{ policy: policy.name, target: 'maxwell1', mode, reason: 'two relapses', setMs: 1 },
});
const asking = [{ ...policy, mode: 'approve' as const }];
const approval = (state: Approval['state'], expiresMs = nowMs + 1): PlanInput['approval'] => ({
  role: 'dba',
  latest: { id: 'a1', state, expiresMs, decidedBy: 'ann', comment: undefined },
});
const observed = (...says: readonly ('broken' | 'healthy' | 'unknown')[]): { readonly action: ActionView } => ({
  action: { ...view, observers: says.map((said, i) => ({ by: `way ${i + 1}`, says: said })) },
});
const marked = (progressMark: string | undefined): ActionView => ({ ...view, progressMark });
const outside: PlanInput['window'] = { inside: known(false, nowMs), why: 'daily 22:00-06:00 UTC' };
const budget = (used: number, max: number): Partial<PlanInput> => ({
  budgets: [
    { scope: 'target:maxwell1', used: 0, max: 3, windowMs: 1 },
    { scope: 'global', used, max, windowMs: 1 },
  ],
});

type Row = readonly [guard: string, expected: string, change: Partial<PlanInput>];

/** For every guard: what it allows beyond the common situation, what it denies, what it cannot know. */
const table: readonly Row[] = [
  ['clock', 'unknown unsteady', { clock: unknown('wall clock ran ahead of boot time') }],
  ['switch', 'deny paused_by_file', { switches: { ...switches, file: 'set' } }],
  ['switch', 'deny paused', { switches: { ...switches, store: 'set' } }],
  ['switch', 'deny paused', { switches: { ...switches, store: 'set', file: 'unreadable' } }],
  ['switch', 'unknown file_unreadable', { switches: { ...switches, file: 'unreadable' } }],
  ['switch', 'unknown store_missing', { switches: { ...switches, store: 'missing' } }],
  ['mode', 'deny no_policy', { policies: [] }],
  ['mode', 'deny observe', { policies: [{ ...policy, mode: 'observe' }, policy] }],
  ['self', 'unknown store_not_writable', { self: { ...self, store: unknown('disk full') } }],
  ['self', 'deny starting', { self: { ...self, sweeps: 1 } }],
  ['self', 'deny starting', { self: { ...self, sweeps: Number.NaN } }],
  [
    'self',
    'unknown watchdog_missing',
    { self: { ...self, watchdog: { ageMs: 181_000, everyMs: 60_000, source: 'm' } } },
  ],
  ['self', 'allow fit', { self: { ...self, watchdog: { ageMs: 180_000, everyMs: 60_000, source: 'm' } } }],
  ['self', 'allow fit', { self: { ...self, watchdog: undefined } }],
  ['self', 'unknown blind', { self: { ...self, others: { asked: 3, answering: 0 } } }],
  [
    'self',
    'allow upstream_down',
    { self: { ...self, others: { asked: 3, answering: 0 } }, upstreams: [upstream('db1', known(false, nowMs))] },
  ],
  ['self', 'allow alone', { self: { ...self, others: { asked: 0, answering: 0 } } }],
  ['mode', 'deny no_action', { link: undefined }],
  ['mode', 'allow approve', { policies: asking }],
  ['mode', 'allow approve', { link: { ...link, highestMode: 'approve' } }],
  ['mode', 'allow approve', { link: { ...link, mode: 'approve' } }],
  ['mode', 'allow approve', { demotion: demotion('approve') }],
  ['mode', 'deny observe', { demotion: demotion('observe') }],
  ['mode', 'deny observe', { policies: asking, link: { ...link, mode: 'observe' } }],
  ['mode', 'allow auto', { policies: [policy, { ...policy, mode: 'observe' }] }],
  ['identity', 'deny no_target', { candidates: [] }],
  ['identity', 'deny ambiguous', { candidates: [candidate, { ...candidate, name: 'maxwell2' }] }],
  ['identity', 'deny by_instance_only', { candidates: [{ ...candidate, by: 'instance' }] }],
  ['identity', 'deny wrong_kind', { candidates: [{ ...candidate, kind: 'mysql' }] }],
  ['identity', 'deny wrong_kind', { kinds: [] }],
  ['identity', 'deny foreign', { episode: { ...episode, labels: { ...episode.labels, cluster: 'staging' } } }],
  ['identity', 'deny foreign', { episode: { ...episode, labels: { target: 'maxwell1' } } }],
  ['identity', 'allow one_target', { require: {} }],
  ['identity', 'deny object_missing', { object: { is: 'missing', because: 'no channel' } }],
  ['identity', 'deny object_invalid', { object: { is: 'invalid', because: 'bad channel' } }],
  ['identity', 'deny object_other', { object: { is: 'other', because: 'another channel' } }],
  ['alert', 'deny silenced', { episode: { ...episode, alertState: 'silenced' } }],
  ['alert', 'deny inhibited', { episode: { ...episode, alertState: 'inhibited' } }],
  ['alert', 'deny absent', { episode: { ...episode, alertState: 'absent' } }],
  ['alert', 'deny truncated', { episode: { ...episode, truncated: true } }],
  ['alert', 'unknown unreachable', { episode: { ...episode, alertState: 'unreachable' } }],
  ['alert', 'unknown not_asked', { episode: { ...episode, alertState: 'unknown' } }],
  ['alert', 'unknown stale', { nowMs: nowMs + 90_001 }],
  ['alert', 'unknown resolved', { episode: { ...episode, resolvedHintMs: nowMs - 9_000 } }],
  ['alert', 'allow active', { episode: { ...episode, resolvedHintMs: nowMs - 11_000 } }],
  ['alert', 'allow active', { episode: { ...episode, alertSeenMs: undefined } }],
  ['latch', 'deny latched', { latches: [latch] }],
  ['maintenance', 'deny maintenance', { maintenance: [{ scope: 'pipeline:p1', by: 'ann', reason: 'move' }] }],
  ['owner', 'deny restarting', { action: { ...view, owner: deny('restarting', 'systemd starts it') } }],
  ['owner', 'unknown no_socket', { action: { ...view, owner: unsure('no_socket', 'no docker socket') } }],
  ['owner', 'unknown no_look', { action: undefined }],
  ['owner', 'allow idle', { action: { ...view, owner: allow('idle', 'it does nothing') } }],
  ['storm', 'deny storm', { storm: known({ state: 'active', enteredMs: 1, inputs: {} }, nowMs) }],
  [
    'storm',
    'deny storm',
    { storm: known({ state: 'active', enteredMs: 1, cooldownUntilMs: nowMs + 1, inputs: {} }, nowMs) },
  ],
  ['storm', 'unknown storm_unknown', { storm: unknown('the store does not answer') }],
  ['dependency', 'deny upstream_down', { upstreams: [upstream('db1', known(false, nowMs))] }],
  [
    'dependency',
    'deny upstream_down',
    { upstreams: [upstream('db1', unknown('no answer')), upstream('kafka1', known(false, nowMs))] },
  ],
  ['dependency', 'unknown upstream_unknown', { upstreams: [upstream('db1', unknown('no answer'))] }],
  ['dependency', 'allow upstreams_up', { upstreams: [] }],
  ['evidence', 'unknown no_look', { action: undefined }],
  ['evidence', 'unknown no_rows', { action: { ...view, alreadyFixed: unsure('no_rows', '') } }],
  ['evidence', 'unknown no_rows', { action: { ...view, preconditions: { a: unsure('no_rows', '') } } }],
  [
    'evidence',
    'allow decided',
    { action: { ...view, preconditions: { a: unsure('no_rows', ''), b: deny('purged', '') } } },
  ],
  ['evidence', 'unknown not_held_yet', { symptom: { looks: 1, heldMs: 9_000, minimumMs: 3_000 } }],
  ['evidence', 'unknown not_held_yet', { symptom: { looks: 2, heldMs: 2_999, minimumMs: 3_000 } }],
  ['evidence', 'unknown one_observer', observed()],
  ['evidence', 'unknown one_observer', observed('broken')],
  ['evidence', 'unknown one_observer', observed('broken', 'unknown')],
  ['evidence', 'unknown observers_disagree', observed('broken', 'broken', 'healthy')],
  ['evidence', 'allow known', observed('broken', 'unknown', 'broken')],
  ['already_fixed', 'unknown no_look', { action: undefined }],
  ['already_fixed', 'deny healthy', { action: { ...view, alreadyFixed: deny('healthy', 'data moves') } }],
  ['already_fixed', 'unknown no_rows', { action: { ...view, alreadyFixed: unsure('no_rows', '') } }],
  ['preconditions', 'unknown no_look', { action: undefined }],
  [
    'preconditions',
    'deny purged',
    { action: { ...view, preconditions: { a: unsure('x', ''), b: deny('purged', '') } } },
  ],
  ['preconditions', 'unknown x', { action: { ...view, preconditions: { b: allow('y', ''), a: unsure('x', '') } } }],
  ['active_run', 'deny active_run', { activeRun: run }],
  ['active_run', 'deny busy_elsewhere', { activeRun: { ...run, target: 'maxwell2' } }],
  ['cooldown', 'deny cooldown', { cooldown: { untilMs: nowMs + 1, runId: 'r1' } }],
  ['cooldown', 'allow over', { cooldown: { untilMs: nowMs, runId: 'r1' } }],
  ['relapse', 'deny relapses', { relapses: { count: 2, max: 2, windowMs: 1 } }],
  ['relapse', 'deny relapses', { relapses: { count: Number.NaN, max: 2, windowMs: 1 } }],
  ['relapse', 'allow few', { relapses: { count: 1, max: 2, windowMs: 1 } }],
  ['progress', 'deny no_progress', { lastFailed: { runId: 'r1', mark: 'f:4' }, action: marked('f:4') }],
  ['progress', 'allow moved', { lastFailed: { runId: 'r1', mark: 'f:4' }, action: marked('f:5') }],
  ['progress', 'unknown mark_unknown', { lastFailed: { runId: 'r1', mark: 'f:4' }, action: marked(undefined) }],
  ['progress', 'unknown mark_unknown', { lastFailed: { runId: 'r1', mark: 'f:4' }, action: undefined }],
  ['progress', 'allow no_mark', { lastFailed: { runId: 'r1', mark: undefined }, action: marked('f:5') }],
  ['progress', 'deny chain_over', { link: { ...link, over: true } }],
  ['budget', 'deny spent', budget(3, 3)],
  ['budget', 'deny spent', budget(0, 0)],
  ['budget', 'deny spent', budget(Number.NaN, 3)],
  ['budget', 'allow left', budget(2, 3)],
  ['budget', 'unknown no_budget', { budgets: [] }],
  ['approval', 'deny needs_approval', { policies: asking }],
  ['approval', 'deny needs_approval', { policies: asking, approval: approval('requested') }],
  ['approval', 'deny needs_approval', { policies: asking, approval: approval('expired') }],
  ['approval', 'deny needs_approval', { policies: asking, approval: approval('void') }],
  ['approval', 'deny needs_approval', { policies: asking, approval: approval('used') }],
  ['approval', 'deny needs_approval', { policies: asking, approval: approval('approved', nowMs) }],
  ['approval', 'deny rejected', { policies: asking, approval: approval('rejected') }],
  ['approval', 'allow approved', { policies: asking, approval: approval('approved') }],
  ['approval', 'deny needs_approval', { window: outside }],
  ['approval', 'allow approved', { window: outside, approval: approval('approved') }],
  ['approval', 'unknown window_unknown', { window: { inside: unknown('no clock'), why: '' } }],
  ['approval', 'allow not_needed', { approval: approval('expired') }],
  ['approval', 'deny rejected', { approval: approval('rejected') }],
  ['approval', 'deny rejected', { window: outside, approval: approval('rejected') }],
];

for (const [name, expected, change] of table) {
  test(`guard ${name}: ${expected} with ${JSON.stringify(change).slice(0, 120)}`, () => {
    const verdict = guardNamed(name).decide({ ...permitted, ...change });
    assert.equal(`${verdict.is} ${verdict.code}`, expected);
  });
}

test('every guard allows the common situation, and has a row that it does not allow', () => {
  for (const guard of guards) {
    assert.equal(guard.decide(permitted).is, 'allow', guard.name);
    assert.ok(
      table.some(([name, expected]) => name === guard.name && !expected.startsWith('allow')),
      guard.name,
    );
  }
});

function guardNamed(name: string): (typeof guards)[number] {
  const guard = guards.find((g) => g.name === name);
  assert.ok(guard, name);
  return guard;
}

/**
 * One situation per guard that this guard alone refuses: with the guard replaced by one that always allows, the
 * remediator acts. So no guard is dead code behind another one.
 */
const onlyBy: Readonly<Record<string, Partial<PlanInput>>> = {
  clock: { clock: unknown('jumped') },
  switch: { switches: { ...switches, file: 'unreadable' } },
  self: { self: { ...self, others: { asked: 3, answering: 0 } } },
  mode: { link: undefined },
  identity: { episode: { ...episode, labels: { ...episode.labels, cluster: 'staging' } } },
  alert: { episode: { ...episode, alertState: 'silenced' } },
  latch: { latches: [latch] },
  maintenance: { maintenance: [{ scope: 'global', by: 'ann', reason: 'move' }] },
  owner: { action: { ...view, owner: unsure('no_socket', 'no docker socket') } },
  storm: { storm: unknown('the store does not answer') },
  dependency: { upstreams: [upstream('db1', unknown('no answer'))] },
  evidence: { symptom: { looks: 1, heldMs: 0, minimumMs: 3_000 } },
  already_fixed: { action: { ...view, alreadyFixed: deny('healthy', 'data moves') } },
  preconditions: { action: { ...view, preconditions: { binlog: deny('purged', 'gone') } } },
  active_run: { activeRun: { ...run, target: 'maxwell2' } },
  cooldown: { cooldown: { untilMs: nowMs + 1, runId: 'r1' } },
  relapse: { relapses: { count: 2, max: 2, windowMs: 1 } },
  progress: { lastFailed: { runId: 'r1', mark: 'f:4' }, action: marked('f:4') },
  budget: budget(3, 3),
  approval: { window: outside },
};

for (const guard of guards) {
  test(`mutant: without ${guard.name} its situation is acted upon`, () => {
    const input = { ...permitted, ...onlyBy[guard.name] };
    const decided = plan(input);
    assert.notEqual(decided.verdict, 'act');
    assert.equal(decided.reasonKey.split(':')[0], guard.name);
    const mutants = guards.map((g) => (g === guard ? { ...g, decide: () => allow('mutant', '') } : g));
    assert.equal(plan(input, mutants).verdict, 'act');
  });
}
