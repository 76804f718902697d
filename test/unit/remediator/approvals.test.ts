// Trust over time: approvals and what voids them, demotion, chains, progress, budgets by scope.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Action } from '../../../remediator/action.ts';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import type { Target } from '../../../exporter/config/inventory.ts';
import { allow, type Policy, type Verdict } from '../../../remediator/guard.ts';
import type { Approval, Decision } from '../../../remediator/model.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { changesIn } from '../../../remediator/shown-plan.ts';
import { inventoryWith, policy, withBench, type Bench, type World } from './evaluator-bench.ts';
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

/** What may become another plan between the yes and the run. */
interface Seen {
  owner: Verdict | undefined;
  undo: string;
  readonly targets: Map<string, Target>;
}

const voiding: readonly (readonly [what: string, change: (b: Bench, seen: Seen) => void, told: RegExp])[] = [
  ['another incarnation', (b) => void (b.service.running = 7), /facts\.seq was 1, is 7$/],
  [
    'a policy with other limits',
    (b) => void (b.policies = [{ ...asking, pace: { ...asking.pace, maxRuns: 2 } }]),
    /policy\.pace\.maxRuns was 3, is 2$/,
  ],
  [
    'another owner',
    (_b, seen) => void (seen.owner = allow('unit', 'systemd')),
    /owner was "allow: none", is "allow: unit"$/,
  ],
  ['other steps', (_b, seen) => void (seen.undo = 'left.down'), /steps\.0\.undo was "start\.back", is "left\.down"$/],
  [
    'another machine under the name of the target',
    (_b, { targets }) => {
      const target = targets.get('svc1');
      assert.ok(target);
      targets.set('svc1', { ...target, address: { host: '10.0.0.9' } });
    },
    /target\.address was null, is \{"host":"10\.0\.0\.9"\}$/,
  ],
];
for (const [what, change, told] of voiding) {
  test(`${what} voids an approval, and asks anew with the reason`, () => {
    const seen: Seen = { owner: allow('none', 'nobody'), undo: 'start.back', targets: new Map() };
    return withBench(
      async (b) => {
        b.policies = [asking];
        const id = await b.fire();
        await b.lookTwice(id);
        const before = await decide(b, 'approved');
        change(b, seen);
        const decision = await b.lookTwice(id);
        assert.equal(decision.reasonKey, 'approval:needs_approval');
        assert.match(decision.because, /; the yes of ann was for another plan: /);
        assert.match(decision.because, told);
        assert.equal((await b.store.approval(before.id))?.state, 'void');
        const after = await asked(b);
        assert.deepEqual([after.state, after.id === before.id], ['requested', false]);
        const [open, ...more] = (await b.store.escalationsOf(id)).filter((e) => e.state === 'open');
        assert.match(open?.annotations['description'] ?? '', /was for another plan/);
        assert.deepEqual([open?.labels['approval'], more.length], [after.id, 0]);
        assert.match((await b.look(id)).because, told, 'as long as it is asked');
        await settled(b);
        assert.deepEqual(b.service.witness, []);
        // a yes to the new plan is one
        await decide(b, 'approved');
        assert.equal((await b.look(id)).verdict, 'act');
      },
      (b) => {
        const inventory = inventoryWith(['svc1', 'svc2']);
        for (const [name, target] of inventory.targets) seen.targets.set(name, target);
        const inner = fakeAction(b.service);
        const action: Action<World> = {
          ...inner,
          look: async (...args) => ({ ...(await inner.look(...args)), ...(seen.owner && { owner: seen.owner }) }),
          steps: (...args) =>
            inner.steps(...args).map((s) => {
              const { compensate } = s;
              return compensate === 'none' ? s : { ...s, compensate: { ...compensate, name: seen.undo } };
            }),
        };
        return { inventory: { ...inventory, targets: seen.targets }, actions: [action] };
      },
    );
  });
}

test('a long list of changes is cut, with how many more there are', () => {
  const many = (n: number): Readonly<Record<string, number>> =>
    Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, n]));
  assert.deepEqual(changesIn({ a: many(1), b: [1, 2] }, { a: many(1), b: [1, 3] }), ['b.1 was 2, is 3']);
  assert.deepEqual(changesIn({ a: 1 }, {}), ['a was 1, is not there']);
  const changes = changesIn(many(1), many(2));
  assert.deepEqual([changes.length, changes.at(-1)], [6, 'and 4 more']);
});

test('a question whose plan changes is another alert, once for each change, and the one before ends', () =>
  withBench(async (b) => {
    b.policies = [asking];
    const id = await b.fire();
    await b.lookTwice(id);
    const questions = async (): Promise<readonly string[]> =>
      (await b.store.escalationsOf(id)).map((e) => `${e.state} ${e.labels['approval'] ?? ''}`);
    const first = await asked(b);
    assert.deepEqual(await questions(), [`open ${first.id}`]);
    // Needs no second look: the facts are those of before. Nobody has answered yet.
    b.policies = [{ ...asking, soakMs: 31 }];
    assert.match(
      (await b.look(id)).because,
      /what was asked before is another plan now: policy\.soakMs was 30, is 31$/,
    );
    const second = await asked(b);
    const both = [`ending ${first.id}`, `open ${second.id}`];
    assert.deepEqual((await questions()).toSorted(), both);
    const outbox = await b.store.escalationsOf(id);
    await b.look(id);
    await b.lookTwice(id);
    assert.deepEqual(await b.store.escalationsOf(id), outbox, 'not told again by every look');
    // Facts that only flicker bring the same question back.
    b.service.running = 7;
    await b.look(id);
    b.service.running = 1;
    await b.lookTwice(id);
    assert.deepEqual((await questions()).toSorted(), both);
  }));

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
