// What ends a run before its call, and what a class forbids: each fails when its line of the runner is left out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseTiming } from '../../../remediator/runner/lease.ts';
import { harness, policy, story } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

test('a policy lowered to approve stops a run of the remediator, and none that a person has allowed', async () => {
  for (const [actor, outcome, calls] of [
    ['auto', 'refused', 0],
    ['human:ann', 'verified', 1],
  ] as const) {
    await using h = await harness();
    const target = new Target();
    const action = stepAction(target, {});
    const { run, hold, evidenceHash } = await h.claim(action);
    const runner = h.runner(action, { policies: () => [{ ...policy, mode: 'approve' }] });
    runner.begin({ ...run, actor }, hold, evidenceHash);
    await runner.idle();
    assert.deepEqual([(await h.onlyRun()).outcome, target.calls], [outcome, calls], actor);
  }
});

test('class once: a call that was refused is not made again, whatever the attempts', async () => {
  await using h = await harness();
  let calls = 0;
  const apply = (): Promise<{ is: 'refused'; because: string }> => {
    calls += 1;
    return Promise.resolve({ is: 'refused', because: 'no' });
  };
  const action = stepAction(new Target(), { step: { fencing: 'once', maxAttempts: 3, apply } });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal(calls, 1);
});

test('nothing is called with a lease that ends before the longest call may', async () => {
  await using h = await harness();
  const target = new Target();
  const action = stepAction(target, {});
  const { run, hold, evidenceHash } = await h.claim(action);
  const leftAtCalls: number[] = [];
  let intents = 0;
  const runner = h.runner(action, {
    // so that it is not taken for a machine that was suspended
    lease: { ...leaseTiming(h.clock), bootMs: h.clock.monoMs },
    store: {
      ...h.store,
      appendJournal: async (of, entry, now) => {
        const written = await h.store.appendJournal(of, entry, now);
        if (entry.kind !== 'intent') return written;
        intents += 1;
        leftAtCalls.push(target.calls);
        // 30 s are left of a lease that was just renewed; 5 s must be beyond the step's 80 ms
        if (intents === 1) h.clock.aheadMs += 26_000;
        return written;
      },
    },
  });
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  const told = story(await h.journal());
  assert.match(told, /change:intent change:result=absent change:intent change:result=done/, told);
  assert.deepEqual([leftAtCalls, target.calls], [[0, 0], 1], 'the first intent was followed by no call');
  assert.equal((await h.onlyRun()).outcome, 'verified');
});

test('a call whose outcome is unknown is given its time before anybody looks whether it took effect', async () => {
  await using h = await harness();
  const target = new Target();
  const settleMs = 400;
  let calledMs = 0;
  const lookedMs: number[] = [];
  const action = stepAction(target, {
    step: {
      settleMs,
      apply: () => {
        calledMs = performance.now();
        return Promise.resolve({ is: 'unknown', because: 'the connection was lost' });
      },
      probe: () => {
        if (calledMs > 0) lookedMs.push(performance.now() - calledMs);
        return Promise.resolve({ is: 'absent', because: 'as before' });
      },
      maxAttempts: 1,
    },
  });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  const [first = 0] = lookedMs;
  assert.ok(lookedMs.length > 0 && first >= settleMs, `looked after ${lookedMs.join()} ms`);
});
