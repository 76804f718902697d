// What earlier runs and many targets at once say: pure, with made-up runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueDemotion, lastFailedOf, linkOf, relapsesOf } from '../../../remediator/past.ts';
import type { Episode, Run, Storm } from '../../../remediator/model.ts';
import { maintenanceNow, whyLowered } from '../../../remediator/restraint.ts';
import { nextStorm, weatherOf } from '../../../remediator/storms.ts';
import { episode, policy } from './scenario.ts';

const minute = 60_000;
const day = 86_400_000;

function run(claimedMs: number, outcome: Run['outcome'], more: Partial<Run> = {}): Run {
  return {
    ...{ id: `r${claimedMs}`, episodeId: 'e0', attempt: 1, decisionId: 'd', action: policy.action, planHash: '' },
    ...{ policy: { name: policy.name }, params: {}, target: 'maxwell1', actor: 'auto', fence: 1, state: 'ended' },
    ...{ claimedMs, firstMutationMs: claimedMs, endedMs: claimedMs + minute, cooldownUntilMs: undefined, outcome },
    ...{ because: undefined, evidencePath: undefined },
    ...more,
  };
}

test('a relapse: a verified run, and trouble again within the time that the policy says', () => {
  const soon = run(0, 'verified');
  const late = run(100 * minute, 'verified');
  assert.deepEqual(relapsesOf([soon, run(10 * minute, 'failed')], policy, undefined), [minute]);
  assert.deepEqual(relapsesOf([soon, late], policy, undefined), []);
  assert.deepEqual(relapsesOf([run(0, 'failed'), run(5 * minute, 'verified')], policy, undefined), []);
  const other = run(10 * minute, 'verified', { policy: { name: 'other' } });
  assert.deepEqual(relapsesOf([soon, other], policy, undefined), []);
  const open = (e: Partial<Episode>, nowMs: number, isBroken = true): Parameters<typeof relapsesOf>[2] => ({
    ...{ episode: { ...episode, ...e }, nowMs, isBroken },
  });
  assert.deepEqual(relapsesOf([soon], policy, open({ id: 'e1', firstSeenMs: 15 * minute }, 60 * minute)), [minute]);
  assert.deepEqual(relapsesOf([soon], policy, open({ id: 'e1', firstSeenMs: 17 * minute }, 60 * minute)), []);
  assert.deepEqual(relapsesOf([soon], policy, open({ id: 'e0', firstSeenMs: 0 }, 15 * minute)), [minute]);
  assert.deepEqual(relapsesOf([soon], policy, open({ id: 'e0', firstSeenMs: 0 }, 60 * minute)), []);
  assert.deepEqual(relapsesOf([soon], policy, open({ id: 'e0' }, 15 * minute, false)), []);
});

test('demotion: two relapses, or one outcome that nobody knows, within seven days and since it was lifted', () => {
  const due = (runs: readonly Run[], relapses: readonly number[], lifted: number | undefined, nowMs: number) =>
    dueDemotion(policy, 'maxwell1', runs, relapses, lifted, nowMs)?.mode;
  assert.equal(due([], [1, 2], undefined, day), 'approve');
  assert.equal(due([], [2], undefined, day), undefined);
  assert.equal(due([], [1, 8 * day], undefined, 8 * day), undefined);
  assert.equal(due([], [1, 2], 3, day), undefined);
  assert.equal(due([], [1, 2, 4, 5], 3, day), 'approve');
  const lost = run(0, 'outcome_unknown');
  assert.equal(due([lost], [], undefined, day), 'approve');
  assert.equal(due([lost], [], 2 * minute, day), undefined);
  assert.equal(due([lost], [], undefined, 8 * day), undefined);
  assert.equal(due([run(0, 'outcome_unknown', { policy: { name: 'other' } })], [], undefined, day), undefined);
});

test('the chain: one link further after each failed run; without one the same again', () => {
  const chained = { ...policy, chain: [{ action: 'b', params: { x: 1 }, mode: 'approve' as const }] };
  const at = (failed: number, of = chained) => linkOf(of, failed, () => 'auto');
  const seen = [0, 1, 2].map((n) => at(n)).map(({ action, position, over }) => [action, position, over]);
  assert.deepEqual(seen, [
    ['maxwell.restart', 0, false],
    ['b', 1, false],
    ['b', 1, true],
  ]);
  assert.equal(at(1).mode, 'approve');
  assert.deepEqual([at(5, { ...policy, chain: [] }).position, at(5, { ...policy, chain: [] }).over], [0, false]);
});

test('progress is measured from the last attempt of the same action that did something and failed', () => {
  const marked = (ms: number, outcome: Run['outcome'], mark: string, action = policy.action): Run =>
    run(ms, outcome, { action, policy: { name: policy.name, progressMark: mark } });
  assert.deepEqual(lastFailedOf([marked(1, 'failed', 'a'), marked(2, 'refused', 'b')], policy.action), {
    ...{ runId: 'r1', mark: 'a' },
  });
  assert.equal(lastFailedOf([marked(1, 'failed', 'a'), marked(2, 'verified', 'b')], policy.action), undefined);
  assert.equal(lastFailedOf([marked(1, 'failed', 'a', 'other')], policy.action), undefined);
  assert.deepEqual(lastFailedOf([run(3, 'failed')], policy.action), { runId: 'r3', mark: undefined });
});

test('a run of its own needs a policy that acts by itself, an approved one a policy that asks; more changes nothing', () => {
  const own = { policy: { name: policy.name }, action: policy.action, actor: 'auto', target: 'maxwell1' };
  const allowed = { ...own, actor: 'human:ann' };
  const asking = [{ ...policy, mode: 'approve' as const }];
  const demoted = [{ policy: policy.name, target: 'maxwell1', mode: 'approve' as const, reason: 'x', setMs: 1 }];
  const rows = [
    [own, [policy], [], undefined],
    [own, [{ ...policy, pace: { ...policy.pace, maxRuns: 99 }, params: { x: 1 } }], [], undefined],
    [own, asking, [], /no longer acts by itself/],
    [own, [policy], demoted, /no longer acts by itself/],
    [own, [policy], demoted.map((d) => ({ ...d, target: 'maxwell2' })), undefined],
    [own, [], [], /is there no more/],
    [own, [{ ...policy, action: 'other' }], [], /no longer has the action/],
    [
      { ...own, action: 'b' },
      [{ ...policy, chain: [{ action: 'b', params: {}, mode: 'auto' as const }] }],
      [],
      undefined,
    ],
    [
      { ...own, action: 'b' },
      [{ ...policy, chain: [{ action: 'b', params: {}, mode: 'approve' as const }] }],
      [],
      /itself/,
    ],
    [allowed, asking, demoted, undefined],
    [allowed, [{ ...policy, mode: 'observe' as const }], [], /only observes now/],
  ] as const;
  for (const [of, policies, demotions, expected] of rows) {
    const why = whyLowered(of, policies, demotions);
    if (expected === undefined) assert.equal(why, undefined);
    else assert.match(why ?? '', expected);
  }
});

test('a storm needs both thresholds, ignores what is not covered, and is left after unbroken calm', () => {
  const limits = { minTargets: 2, percent: 40, windowMs: 10 * minute, cooldownMs: minute };
  const names = (n: number): string[] => Array.from({ length: n }, (_, i) => `t${i}`);
  const weather = (n: number, of: number, truncated: readonly string[] = []) => ({ firing: names(n), truncated, of });
  const state = (n: number, of: number): string => nextStorm(undefined, weather(n, of), limits, 1).state;
  assert.deepEqual(
    [state(2, 5), state(1, 1), state(2, 6), state(2, 0), state(0, 5)],
    [...['active', 'calm', 'calm', 'calm', 'calm']],
  );
  assert.equal(nextStorm(undefined, weather(1, 9, ['t0']), limits, 1).state, 'active');
  let storm: Storm = nextStorm(undefined, weather(2, 5), limits, 0);
  const step = (n: number, nowMs: number): string => {
    storm = nextStorm(storm, weather(n, 5), limits, nowMs);
    return `${storm.state} ${storm.cooldownUntilMs ?? '-'}`;
  };
  assert.deepEqual(
    [step(1, 10), step(1, 20), step(2, 30), step(1, 40), step(1, 40 + minute - 1), step(1, 40 + minute)],
    ['active 60010', 'active 60010', 'active -', 'active 60040', 'active 60040', 'calm -'],
  );
});

test('the weather: distinct covered targets with an open episode that was seen firing lately', () => {
  const at = 100 * minute;
  const one = (target: string, more: Partial<Episode> = {}): Episode => ({
    ...{ ...episode, id: `${target}${JSON.stringify(more)}`, labels: { target }, lastFiringMs: at, alertSeenMs: at },
    ...more,
  });
  const seen = weatherOf(
    [
      one('a'),
      one('a', { ident: 'x' }),
      one('b', { alertState: 'unreachable' }),
      one('c', { alertState: 'silenced' }),
      one('d', { alertState: 'absent' }),
      one('e', { lastFiringMs: 0, alertSeenMs: 0 }),
      one('z', { truncated: true }),
      one('f', { truncated: true }),
    ],
    new Set(['a', 'b', 'c', 'd', 'e', 'f']),
    10 * minute,
    at,
  );
  assert.deepEqual(seen, { firing: ['a', 'b', 'f'], truncated: ['f', 'z'], of: 6 });
});

test('maintenance: of the store by ledger time, recurring by the wall, and only on what concerns the target', () => {
  const stored = (scope: string, startsMs: number, endsMs: number) => ({
    ...{ id: scope, scope, startsMs, endsMs, owner: 'ann', reason: 'r' },
  });
  const everyDay = { days: [1, 2, 3, 4, 5, 6, 7], fromMinute: 60, toMinute: 120, timezone: 'UTC' };
  const recurring = [
    { scope: 'global', windows: [everyDay], reason: 'backup' },
    { scope: 'target:b', windows: [everyDay], reason: 'backup' },
  ];
  const scopes = ['global', 'target:a', 'pipeline:p'];
  const at = (wall: string) => ({ nowMs: 50, wallMs: Date.parse(wall) });
  const found = maintenanceNow(
    [stored('pipeline:p', 0, 51), stored('target:a', 51, 99), stored('target:a', 0, 50), stored('target:b', 0, 99)],
    recurring,
    scopes,
    at('2026-11-21T01:30:00Z'),
  );
  assert.deepEqual(found, [
    { scope: 'pipeline:p', by: 'ann', reason: 'r' },
    { scope: 'global', by: 'policies.yml (daily 01:00-02:00 UTC)', reason: 'backup' },
  ]);
  assert.deepEqual(maintenanceNow([], recurring, scopes, at('2026-11-21T02:00:00Z')), []);
});
