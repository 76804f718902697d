// What ends a run before its call, and what a class forbids: each fails when its line of the runner is left out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { harness, policy } from './run-harness.ts';
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
