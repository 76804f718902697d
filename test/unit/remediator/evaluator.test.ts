// From an open episode to a stored decision, to what people are told, and to a run: with a real store and a fake service.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { deny, unsure } from '../../../remediator/guard.ts';
import { candidatesOf } from '../../../remediator/identify.ts';
import { inventoryWith, policy, symptomMs, withBench, type Bench } from './evaluator-bench.ts';

test('acts on the second look that says the same, not on the first', () =>
  withBench(async (b) => {
    const id = await b.fire();
    const first = await b.look(id);
    assert.equal(first.reasonKey, 'self:starting');
    assert.deepEqual(await b.runs(), []);
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).verdict, 'act');
    await b.evaluator.idle();
    const [run] = await b.runs();
    assert.equal(run?.outcome, 'verified');
    assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
    assert.equal((await b.look(id)).reasonKey, 'already_fixed:healthy');
    assert.deepEqual(await b.told(), []);
  }));

test('a symptom that changes between two looks starts over', () =>
  withBench(async (b) => {
    const id = await b.fire();
    await b.look(id);
    b.service.running = 5; // another incarnation: other facts
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).reasonKey, 'evidence:not_held_yet');
    b.service.isSick = false;
    assert.equal((await b.look(id)).reasonKey, 'already_fixed:healthy');
    b.service.isSick = true;
    b.clock.aheadMs += symptomMs;
    assert.equal((await b.look(id)).reasonKey, 'evidence:not_held_yet');
  }));

const unanswered: readonly (readonly [
  what: string,
  prepare: (b: Bench) => unknown,
  expected: string,
  told: readonly string[],
])[] = [
  ['observe', (b) => void (b.policies = [{ ...policy, mode: 'observe' }]), 'would_act mode:observe', []],
  [
    'approve',
    (b) => void (b.policies = [{ ...policy, mode: 'approve' }]),
    'hold approval:needs_approval',
    ['RemediationNeedsApproval'],
  ],
  ['no policy', (b) => void (b.policies = [{ ...policy, match: { alertname: 'Other' } }]), 'refuse mode:no_policy', []],
  ['the switch file', (b) => writeFile(join(b.dir, 'PAUSED'), ''), 'refuse switch:paused_by_file', []],
  [
    'the switch in the store',
    (b) => b.store.setPause({ scope: 'global', paused: true, by: 'ann', reason: 'x', setMs: 1, untilMs: undefined }),
    'refuse switch:paused',
    [],
  ],
  [
    'a precondition',
    (b) => void (b.service.precondition = deny('binlog_purged', 'gone')),
    'refuse preconditions:binlog_purged',
    ['RemediationRefused'],
  ],
  [
    'an unknown fact',
    (b) => void (b.service.precondition = unsure('rows_unknown', '?')),
    'hold evidence:rows_unknown',
    [],
  ],
  [
    'an upstream that is down',
    (b) => void (b.world.upstreams = () => Promise.resolve([{ target: 'db1', up: known(false, 1), why: 'refused' }])),
    'hold dependency:upstream_down',
    [],
  ],
  [
    'an upstream that is not seen',
    (b) => void (b.world.upstreams = () => Promise.resolve([{ target: 'db1', up: unknown('no answer'), why: '' }])),
    'hold dependency:upstream_unknown',
    [],
  ],
  [
    'a fault of our own',
    (b) => void (b.world.upstreams = () => Promise.reject(new Error('bug'))),
    'hold evaluation:fault',
    [],
  ],
];
for (const [what, prepare, expected, told] of unanswered) {
  test(`${what}: ${expected}, nothing is done`, () =>
    withBench(async (b) => {
      await prepare(b);
      const id = await b.fire();
      const decision = await b.lookTwice(id);
      assert.equal(`${decision.verdict} ${decision.reasonKey}`, expected);
      assert.deepEqual(await b.told(), told);
      await b.look(id); // the same reason again is not told again
      assert.deepEqual(await b.told(), told);
      await b.evaluator.idle();
      assert.deepEqual(await b.runs(), []);
      assert.deepEqual(b.service.witness, []);
    }));
}

test('an unknown that lasts is told', () =>
  withBench(async (b) => {
    b.service.precondition = unsure('rows_unknown', 'no grant');
    const id = await b.fire();
    await b.lookTwice(id);
    b.clock.aheadMs += 61_000;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    await b.look(id);
    assert.deepEqual(await b.told(), ['RemediationRefused']);
  }));

test('a failed run is told, and cools down', () =>
  withBench(async (b) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await b.evaluator.idle();
    assert.equal((await b.runs())[0]?.outcome, 'failed');
    assert.deepEqual(await b.told(), ['RemediationFailed']);
    b.service.isSick = true;
    const decision = await b.lookTwice(id);
    assert.equal(decision.reasonKey, 'cooldown:cooldown');
  }));

test('the budget ends after so many runs', () =>
  withBench(async (b) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    for (let i = 0; i < policy.pace.maxRuns; i++) {
      b.service.isSick = true;
      await b.lookTwice(id);
      await b.evaluator.idle();
      b.clock.aheadMs += policy.pace.cooldownMs + 1;
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    }
    b.service.isSick = true;
    assert.equal((await b.lookTwice(id)).reasonKey, 'budget:spent');
    assert.equal((await b.runs()).length, policy.pace.maxRuns);
  }));

test('two alerts of one target: one run; of two targets: one at a time', () =>
  withBench(async (b) => {
    let release: (() => void) | undefined;
    b.service.onCall = (step) =>
      step === 'stop' ? new Promise<void>((resolve) => void (release = resolve)) : undefined;
    const isCalled = (): boolean => release !== undefined;
    try {
      assert.equal((await b.lookTwice(await b.fire())).verdict, 'act');
      await waitFor(isCalled, { intervalMs: 5, what: 'the call of stop' });
      // Only now: an evaluation takes whatever is due, so with all three open another one might have been the first.
      const two = await b.fire({ alertname: 'ServiceSick', target: 'svc1', extra: 'x' });
      const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
      assert.equal((await b.lookTwice(two)).reasonKey, 'active_run:active_run');
      assert.equal((await b.lookTwice(other)).reasonKey, 'active_run:busy_elsewhere');
    } finally {
      release?.();
    }
    await b.evaluator.idle();
    assert.equal((await b.runs()).length, 1);
  }));

test('an episode that changes between the decision and the claim: not acted upon', () =>
  withBench(async (b) => {
    const id = await b.fire();
    await b.look(id);
    b.clock.aheadMs += symptomMs;
    const { recordDecision } = b.store;
    // what a resolved notification, or another evaluator, does in between
    Object.assign(b.store, {
      recordDecision: async (...args: Parameters<typeof recordDecision>) => {
        await b.store.setAlertState(id, 'absent', '', b.clock.nowMs() + 1);
        return await recordDecision(...args);
      },
    });
    assert.equal((await b.look(id)).verdict, 'act');
    await b.evaluator.idle();
    assert.deepEqual(await b.runs(), []);
    assert.deepEqual(b.service.witness, []);
  }));

test('every guard of every evaluation is counted', () =>
  withBench(async (b) => {
    await b.look(await b.fire());
    assert.equal(b.guards.length, 20);
    assert.ok(b.guards.includes('evidence:unknown'));
  }));

test('candidates: the exact label target, else only a hint', () => {
  const inventory = inventoryWith(['svc1', 'svc2']);
  const names = (labels: Record<string, string>): string[] =>
    candidatesOf(inventory, labels).map((c) => `${c.name} by ${c.by}`);
  assert.deepEqual(names({ target: 'svc1' }), ['svc1 by target']);
  assert.deepEqual(names({ target: 'svc9', instance: 'svc1:1' }), []);
  assert.deepEqual(names({ instance: 'svc1:1' }), ['svc1 by instance']);
  assert.deepEqual(names({ instance: 'svc2', target: '' }), ['svc2 by instance']);
  assert.deepEqual(names({}), []);
});

test('a target that does not answer holds up the look at no other one', () =>
  withBench(async (b) => {
    const slow = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    b.clock.aheadMs += 5; // so that svc1 is due first
    const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    let release: (() => void) | undefined;
    const answer = b.world.upstreams;
    let asked = 0;
    b.world.upstreams = async () => {
      asked += 1;
      if (asked === 1) await new Promise<void>((resolve) => void (release = resolve));
      return await answer();
    };
    const ticking = b.evaluator.tick();
    try {
      await waitFor(async () => (await b.store.decisionsOf(other)).length > 0, { intervalMs: 5, what: 'its decision' });
      assert.deepEqual(await b.store.decisionsOf(slow), []);
    } finally {
      release?.();
    }
    await ticking;
    assert.equal((await b.store.decisionsOf(slow)).length, 1);
  }));
