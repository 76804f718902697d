// Runs that were left open, and what keeps one of them from being taken up again keeps nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../remediator/action.ts';
import { harness, type Harness } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

/** A lease lasts 30 s, and the longest call that may be within it less than that. */
const later = 61_000;

/** As after an upgrade whose action no longer takes the parameters that the run was claimed with. */
function outgrown(action: Action<unknown>): Action<unknown> {
  return {
    ...action,
    steps: () => {
      throw new Error('Unrecognized key: "stop_seconds"');
    },
  };
}

/** Leaves a run behind, as a process that ended within the call or before it. */
async function leftOpen(h: Harness, action: Action<unknown>, where: 'before' | 'after'): Promise<void> {
  const { run, hold, evidenceHash } = await h.claim(action);
  const crash = (): Promise<never> => Promise.reject(new Error('crash'));
  const runner = h.runner(action, {
    store: {
      ...h.store,
      appendJournal: (of, entry, now) =>
        entry.kind === (where === 'before' ? 'intent' : 'verify') ? crash() : h.store.appendJournal(of, entry, now),
      endRun: crash,
    },
  });
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal((await h.onlyRun()).state, 'running');
}

for (const [where, outcome, latches] of [
  ['before', 'refused', 0],
  ['after', 'outcome_unknown', 1],
] as const) {
  test(`a run whose parameters its action no longer takes, left ${where} its change: ${outcome}, and told`, async () => {
    await using h = await harness();
    const target = new Target();
    const action = stepAction(target, {});
    await leftOpen(h, action, where);
    const calls = target.calls;
    h.clock.aheadMs += later;
    const next = h.runner(outgrown(action), { holder: 'h2' });
    await next.resume();
    await next.idle();
    const run = await h.onlyRun();
    assert.deepEqual([run.state, run.outcome], ['ended', outcome]);
    assert.match(run.because ?? '', /the steps of fake\.restart cannot be told.*stop_seconds/);
    assert.deepEqual(
      h.endings.map((e) => e.outcome),
      [outcome],
    );
    assert.equal((await h.store.latches()).length, latches);
    assert.equal(target.calls, calls, 'nothing more was called');
  });
}

test('a run whose policy cannot be read any more ends, and is told', async () => {
  await using h = await harness();
  const action = stepAction(new Target(), {});
  await leftOpen(h, action, 'before');
  h.clock.aheadMs += later;
  const activeRuns = async (): ReturnType<Harness['store']['activeRuns']> =>
    (await h.store.activeRuns()).map((run) => ({ ...run, policy: { name: 'p' } }));
  const next = h.runner(action, { holder: 'h2', store: { ...h.store, activeRuns } });
  await next.resume();
  await next.idle();
  const run = await h.onlyRun();
  assert.deepEqual([run.state, run.outcome], ['ended', 'refused']);
  assert.match(run.because ?? '', /the policy that it was claimed by cannot be read: .*soakMs/s);
  assert.equal(h.endings.length, 1);
});

test('a run of a holder that may be within a call is not taken sooner because its steps cannot be told', async () => {
  await using h = await harness();
  const action = stepAction(new Target(), {});
  await leftOpen(h, action, 'before');
  h.clock.aheadMs += 31_000;
  const next = h.runner(outgrown(action), { holder: 'h2' });
  await next.resume();
  await next.idle();
  assert.equal((await h.onlyRun()).state, 'running');
});
