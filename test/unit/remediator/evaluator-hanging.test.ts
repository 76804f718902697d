// Targets that do not answer: what is decided about others does not wait for them, and what they answer late is judged then.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Action } from '../../../remediator/action.ts';
import { symptomMs, withBench, type Bench } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

/** Looks at these targets hang until they are let go. */
class Hanging {
  readonly targets = new Set<string>();
  asked = 0;
  #waiting: (() => void)[] = [];

  action(inner: Action<unknown>): Action<unknown> {
    return {
      ...inner,
      look: async (target, ...rest) => {
        if (this.targets.has(target)) {
          this.asked += 1;
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        return await inner.look(target, ...rest);
      },
    };
  }

  release(): void {
    this.targets.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function withHanging(t: TestContext, work: (b: Bench, hanging: Hanging) => Promise<void>): Promise<void> {
  const hanging = new Hanging();
  t.after(() => {
    hanging.release();
  });
  return withBench(
    async (b) => {
      try {
        await b.evaluator.tick(); // the start: nothing is open yet
        await work(b, hanging);
      } finally {
        hanging.release();
        await b.evaluator.drain(AbortSignal.timeout(30_000));
      }
    },
    (b) => ({ actions: [hanging.action(fakeAction(b.service))] }),
  );
}

const due = async (b: Bench, id: string): Promise<void> => {
  const episode = await b.store.episode(id);
  await b.store.scheduleEval(id, episode?.nextEvalMs, b.clock.nowMs());
};
const lastOf = async (b: Bench, id: string): Promise<string | undefined> =>
  (await b.store.decisionsOf(id)).at(-1)?.reasonKey;
/** Its symptom has held, and the look that would tell hangs. */
async function heldAndHangs(b: Bench, hanging: Hanging): Promise<string> {
  const id = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
  await b.evaluator.tick();
  b.clock.aheadMs += symptomMs;
  hanging.targets.add('svc1');
  await due(b, id);
  await b.evaluator.begin();
  await waitFor(() => hanging.asked === 1, { intervalMs: 2, what: 'the look that hangs' });
  return id;
}

test('a target that hangs keeps no other one from its first step', (t) =>
  withHanging(t, async (b, hanging) => {
    hanging.targets.add('svc1');
    const stuck = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    await b.evaluator.begin();
    await waitFor(() => hanging.asked === 1, { intervalMs: 2, what: 'the look that hangs' });

    const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    await b.evaluator.begin();
    await waitFor(async () => (await lastOf(b, other)) === 'evidence:not_held_yet', {
      intervalMs: 2,
      what: 'its look',
    });
    b.clock.aheadMs += symptomMs;
    await due(b, other);
    await b.evaluator.begin();
    await waitFor(() => b.service.witness.includes('stop 1'), { intervalMs: 2, what: 'its first step' });
    assert.deepEqual(await b.store.decisionsOf(stuck), [], 'the one that hangs hangs still');
    assert.equal(hanging.asked, 1);
  }));

test('one look at a time, whatever comes meanwhile; what is late is judged when it answers', (t) =>
  withHanging(t, async (b, hanging) => {
    hanging.targets.add('svc1');
    const first = await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    await b.evaluator.begin();
    await waitFor(() => hanging.asked === 1, { intervalMs: 2, what: 'the look that hangs' });
    const second = await b.fire({ alertname: 'ServiceSick', target: 'svc1', channel: 'x' });
    for (let i = 0; i < 3; i++) {
      await due(b, first); // as a notification that changes it does
      await b.evaluator.begin();
    }
    assert.equal(hanging.asked, 1, 'nobody has asked it a second time');
    assert.equal(await lastOf(b, first), undefined);
    hanging.release();
    await waitFor(async () => (await lastOf(b, second)) !== undefined, { intervalMs: 2, what: 'the second one' });
    assert.equal(await lastOf(b, first), 'evidence:not_held_yet', 'its own look was judged, and one after it');
    assert.deepEqual(await b.runs(), []);
  }));

test('after the start nothing is begun before all that was open has been looked at', (t) =>
  withHanging(t, async (b, hanging) => {
    const { evaluator } = b;
    hanging.targets.add('svc1');
    await b.fire({ alertname: 'ServiceSick', target: 'svc1' });
    const other = await b.fire({ alertname: 'ServiceSick', target: 'svc2' });
    const restarted = b.another();
    await restarted.resume();
    await restarted.begin();
    for (let i = 0; i < 3; i++) {
      b.clock.aheadMs += symptomMs;
      await due(b, other);
      await restarted.begin();
      await waitFor(async () => (await lastOf(b, other)) !== undefined, { intervalMs: 2, what: 'its look' });
      assert.equal(await lastOf(b, other), 'self:starting');
    }
    hanging.release();
    await waitFor(
      async () => {
        await due(b, other);
        await restarted.tick();
        return (await lastOf(b, other)) !== 'self:starting';
      },
      { intervalMs: 2, what: 'the first round to be over' },
    );
    await restarted.drain(AbortSignal.timeout(30_000));
    await evaluator.idle();
  }));

test('what was seen too long ago is not decided on', (t) =>
  withHanging(t, async (b, hanging) => {
    const id = await heldAndHangs(b, hanging);
    b.clock.aheadMs += 40_000; // the program was stopped, with the answer on its way
    await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
    hanging.release();
    await waitFor(async () => (await lastOf(b, id)) === 'evaluation:fault', { intervalMs: 2, what: 'the decision' });
    const [, tookSeconds] = /took (\d+) s: too old/.exec((await b.store.decisionsOf(id)).at(-1)?.because ?? '') ?? [];
    assert.ok(Number(tookSeconds) >= 40, tookSeconds);
    assert.deepEqual(await b.runs(), []);
  }));

test('the end waits for looks that are under way, and nothing is begun on them', (t) =>
  withHanging(t, async (b, hanging) => {
    await heldAndHangs(b, hanging);
    let isOver = false;
    const end = b.evaluator.drain(AbortSignal.timeout(30_000)).then(() => (isOver = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isOver, false);
    hanging.release();
    await end;
    assert.deepEqual(await b.runs(), []);
    assert.deepEqual(b.service.witness, []);
  }));
