// What must never go wrong, by name. Each asks the service itself what was done to it, and each shows that the guard it
// is about is what keeps it from going wrong: in the place of that guard, one that always allows changes the outcome.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import type { Action } from '../../../remediator/action.ts';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import { allow, type Guard } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import type { Json } from '../../../remediator/model.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { inventoryWith, policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

/** The guards, with this one replaced by one that always allows. */
function without(name: string): readonly Guard[] {
  assert.ok(guards.some((g) => g.name === name));
  return guards.map((g) => (g.name === name ? { ...g, decide: () => allow('mutant', '') } : g));
}

type Change = Partial<EvaluatorDeps<World>>;

/** The scenario with every guard, and with the one that it is about taken away. */
function scenario(
  name: string,
  guard: string,
  play: (b: Bench, isMutant: boolean) => Promise<void>,
  change: (b: { readonly dir: string }) => Change = () => ({}),
): void {
  test(name, () => withBench((b) => play(b, false), change));
  test(`${name}; mutant without ${guard}`, () =>
    withBench(
      (b) => play(b, true),
      (b) => ({ ...change(b), guards: without(guard) }),
    ));
}

scenario(
  'scenario 0: a failed attempt is tried again by its own timer, within the budget',
  'cooldown',
  async (b, isMutant) => {
    b.service.dataMoves = 'no';
    const id = await b.fire();
    await b.lookTwice(id);
    await b.evaluator.idle();
    assert.deepEqual(
      (await b.runs()).map((r) => r.outcome),
      ['failed'],
    );
    b.service.isSick = true;
    b.service.dataMoves = 'yes';
    const decision = await b.lookTwice(id);
    assert.equal(decision.reasonKey, isMutant ? 'act' : 'cooldown:cooldown');
    // no notification comes any more: time alone brings the second attempt
    b.clock.aheadMs += policy.pace.cooldownMs + 20_000;
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    for (let turn = 0; turn < 3 && (await b.runs()).length < 2; turn++) {
      await b.evaluator.tick();
      await b.evaluator.idle();
      b.clock.aheadMs += 15_000;
    }
    assert.deepEqual(
      (await b.runs()).map((r) => r.outcome),
      ['verified', 'failed'],
    );
    assert.equal(b.service.count('start'), 2);
  },
);

scenario(
  'scenario 4: of a mixed group only the target that still fires is acted upon',
  'alert',
  async (b, isMutant) => {
    const firing = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    const resolved = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    b.clock.aheadMs += 1_000;
    await b.deliver([
      { status: 'firing', labels: { alertname: 'ServiceSick', target: 'svc1' } },
      { status: 'resolved', labels: { alertname: 'ServiceSick', target: 'svc2' } },
    ]);
    const decision = await b.lookTwice(resolved);
    assert.equal(decision.reasonKey, isMutant ? 'act' : 'alert:resolved');
    await b.evaluator.idle();
    if (isMutant) return;
    assert.deepEqual(b.service.witness, []);
    assert.equal((await b.lookTwice(firing)).verdict, 'act');
    await b.evaluator.idle();
    assert.deepEqual(
      (await b.runs()).map((r) => r.target),
      ['svc1'],
    );
    assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
  },
);

test('scenario 5: a group that Alertmanager has cut is a storm: no target of it, and no other, is acted upon', async () => {
  const play = async (b: Bench, isMutant: boolean): Promise<void> => {
    const cut = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    await b.deliver([{ status: 'firing', labels: { alertname: 'ServiceSick', target: 'svc1' } }], true);
    assert.equal((await b.lookTwice(cut)).reasonKey, 'alert:truncated');
    assert.equal((await b.lookTwice(other)).reasonKey, isMutant ? 'act' : 'storm:storm');
    await b.evaluator.idle();
    // the claim asks for a storm too
    assert.deepEqual(b.service.witness, []);
    assert.deepEqual(await b.told(), ['RemediationStorm']);
  };
  await withBench((b) => play(b, false));
  await withBench(
    (b) => play(b, true),
    () => ({ guards: without('storm') }),
  );
});

scenario(
  'scenario 17: a switch that cannot be read is no permission',
  'switch',
  async (b, isMutant) => {
    const id = await b.fire();
    assert.equal((await b.lookTwice(id)).reasonKey, isMutant ? 'act' : 'switch:file_unreadable');
    await b.evaluator.idle();
    // the run asks for the switch too, before its first intent
    assert.deepEqual(
      b.service.witness.filter((w) => w !== 'unlock'),
      [],
    );
    assert.deepEqual(
      (await b.runs()).map((r) => r.outcome),
      isMutant ? ['refused'] : [],
    );
  },
  // a path below a file: neither there nor missing
  ({ dir }) => ({
    settings: { switchFile: join(dir, 'store.db', 'PAUSED'), evidenceDir: join(dir, 'evidence'), require: {} },
  }),
);

test('scenario 17: the row of the switch is missing in the store, or the store cannot be asked', () =>
  withBench(async (b) => {
    const id = await b.fire();
    b.store.pauses = () => Promise.resolve([]);
    assert.equal((await b.lookTwice(id)).reasonKey, 'switch:store_missing');
    b.store.pauses = () => Promise.reject(new Error('disk I/O error'));
    assert.equal((await b.lookTwice(id)).reasonKey, 'evaluation:fault');
    await b.evaluator.idle();
    assert.deepEqual(b.service.witness, []);
  }));

scenario(
  'scenario 18: a label that a guard needs is missing',
  'identity',
  async (b, isMutant) => {
    const id = await b.fire();
    assert.equal((await b.lookTwice(id)).reasonKey, isMutant ? 'act' : 'identity:foreign');
    await b.evaluator.idle();
    assert.deepEqual(b.service.witness, isMutant ? ['stop 1', 'start 2', 'unlock'] : []);
  },
  ({ dir }) => ({
    settings: { switchFile: join(dir, 'PAUSED'), evidenceDir: join(dir, 'evidence'), require: { cluster: 'prod' } },
  }),
);

/** An action on one channel of the target; what it was asked to look at is the witness. */
function channelAction(
  b: () => Bench,
  looked: Json[],
  channel: z.ZodType = z.string().regex(/^[a-z0-9_]{1,64}$/),
): Action<World> {
  const params = z.strictObject({ channel });
  const inner = fakeAction(b().service);
  return {
    ...inner,
    objectLabels: { channel: 'channel_name' },
    params,
    look: (target, given, world, signal) => {
      looked.push(given);
      return inner.look(target, {}, world, signal);
    },
    lock: undefined,
    steps: (target, _given, world) => inner.steps(target, {}, world),
    soak: (target, _given, world, run) => inner.soak(target, {}, world, run),
  };
}

test('scenario 18: without the label of the object the action does not even look', async () => {
  const looked: Json[] = [];
  await withBench(
    async (b) => {
      const decision = await b.lookTwice(await b.fire());
      assert.equal(decision.reasonKey, 'identity:object_missing');
      assert.deepEqual(looked, []);
      const named = await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel_name: 'ch_1' });
      assert.equal((await b.lookTwice(named)).verdict, 'act');
      await b.evaluator.idle();
      assert.deepEqual(
        (await b.runs()).map((r) => r.params),
        [{ channel: 'ch_1' }],
      );
      assert.ok(looked.length > 0 && looked.every((l) => JSON.stringify(l) === '{"channel":"ch_1"}'));
    },
    (b) => ({ actions: [channelAction(() => b, looked)] }),
  );
});

const hostile = ['$(reboot)', ';rm -rf /', '`id`', "x' OR '1'='1", 'a\nFLUSHALL', '../../etc/passwd', '🦆'];
test('scenario 20: hostile label values never reach the action', async () => {
  const looked: Json[] = [];
  await withBench(
    async (b) => {
      for (const value of hostile) {
        const id = await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel_name: value });
        assert.equal((await b.lookTwice(id)).reasonKey, 'identity:object_invalid', value);
        const target = await b.fire({ alertname: 'ServiceSick', target: value, channel_name: 'ch_1' });
        assert.equal((await b.lookTwice(target)).reasonKey, 'identity:no_target', value);
      }
      await b.evaluator.idle();
      assert.deepEqual([looked, b.service.witness, await b.runs()], [[], [], []]);
    },
    (b) => ({ actions: [channelAction(() => b, looked)] }),
  );
});

test('scenario 20; mutant whose schema takes any text: the value does reach the action', async () => {
  const looked: Json[] = [];
  await withBench(
    async (b) => {
      await b.lookTwice(await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel_name: '$(reboot)' }));
      await b.evaluator.idle();
      assert.ok(JSON.stringify(looked).includes('$(reboot)'));
    },
    (b) => ({ actions: [channelAction(() => b, looked, z.string())] }),
  );
});

const five = ['svc1', 'svc2', 'svc3', 'svc4', 'svc5'];
scenario(
  'scenario 19: 40 % of the targets alert: a storm, left only after a time of calm',
  'storm',
  async (b, isMutant) => {
    const cooldownMs = 30_000;
    b.limits = { ...defaultLimits, storm: { minTargets: 2, percent: 40, windowMs: 600_000, cooldownMs } };
    const one = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    const two = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    const stormy = isMutant ? 'act' : 'storm:storm';
    assert.equal((await b.lookTwice(one)).reasonKey, stormy);
    await b.evaluator.idle();
    assert.deepEqual(b.service.witness, []); // the claim asks for a storm too
    assert.deepEqual(await b.told(), ['RemediationStorm']);
    await b.store.setAlertState(two, 'absent', '', b.clock.nowMs() + 1);
    assert.equal((await b.lookTwice(one)).reasonKey, stormy, 'calm has only begun');
    b.clock.aheadMs += cooldownMs - 5_000;
    await b.store.setAlertState(one, 'active', '', b.clock.nowMs());
    assert.equal((await b.look(one)).reasonKey, stormy, 'not calm for long enough');
    assert.deepEqual(await b.told(), ['RemediationStorm'], 'one message for the whole storm');
    if (isMutant) return;
    b.clock.aheadMs += 10_000;
    assert.equal((await b.look(one)).verdict, 'act');
    await b.evaluator.idle();
    assert.deepEqual(b.service.witness, ['stop 1', 'start 2', 'unlock']);
    const [message] = await b.store.escalationsOf('storm');
    assert.equal(message?.state, 'ending');
  },
  () => ({ inventory: inventoryWith(five) }),
);

test('scenario 21: an edit of the policy that allows more changes nothing for the run that is under way', () =>
  withBench(async (b) => {
    b.service.onCall = () => {
      b.policies = [{ ...policy, soakMs: 600_000, params: { other: 1 }, pace: { ...policy.pace, cooldownMs: 1 } }];
    };
    await b.lookTwice(await b.fire());
    await b.evaluator.idle(); // with the new soak it would last ten minutes
    const [run] = await b.runs();
    assert.equal(run?.outcome, 'verified');
    assert.equal((run.cooldownUntilMs ?? 0) - (run.endedMs ?? 0), policy.pace.cooldownMs);
    assert.deepEqual(run.params, {});
  }));

for (const [what, edited] of [
  ['to observe', [{ ...policy, mode: 'observe' as const }]],
  ['to approve', [{ ...policy, mode: 'approve' as const }]],
  ['away', []],
] as const) {
  test(`scenario 21: a policy that is taken ${what} during a run stops it at its next safe point`, async () => {
    let edit = (): void => undefined;
    const withEdit = (b: Bench): Action<World> => {
      const inner = fakeAction(b.service);
      return {
        ...inner,
        lock: async (...args) => {
          edit(); // after the claim, before the first intent
          return (await inner.lock?.(...args)) ?? { is: 'unknown', because: 'no lock' };
        },
      };
    };
    await withBench(
      async (b) => {
        edit = () => {
          b.policies = edited;
        };
        const id = await b.fire();
        await b.lookTwice(id);
        await b.evaluator.idle();
        assert.deepEqual(
          (await b.runs()).map((r) => r.outcome),
          ['refused'],
        );
        assert.deepEqual(b.service.witness, ['unlock']);
      },
      (b) => ({ actions: [withEdit(b)] }),
    );
  });
}

test('scenario 23: maintenance holds back, and stops a run at its next safe point', async () => {
  let begin = (): Promise<void> => Promise.resolve();
  const withWork = (b: Bench): Action<World> => {
    const inner = fakeAction(b.service);
    return {
      ...inner,
      lock: async (...args) => {
        await begin();
        return (await inner.lock?.(...args)) ?? { is: 'unknown', because: 'no lock' };
      },
    };
  };
  await withBench(
    async (b) => {
      const add = async (): Promise<void> => {
        const nowMs = b.clock.nowMs();
        const work = { scope: 'target:svc1', startsMs: nowMs, endsMs: nowMs + 3_600_000, owner: 'ann', reason: 'move' };
        await b.store.addMaintenance(work, 'test', nowMs);
      };
      begin = add;
      const id = await b.fire();
      await b.lookTwice(id);
      await b.evaluator.idle();
      const [run] = await b.runs();
      assert.equal(run?.outcome, 'refused');
      assert.match(run.because ?? '', /ann works on target:svc1: move/);
      assert.deepEqual(b.service.witness, ['unlock']);
      b.clock.aheadMs += 20_000;
      assert.equal((await b.lookTwice(id)).reasonKey, 'maintenance:maintenance');
    },
    (b) => ({ actions: [withWork(b)] }),
  );
});
