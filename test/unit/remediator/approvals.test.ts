// Trust over time: approvals and what voids them, demotion, chains, progress, budgets by scope.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Action } from '../../../remediator/action.ts';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import type { Policy } from '../../../remediator/guard.ts';
import type { Approval, Decision } from '../../../remediator/model.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

const asking: Policy = { ...policy, mode: 'approve', approval: { role: 'dba', expiresMs: 1_800_000 } };

async function approvals(b: Bench): Promise<readonly Approval[]> {
  return b.store.approvals({ nowMs: b.clock.nowMs(), limit: 10 });
}

async function asked(b: Bench): Promise<Approval> {
  const [newest] = await approvals(b);
  assert.ok(newest);
  return newest;
}

async function decide(b: Bench, verdict: 'approved' | 'rejected'): Promise<Approval> {
  const approval = await asked(b);
  assert.equal((await b.store.decideApproval(approval.id, verdict, 'ann', 'why', b.clock.nowMs())).decided, true);
  return approval;
}

async function settled(b: Bench): Promise<void> {
  await b.evaluator.idle();
}

test('a policy that asks: one question with its command; a yes makes one run, and is used up', () =>
  withBench(async (b) => {
    b.policies = [asking];
    const id = await b.fire();
    assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
    await b.look(id);
    assert.equal((await approvals(b)).length, 1);
    const [message] = await b.store.escalationsOf(id);
    const { id: approvalId, role, state } = await asked(b);
    assert.deepEqual([role, state], ['dba', 'requested']);
    assert.equal(message?.annotations['command'], `pipemedic-remediator approve ${approvalId}`);
    assert.deepEqual(b.service.witness, []);

    await decide(b, 'approved');
    const twice = await b.store.decideApproval(approvalId, 'approved', 'bob', '', b.clock.nowMs());
    assert.equal(twice.decided, false);
    assert.equal((await b.look(id)).verdict, 'act');
    await settled(b);
    const [run, ...more] = await b.runs();
    assert.deepEqual([run?.actor, run?.outcome, more.length], ['human:ann', 'verified', 0]);
    assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
    const used = await b.store.approval(approvalId);
    assert.deepEqual([used?.state, used?.usedByRun], ['used', run?.id]);
    assert.ok((await b.store.escalationsOf(id)).every((e) => e.state !== 'open'));

    // a yes is for one run only
    b.service.isSick = true;
    b.clock.aheadMs += policy.pace.cooldownMs + 1;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
    assert.notEqual((await asked(b)).id, approvalId);
    assert.equal((await b.runs()).length, 1);
  }));

/** How far the data lags; moves from look to look and is no evidence. */
function laggingAction(b: Bench): Action<World> {
  const inner = fakeAction(b.service);
  let lag = 0;
  return {
    ...inner,
    look: async (...args) => {
      const look = await inner.look(...args);
      return { ...look, seen: { lag: ++lag } };
    },
  };
}

test('what moves does not void an approval', () =>
  withBench(
    async (b) => {
      b.policies = [asking];
      const id = await b.fire();
      await b.lookTwice(id);
      const before = await decide(b, 'approved');
      assert.equal((await b.look(id)).verdict, 'act');
      await settled(b);
      assert.equal((await b.store.approval(before.id))?.state, 'used');
    },
    (b) => ({ actions: [laggingAction(b)] }),
  ));

const voiding: readonly (readonly [what: string, change: (b: Bench) => void])[] = [
  ['another incarnation', (b) => void (b.service.running = 7)],
  ['a policy with other limits', (b) => void (b.policies = [{ ...asking, pace: { ...asking.pace, maxRuns: 2 } }])],
];
for (const [what, change] of voiding) {
  test(`${what} voids an approval, and asks anew`, () =>
    withBench(async (b) => {
      b.policies = [asking];
      const id = await b.fire();
      await b.lookTwice(id);
      const before = await decide(b, 'approved');
      change(b);
      assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
      assert.equal((await b.store.approval(before.id))?.state, 'void');
      const after = await asked(b);
      assert.deepEqual([after.state, after.id === before.id], ['requested', false]);
      await settled(b);
      assert.deepEqual(b.service.witness, []);
    }));
}

test('a no holds until the facts change; a question that nobody answers is asked anew', () =>
  withBench(async (b) => {
    b.policies = [asking];
    const id = await b.fire();
    await b.lookTwice(id);
    b.clock.aheadMs += asking.approval.expiresMs + 1;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    assert.equal((await b.look(id)).reasonKey, 'approval:needs_approval');
    assert.deepEqual((await approvals(b)).map((a) => a.state).toSorted(), ['expired', 'requested']);
    await decide(b, 'rejected');
    const refused = await b.look(id);
    assert.deepEqual([refused.verdict, refused.reasonKey], ['refuse', 'approval:rejected']);
    assert.ok((await b.store.escalationsOf(id)).every((e) => e.state !== 'open'));
    b.clock.aheadMs += 10 * asking.approval.expiresMs;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    assert.equal((await b.look(id)).reasonKey, 'approval:rejected');
    b.service.running = 9;
    assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
    await settled(b);
    assert.deepEqual(b.service.witness, []);
  }));

test('outside its hours a policy asks; a yes lets it act there', () =>
  withBench(async (b) => {
    // the day before in UTC: never now
    const day = ((new Date(b.clock.wallMs()).getUTCDay() + 5) % 7) + 1;
    b.policies = [{ ...policy, windows: [{ days: [day], fromMinute: 0, toMinute: 60, timezone: 'UTC' }] }];
    const id = await b.fire();
    assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
    await decide(b, 'approved');
    assert.equal((await b.look(id)).verdict, 'act');
    await settled(b);
    assert.deepEqual(
      (await b.runs()).map((r) => [r.actor, r.outcome]),
      [['human:ann', 'verified']],
    );
  }));

/** Sick again, with the cooldown over. */
async function again(b: Bench, id: string): Promise<Decision> {
  b.service.isSick = true;
  b.clock.aheadMs += b.policies[0]?.pace.cooldownMs ?? 0;
  b.clock.aheadMs += 15_001;
  await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
  const decision = await b.lookTwice(id);
  await settled(b);
  return decision;
}

test('two relapses cost a policy its right to act by itself, over reloads, until a person gives it back', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRelapses: 9, maxRuns: 9 } }];
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    assert.equal((await again(b, id)).verdict, 'act');
    const third = await again(b, id);
    assert.equal(third.reasonKey, 'approval:needs_approval');
    assert.match(third.trace.find((g) => g.guard === 'mode')?.because ?? '', /came back 2 times/);
    assert.deepEqual(
      (await b.store.demotions()).map((d) => [d.policy, d.target, d.mode]),
      [[policy.name, 'svc1', 'approve']],
    );
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRelapses: 99, maxRuns: 99 } }];
    assert.equal((await again(b, id)).reasonKey, 'approval:needs_approval');
    assert.equal((await b.runs()).length, 2);
    await b.store.liftDemotion(policy.name, 'svc1', 'ann', 'mended', b.clock.nowMs());
    assert.equal((await again(b, id)).verdict, 'act');
    assert.deepEqual(
      (await b.runs()).map((r) => r.outcome),
      ['verified', 'verified', 'verified'],
    );
  }));

test('too many relapses within the window: repairing is no remedy', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRelapses: 1 } }];
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    assert.equal((await again(b, id)).reasonKey, 'relapse:relapses');
    assert.equal((await b.runs()).length, 1);
    assert.deepEqual(await b.told(), ['RemediationRefused']);
  }));

test('one outcome that nobody knows: a latch, and a policy that asks from then on', () =>
  withBench(async (b) => {
    b.service.answers['start'] = ['lost'];
    b.service.onCall = (step) => {
      if (step === 'start') b.service.seen = 'unknown';
    };
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    assert.equal((await b.runs())[0]?.outcome, 'outcome_unknown');
    b.service.seen = 'ok';
    b.service.onCall = undefined;
    b.service.running = 5;
    assert.equal((await again(b, id)).reasonKey, 'latch:latched');
    const [latch] = await b.store.latches();
    assert.ok(latch);
    await b.store.clearLatch(latch.id, 'ann', 'looked at it', b.clock.nowMs());
    assert.equal((await again(b, id)).reasonKey, 'approval:needs_approval');
    assert.equal((await b.runs()).length, 1);
  }));

function chained(b: Bench): Pick<EvaluatorDeps<World>, 'actions'> {
  const first = fakeAction(b.service);
  return { actions: [first, { ...first, name: 'fake.second' }] };
}

test('a chain: the next link after a failed run, within the same budgets; after the last one people come', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, chain: [{ action: 'fake.second', params: {}, mode: 'auto' }] }];
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    assert.equal((await again(b, id)).action, 'fake.second');
    const over = await again(b, id);
    assert.deepEqual([over.verdict, over.reasonKey], ['refuse', 'progress:chain_over']);
    assert.deepEqual(
      (await b.runs()).map((r) => [r.action, r.outcome]),
      [
        ['fake.second', 'failed'],
        ['fake.restart', 'failed'],
      ],
    );
    assert.equal(await b.store.budgetUsed('target:svc1', 0), 2);
    assert.ok((await b.told()).includes('RemediationRefused'));
  }, chained));

test('a link of the chain that asks first', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, chain: [{ action: 'fake.second', params: {}, mode: 'approve' }] }];
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    assert.equal((await again(b, id)).reasonKey, 'approval:needs_approval');
    assert.equal((await asked(b)).action, 'fake.second');
    assert.equal((await b.runs()).length, 1);
  }, chained));

test('no attempt follows a failed one that nothing has moved since', () =>
  withBench(
    async (b) => {
      b.service.dataMoves = 'no';
      const id = await b.fire();
      await b.lookTwice(id);
      await settled(b);
      assert.equal((await again(b, id)).reasonKey, 'progress:no_progress');
      mark = 'file:5';
      assert.equal((await again(b, id)).verdict, 'act');
      assert.equal((await b.runs()).length, 2);
    },
    (b) => {
      mark = 'file:4';
      const inner = fakeAction(b.service);
      return {
        actions: [{ ...inner, look: async (...args) => ({ ...(await inner.look(...args)), progressMark: mark }) }],
      };
    },
  ));
let mark = '';

test('budgets: of a policy over its targets, and of all together', () =>
  withBench(async (b) => {
    const all = defaultLimits.global;
    const policies = [{ ...policy, pace: { ...policy.pace, maxRuns: 1, cooldownMs: 1_000 } }];
    b.policies = policies;
    const one = await b.fire();
    await b.lookTwice(one);
    await settled(b);
    const two = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    const spent = async (): Promise<string> => {
      const decision = await again(b, two);
      return `${decision.reasonKey} ${decision.because.split(':').slice(0, 2).join(':')}`;
    };
    assert.match(await spent(), /^budget:spent policy:/);
    b.policies = policies.map((p) => ({ ...p, pace: { ...p.pace, maxRunsTotal: 2 } }));
    b.limits = { ...defaultLimits, global: { ...all, maxRuns: 1 } };
    assert.match(await spent(), /^budget:spent global/);
    b.limits = defaultLimits;
    assert.match(await spent(), /^act/);
    assert.deepEqual(
      (await b.runs()).map((r) => r.target),
      ['svc2', 'svc1'],
    );
  }));

test('a pause of one target holds up that one only', () =>
  withBench(async (b) => {
    const pause = { scope: 'target:svc1', paused: true, by: 'ann', reason: 'x', setMs: 1, untilMs: undefined };
    await b.store.setPause(pause);
    const one = await b.fire();
    assert.equal((await b.lookTwice(one)).reasonKey, 'switch:paused');
    const two = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    assert.equal((await b.lookTwice(two)).verdict, 'act');
    await settled(b);
    assert.deepEqual(
      (await b.runs()).map((r) => r.target),
      ['svc2'],
    );
  }));

test('other parameters void an approval: the object that the alert is about has changed', () => {
  const channels = (b: Bench): Pick<EvaluatorDeps<World>, 'actions'> => {
    const inner = fakeAction(b.service);
    return {
      actions: [
        {
          ...inner,
          objectLabels: { channel: 'channel_name' },
          params: z.strictObject({ channel: z.string(), force: z.boolean().optional() }),
          look: (target, _params, ...rest) => inner.look(target, {}, ...rest),
          steps: (target, _params, world) => inner.steps(target, {}, world),
          lock: undefined,
        },
      ],
    };
  };
  return withBench(async (b) => {
    b.policies = [asking];
    const id = await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel_name: 'a' });
    await b.lookTwice(id);
    const before = await decide(b, 'approved');
    b.policies = [{ ...asking, params: { force: true } }];
    assert.equal((await b.lookTwice(id)).reasonKey, 'approval:needs_approval');
    const [after] = await approvals(b);
    assert.notEqual(after?.paramsHash, before.paramsHash);
    assert.equal((await b.store.approval(before.id))?.state, 'void');
    // an approval of one channel is none for another: they are two incidents
    const other = await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel_name: 'b' });
    assert.equal((await b.lookTwice(other)).reasonKey, 'approval:needs_approval');
    await settled(b);
    assert.deepEqual(b.service.witness, []);
  }, channels);
});

test('scenario 6: the budget holds over a restart of the process, and its end is told', async () => {
  await withBench(async (b) => {
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRuns: 2 } }];
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await settled(b);
    await again(b, id);
    assert.equal((await b.runs()).length, 2);
    const starts = b.service.count('start');
    const restarted = b.another();
    b.service.isSick = true;
    b.clock.aheadMs += policy.pace.cooldownMs + 15_001;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    await restarted.resume();
    for (let turn = 0; turn < 3; turn++) {
      const open = await b.store.episode(id);
      await b.store.scheduleEval(id, open?.nextEvalMs, b.clock.nowMs());
      await restarted.tick();
      await restarted.idle();
      b.clock.aheadMs += 1_000;
    }
    const decision = (await b.store.decisionsOf(id)).at(-1);
    assert.equal(decision?.reasonKey, 'budget:spent');
    assert.equal(b.service.count('start'), starts);
    assert.ok((await b.told()).includes('RemediationRefused'));
  });
});
