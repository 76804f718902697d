// What must never go wrong over several runs and in the middle of one, by name. The service in memory is the witness. Each
// shows what keeps it from going wrong: in the place of that, one that always allows changes what is done to the service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../remediator/action.ts';
import { asJson } from '../../../remediator/canonical.ts';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import { allow, type Guard, type Policy } from '../../../remediator/guard.ts';
import { guards } from '../../../remediator/guards/index.ts';
import { policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction, FakeService } from './fake-service.ts';
import { harness, type Harness } from './run-harness.ts';

type Change = Partial<EvaluatorDeps<World>>;

function without(name: string): readonly Guard[] {
  assert.ok(guards.some((g) => g.name === name));
  return guards.map((g) => (g.name === name ? { ...g, decide: () => allow('mutant', '') } : g));
}

/** The scenario as it is, and once for each mutant. */
function scenario<M extends string>(
  name: string,
  mutants: Readonly<Record<M, (b: Bench) => Change>>,
  play: (b: Bench, mutant: M | undefined) => Promise<void>,
  common: (b: Bench) => Change = () => ({}),
): void {
  test(name, () => withBench((b) => play(b, undefined), common));
  for (const mutant of Object.keys(mutants) as M[]) {
    test(`${name}; mutant: ${mutant}`, () =>
      withBench(
        (b) => play(b, mutant),
        (b) => ({ ...common(b), ...mutants[mutant](b) }),
      ));
  }
}

/** The action, with something that happens after the claim and before the first intent. */
function withEvent(b: Bench, event: () => Promise<void> | void): Action<World> {
  const inner = fakeAction(b.service);
  return {
    ...inner,
    lock: async (...args) => {
      await event();
      return (await inner.lock?.(...args)) ?? { is: 'unknown', because: 'no lock' };
    },
  };
}

scenario(
  'scenario 6: the budget holds over a restart of the process, and its end is told',
  {
    'no guard on the budget': () => ({ guards: without('budget') }),
    'no guard, and a claim that does not count': (b) => {
      const { claim } = b.store;
      b.store.claim = (wanted, nowMs) => claim({ ...wanted, budgets: [] }, nowMs);
      return { guards: without('budget') };
    },
  },
  async (b, mutant) => {
    b.policies = [{ ...policy, pace: { ...policy.pace, maxRuns: 2 } }];
    b.service.dataMoves = 'no';
    const id = await b.fire();
    const again = async (evaluator = b.evaluator): Promise<void> => {
      b.service.isSick = true;
      b.clock.aheadMs += policy.pace.cooldownMs + 15_001;
      await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
      for (let turn = 0; turn < 3; turn++) {
        const open = await b.store.episode(id);
        await b.store.scheduleEval(id, open?.nextEvalMs, b.clock.nowMs());
        await evaluator.tick();
        await evaluator.idle();
        b.clock.aheadMs += 100;
      }
    };
    await again();
    await again();
    assert.equal((await b.runs()).length, 2);
    assert.equal(b.service.count('start'), 2);
    const restarted = b.another();
    await restarted.resume();
    await again(restarted);
    const decision = (await b.store.decisionsOf(id)).at(-1);
    switch (mutant) {
      case undefined:
        assert.equal(decision?.reasonKey, 'budget:spent');
        assert.equal(b.service.count('start'), 2);
        assert.ok((await b.told()).includes('RemediationRefused'));
        return;
      case 'no guard on the budget': // the claim counts too
        assert.equal(decision?.reasonKey, 'act');
        assert.equal(b.service.count('start'), 2);
        return;
      case 'no guard, and a claim that does not count':
        assert.equal(b.service.count('start'), 3);
    }
  },
);

const generous: Policy = { ...policy, params: { other: 1 }, pace: { ...policy.pace, cooldownMs: 1 } };
scenario(
  'scenario 21: an edit of the policy that allows more changes nothing for the run that is under way',
  {
    'the policy of now is what a run goes by': (b) => {
      const { claim } = b.store;
      b.store.claim = async (...args) => {
        const result = await claim(...args);
        return result.won ? { ...result, run: { ...result.run, policy: asJson(generous) } } : result;
      };
      return {};
    },
  },
  async (b, mutant) => {
    const { claim } = b.store;
    b.store.claim = async (...args) => {
      const result = await claim(...args);
      b.policies = [generous];
      return result;
    };
    await b.lookTwice(await b.fire());
    await b.evaluator.idle();
    const [run] = await b.runs();
    assert.equal(run?.outcome, 'verified');
    const cooldownMs = (run.cooldownUntilMs ?? 0) - (run.endedMs ?? 0);
    assert.equal(cooldownMs, mutant === undefined ? policy.pace.cooldownMs : generous.pace.cooldownMs);
    assert.deepEqual(run.params, {});
  },
);

for (const [what, edited] of [
  ['to observe', [{ ...policy, mode: 'observe' as const }]],
  ['to approve', [{ ...policy, mode: 'approve' as const }]],
  ['away', []],
  ['to other targets', [{ ...policy, match: { ...policy.match, target: 'svc2' } }]],
  ['behind another one', [{ ...policy, name: 'before-it', mode: 'observe' as const }, policy]],
] as const) {
  scenario(
    `scenario 21: a policy that is taken ${what} during a run stops it at its next safe point`,
    { 'the policies of the start are asked': () => ({ policies: () => [policy] }) },
    async (b, mutant) => {
      await b.lookTwice(await b.fire());
      await b.evaluator.idle();
      const outcomes = (await b.runs()).map((r) => r.outcome);
      assert.deepEqual(outcomes, [mutant === undefined ? 'refused' : 'verified']);
      assert.deepEqual(b.service.witness, mutant === undefined ? ['unlock'] : ['stop 1', 'start 2', 'unlock']);
    },
    (b) => ({ actions: [withEvent(b, () => void (b.policies = edited))] }),
  );
}

type Steps = ReturnType<Action<unknown>['steps']>;

/** What the service was told when the alert goes away at that step. */
async function resolvedAt(
  step: string,
  change: (h: Harness) => Parameters<Harness['runner']>[1] = () => ({}),
  mutate: (steps: Steps, h: Harness) => Steps = (steps) => steps,
): Promise<{ readonly witness: readonly string[]; readonly outcome: string | undefined }> {
  await using h = await harness();
  const service = new FakeService();
  const inner = fakeAction(service);
  const goes = async (): Promise<void> => {
    await h.store.setAlertState(h.episodeId, 'absent', '', h.clock.nowMs() + 1);
  };
  const action: Action<unknown> = {
    ...inner,
    lock: async (...args) => {
      if (step === 'lock') await goes();
      return (await inner.lock?.(...args)) ?? { is: 'unknown', because: 'no lock' };
    },
    steps: (...args) => mutate(inner.steps(...args), h),
  };
  service.onCall = async (called) => {
    if (called === step) await goes();
  };
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action, change(h));
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal((await h.store.episode(h.episodeId))?.alertState, 'absent');
  return { witness: service.witness.filter((line) => line !== 'unlock'), outcome: (await h.onlyRun()).outcome };
}

test('scenario 22: the alert resolves in the middle of a run: it goes on to where the service may stay', async () => {
  assert.deepEqual(await resolvedAt('stop'), { witness: ['stop 1', 'start 2'], outcome: 'verified' });
});

test('scenario 22; mutant: an alert that resolves breaks the run off: the service is never seen to work', async () => {
  const asksBeforeEachStep = (steps: Steps, h: Harness): Steps =>
    steps.map((step) => ({
      ...step,
      ...(step.apply === undefined
        ? {}
        : {
            apply: async (...args) => {
              const isOver = (await h.store.episode(h.episodeId))?.alertState === 'absent';
              if (isOver) return { is: 'refused', because: 'the alert is over' };
              return (await step.apply?.(...args)) ?? { is: 'unknown', because: 'no call' };
            },
          }),
    }));
  const seen = await resolvedAt('stop', undefined, asksBeforeEachStep);
  assert.equal(seen.outcome, 'failed');
});

test('scenario 22: the alert resolves before anything was changed: nothing is', async () => {
  assert.deepEqual(await resolvedAt('lock'), { witness: [], outcome: 'refused' });
});

test('scenario 22; mutant: the alert is not asked again before the first change', async () => {
  const seen = await resolvedAt('lock', (h) => ({
    store: {
      ...h.store,
      episode: async (id) => {
        const episode = await h.store.episode(id);
        return episode && { ...episode, alertState: 'active', alertSeenMs: h.clock.nowMs() };
      },
    },
  }));
  assert.deepEqual(seen, { witness: ['stop 1', 'start 2'], outcome: 'verified' });
});

const hour = 3_600_000;
async function addWork(b: Bench): Promise<void> {
  const nowMs = b.clock.nowMs();
  const work = { scope: 'target:svc1', startsMs: nowMs, endsMs: nowMs + hour, owner: 'ann', reason: 'move' };
  await b.store.addMaintenance(work, 'test', nowMs);
}

scenario(
  'scenario 23: maintenance holds back, whoever asks',
  {
    'no guard on maintenance': () => ({ guards: without('maintenance') }),
    'nobody sees it': (b) => {
      // neither the guard, nor the claim, nor the run: as if it had not been stored
      b.store.addMaintenance = (work) => Promise.resolve({ ...work, id: 'lost' });
      return {};
    },
  },
  async (b, mutant) => {
    await addWork(b);
    const decision = await b.lookTwice(await b.fire());
    await b.evaluator.idle();
    assert.equal(decision.reasonKey, mutant === undefined ? 'maintenance:maintenance' : 'act');
    // without the guard the claim still says no
    assert.equal(b.service.count('stop'), mutant === 'nobody sees it' ? 1 : 0);
  },
);

scenario(
  'scenario 23: maintenance that begins during a run stops it at its next safe point',
  {
    'the run does not ask for it': (b) => {
      b.store.maintenances = () => Promise.resolve([]);
      return {};
    },
  },
  async (b, mutant) => {
    await b.lookTwice(await b.fire());
    await b.evaluator.idle();
    const [run] = await b.runs();
    if (mutant !== undefined) {
      assert.deepEqual([run?.outcome, b.service.witness], ['verified', ['stop 1', 'start 2', 'unlock']]);
      return;
    }
    assert.equal(run?.outcome, 'refused');
    assert.match(run.because ?? '', /ann works on target:svc1: move/);
    assert.deepEqual(b.service.witness, ['unlock']);
  },
  (b) => ({ actions: [withEvent(b, () => addWork(b))] }),
);
