import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { allow, deny, unsure, type PlanInput } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import type { Latch } from '../../../remediator/model.ts';
import { plan } from '../../../remediator/planner.ts';
import { episode, nowMs, permitted, policy, upstream, view } from './scenario.ts';

const latch: Latch = { id: 'l1', scope: 'maxwell1', reason: 'outcome unknown', runId: 'r1', setMs: 1 };
const run = { id: 'r1', action: 'maxwell.restart', state: 'running', target: 'maxwell1' };
const { switches } = permitted;
const [candidate = { name: '', kind: '', by: 'target' as const }] = permitted.candidates;

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
  ['mode', 'deny needs_approval', { policies: [{ ...policy, mode: 'approve' }] }],
  ['mode', 'allow auto', { policies: [policy, { ...policy, mode: 'observe' }] }],
  ['identity', 'deny no_target', { candidates: [] }],
  ['identity', 'deny ambiguous', { candidates: [candidate, { ...candidate, name: 'maxwell2' }] }],
  ['identity', 'deny by_instance_only', { candidates: [{ ...candidate, by: 'instance' }] }],
  ['identity', 'deny wrong_kind', { candidates: [{ ...candidate, kind: 'mysql' }] }],
  ['identity', 'deny wrong_kind', { kinds: [] }],
  ['identity', 'deny foreign', { episode: { ...episode, labels: { ...episode.labels, cluster: 'staging' } } }],
  ['identity', 'deny foreign', { episode: { ...episode, labels: { target: 'maxwell1' } } }],
  ['identity', 'allow one_target', { require: {} }],
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
  ['budget', 'deny spent', { budget: { used: 3, max: 3, windowMs: 1 } }],
  ['budget', 'deny spent', { budget: { used: 0, max: 0, windowMs: 1 } }],
  ['budget', 'deny spent', { budget: { used: Number.NaN, max: 3, windowMs: 1 } }],
  ['budget', 'allow left', { budget: { used: 2, max: 3, windowMs: 1 } }],
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
  mode: { policies: [{ ...policy, mode: 'observe' }] },
  identity: { episode: { ...episode, labels: { ...episode.labels, cluster: 'staging' } } },
  alert: { episode: { ...episode, alertState: 'silenced' } },
  latch: { latches: [latch] },
  dependency: { upstreams: [upstream('db1', unknown('no answer'))] },
  evidence: { symptom: { looks: 1, heldMs: 0, minimumMs: 3_000 } },
  already_fixed: { action: { ...view, alreadyFixed: deny('healthy', 'data moves') } },
  preconditions: { action: { ...view, preconditions: { binlog: deny('purged', 'gone') } } },
  active_run: { activeRun: { ...run, target: 'maxwell2' } },
  cooldown: { cooldown: { untilMs: nowMs + 1, runId: 'r1' } },
  budget: { budget: { used: 3, max: 3, windowMs: 1 } },
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
