// The step contract, one clause a test: what a step declares decides what the runner may do after a call that was not answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action, Applied, StepSession } from '../../../remediator/action.ts';
import type { JournalEntry, Run } from '../../../remediator/model.ts';
import type { RunnerDeps } from '../../../remediator/runner.ts';
import { keepLease, leaseTiming } from '../../../remediator/runner/lease.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { FakeService, fakeAction } from './fake-service.ts';
import { harness, story, type Harness } from './run-harness.ts';
import { stepAction, Target, type Parts } from './step-action.ts';

interface Conducted extends AsyncDisposable {
  readonly h: Harness;
  readonly target: Target;
  readonly run: Run;
  readonly journal: readonly JournalEntry[];
  readonly told: string;
}

async function conducted(
  partsOf: (target: Target) => Parts,
  change: Partial<RunnerDeps<unknown>> = {},
  actor?: string,
): Promise<Conducted> {
  const h = await harness();
  const target = new Target();
  const action = stepAction(target, partsOf(target));
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action, change);
  runner.begin(actor === undefined ? run : { ...run, actor }, hold, evidenceHash);
  await runner.idle();
  const journal = await h.journal();
  return {
    h,
    target,
    run: await h.onlyRun(),
    journal,
    told: story(journal),
    [Symbol.asyncDispose]: () => h[Symbol.asyncDispose](),
  };
}

/** The first call is not answered; whether it is carried out, and when, is the test's. */
function unansweredOnce(target: Target, first: () => void): () => Promise<Applied> {
  let calls = 0;
  return (): Promise<Applied> => {
    calls += 1;
    if (calls === 1) {
      first();
      return Promise.resolve({ is: 'unknown', because: 'no answer' });
    }
    target.calls += 1;
    target.witness.push('change');
    return Promise.resolve({ is: 'done', because: 'changed' });
  };
}

function sessionOf(target: Target): () => Promise<StepSession> {
  return () => {
    const id = target.connect();
    return Promise.resolve({
      identity: { server: 's', id },
      [Symbol.asyncDispose]: () => {
        target.witness.push(`close ${id}`);
        return Promise.resolve();
      },
    });
  };
}

test('session: its identity is in the intent before the call, and it is closed after it', async () => {
  await using c = await conducted((target) => ({
    step: { fencing: 'session', session: sessionOf(target) },
    fence: () => Promise.resolve({ is: 'yes', because: 'gone' }),
  }));
  assert.equal(c.run.outcome, 'verified', c.told);
  const intent = c.journal.find((e) => e.kind === 'intent');
  assert.deepEqual(intent?.data, {
    deadlineMs: 80,
    settleMs: 20,
    fencing: 'session',
    session: { server: 's', id: '101' },
  });
  assert.deepEqual(c.target.witness, ['change', 'close 101']);
});

test('session: one that cannot be opened is no intent', async () => {
  await using c = await conducted(() => ({
    step: { fencing: 'session', session: () => Promise.reject(new Error('access denied')) },
    fence: () => Promise.resolve({ is: 'yes', because: 'gone' }),
  }));
  assert.equal(c.run.outcome, 'refused');
  assert.match(c.run.because ?? '', /access denied/);
  assert.equal(await c.h.store.budgetUsed('target:svc1', 0), 0);
  assert.doesNotMatch(c.told, /intent/);
});

test('session: an unanswered call is ended on the target before it is looked at, then tried again', async () => {
  await using c = await conducted((target) => ({
    step: {
      fencing: 'session',
      session: sessionOf(target),
      apply: unansweredOnce(target, () => target.witness.push('lost')),
    },
    fence: (sessions) => {
      target.witness.push(`fence ${JSON.stringify(sessions.map((s) => s.identity))}`);
      return Promise.resolve({ is: 'yes', because: 'ended' });
    },
  }));
  assert.equal(c.run.outcome, 'verified', c.told);
  assert.deepEqual(c.target.witness, ['lost', 'close 101', 'fence [{"server":"s","id":"101"}]', 'change', 'close 102']);
  assert.match(c.told, /change:result=unknown change:result=absent change:intent change:result=done/);
});

for (const [what, fence] of [
  ['cannot be ended', () => Promise.resolve({ is: 'unknown', because: 'no answer' } as const)],
  ['is still there', () => Promise.resolve({ is: 'no', because: 'it refuses' } as const)],
  ['nobody can end, since the action does not say how', undefined],
] as const) {
  test(`session: after an unanswered call whose session ${what}: outcome unknown, not called again`, async () => {
    await using c = await conducted((target) => ({
      step: { fencing: 'session', session: sessionOf(target), apply: unansweredOnce(target, () => undefined) },
      ...(fence === undefined ? {} : { fence }),
    }));
    assert.equal(c.run.outcome, 'outcome_unknown', c.told);
    assert.equal(c.target.calls, 0);
    assert.equal((await c.h.store.latches()).length, 1);
  });
}

test('the session of a lock is journalled, and a successor ends it before it asks for the lock', async () => {
  await using h = await harness();
  const target = new Target();
  const parts: Parts = {
    lock: () => {
      if (target.open.size > 0) return Promise.reject(new Error('held by another connection'));
      const id = target.connect();
      return Promise.resolve({ identity: { id }, close: () => target.witness.push(`unlock ${id}`) });
    },
    fence: (sessions) => {
      for (const { identity } of sessions) {
        const { id } = identity as { id: string };
        target.open.delete(id);
        target.witness.push(`end ${id}`);
      }
      return Promise.resolve({ is: 'yes', because: 'ended' });
    },
    step: {
      apply: () => {
        target.calls += 1;
        return new Promise<Applied>(() => undefined); // and its answer never comes
      },
    },
  };
  const action = stepAction(target, parts);
  const { run, hold, evidenceHash } = await h.claim(action, 'h1');
  const hanging = new Promise<void>((resolve) => {
    const first = h.runner(
      stepAction(target, {
        ...parts,
        step: {
          apply: () => {
            resolve();
            return new Promise<Applied>(() => undefined);
          },
        },
      }),
    );
    first.begin(run, hold, evidenceHash);
  });
  await hanging;
  h.clock.aheadMs += 31_000;
  await h.store.setAlertState(h.episodeId, 'active', '', h.clock.nowMs());
  const second = h.runner(action, { holder: 'h2' });
  await second.resume();
  await second.idle();
  const told = story(await h.journal());
  assert.match(told, /claimed lock evidence facts change:intent lock/, told);
  assert.equal(target.witness[0], 'end 101', told);
  assert.equal((await h.onlyRun()).outcome, 'verified', told);
});

test('a step that ignores its deadline is given up, and looked at', async () => {
  await using c = await conducted((target) => ({
    step: {
      apply: () => {
        target.calls += 1;
        return new Promise<Applied>(() => undefined);
      },
    },
  }));
  assert.equal(c.run.outcome, 'verified', c.told);
  assert.match(c.told, /change:result=unknown change:result=recovered/);
  assert.equal(c.target.calls, 1);
});

test('found done again and again, and never lasting: given up, and not written down without end', async () => {
  await using c = await conducted(() => ({
    step: {
      probe: () => Promise.resolve({ is: 'present', because: 'somebody else did it' }),
      verify: () => Promise.resolve({ is: 'no', because: 'gone again' }),
    },
  }));
  assert.equal(c.run.outcome, 'refused', c.told);
  assert.match(c.run.because ?? '', /did not last/);
  assert.equal(c.target.calls, 0);
});

test('half done before the step: left to people, with a latch; gone on with only where declared', async () => {
  const half = (target: Target): Parts['step'] => ({
    probe: () =>
      Promise.resolve(
        target.calls === 0 ? { is: 'partial', because: 'half of it' } : { is: 'present', because: 'all of it' },
      ),
  });
  await using left = await conducted((target) => ({ step: { ...half(target) } }));
  assert.equal(left.run.outcome, 'refused', left.told);
  assert.equal(left.target.calls, 0);
  assert.equal((await left.h.store.latches()).length, 1);
  await using resumed = await conducted((target) => ({ step: { ...half(target), resumesPartial: true } }));
  assert.equal(resumed.run.outcome, 'verified', resumed.told);
  assert.equal(resumed.target.calls, 1);
});

test('half done by an unanswered call: outcome unknown; gone on with only where declared', async () => {
  const half = (target: Target): NonNullable<Parts['step']> => {
    let state: 'absent' | 'partial' | 'present' = 'absent';
    return {
      probe: () => Promise.resolve({ is: state, because: state }),
      apply: () => {
        const first = state === 'absent';
        state = first ? 'partial' : 'present';
        target.calls += 1;
        return Promise.resolve(first ? { is: 'unknown', because: 'no answer' } : { is: 'done', because: 'all of it' });
      },
    };
  };
  await using left = await conducted((target) => ({ step: half(target) }));
  assert.equal(left.run.outcome, 'outcome_unknown', left.told);
  assert.equal(left.target.calls, 1);
  await using resumed = await conducted((target) => ({ step: { ...half(target), resumesPartial: true } }));
  assert.equal(resumed.run.outcome, 'verified', resumed.told);
  assert.match(resumed.told, /change:result=unknown change:result=partial change:intent change:result=done/);
  assert.equal(resumed.target.calls, 2);
});

test('half done and then refused: it counts as changed', async () => {
  await using c = await conducted(() => {
    let calls = 0;
    return {
      step: {
        resumesPartial: true,
        probe: () => Promise.resolve({ is: calls === 0 ? 'absent' : 'partial', because: '' }),
        apply: () => {
          calls += 1;
          return Promise.resolve({ is: calls === 1 ? 'unknown' : 'refused', because: '' });
        },
      },
    };
  });
  assert.equal(c.run.outcome, 'failed', c.told);
});

test('nothing fences a late call and it would do harm: not by itself, with a person’s leave', async () => {
  const parts = (): Parts => ({ step: { fencing: 'once', lateCopy: 'harmful' } });
  await using alone = await conducted(parts);
  assert.equal(alone.run.outcome, 'refused', alone.told);
  assert.equal(alone.target.calls, 0);
  await using allowed = await conducted(parts, {}, 'human:kim');
  assert.equal(allowed.run.outcome, 'verified', allowed.told);
});

test('restraints are asked for with the run, before its first intent; one that cannot be told holds it back', async () => {
  const asked: string[] = [];
  await using held = await conducted(() => ({}), {
    paused: (run) => {
      asked.push(run.id);
      return Promise.resolve('kim works on target:svc1: new disk');
    },
  });
  assert.equal(held.run.outcome, 'refused');
  assert.match(held.run.because ?? '', /new disk/);
  assert.deepEqual(asked, ['run-1']);
  await using unreadable = await conducted(() => ({}), { paused: () => Promise.reject(new Error('EIO')) });
  assert.equal(unreadable.run.outcome, 'refused');
  assert.match(unreadable.run.because ?? '', /EIO/);
  assert.equal(unreadable.target.calls, 0);
});

test('a run that has taken longer than its action may begins nothing more', async () => {
  await using c = await conducted(() => ({ longestMs: -1 }));
  assert.equal(c.run.outcome, 'refused');
  assert.match(c.run.because ?? '', /too long/);
  assert.equal(c.target.calls, 0);
});

test('evidence that cannot be kept whole: nothing is begun', async () => {
  await using c = await conducted(() => ({ snapshotText: 'x'.repeat(5 * 1024 * 1024) }));
  assert.equal(c.run.outcome, 'refused');
  assert.match(c.run.because ?? '', /undo\.txt has 5242880 bytes/);
  assert.equal(c.target.calls, 0);
});

test('a hung holder keeps its run until its longest call is over too', async () => {
  await using h = await harness();
  const target = new Target();
  const action = stepAction(target, { step: { deadlineMs: 10_000 } });
  const { run } = await h.claim(action, 'h1');
  const taken = async (): Promise<boolean> => {
    const second = h.runner(action, { holder: 'h2' });
    await second.resume();
    await second.idle();
    return (await h.onlyRun()).fence > run.fence;
  };
  h.clock.aheadMs += 31_000;
  assert.equal(await taken(), false, 'the lease is over by 1 s, a call may last 10');
  h.clock.aheadMs += 10_000;
  assert.equal(await taken(), true);
});

test('a machine that slept for 3 s has lost its leases, whatever is left of them', async () => {
  let sleptMs = 0;
  const mono = (): number => performance.now();
  const lease = keepLease(
    { renewLease: () => Promise.resolve(true) },
    { runId: 'r', target: 't', holder: 'h', fence: 1 },
    { ...leaseTiming({ monoMs: mono, nowMs: mono }), bootMs: () => performance.now() + sleptMs },
    createLog('test', 'silent'),
  );
  try {
    assert.ok(lease.leftMs() > 29_000);
    sleptMs = 1_500;
    assert.ok(lease.leftMs() > 25_000, 'the two clocks are never quite together');
    sleptMs = 3_000;
    assert.equal(lease.leftMs(), 0);
    assert.equal(lease.lost.aborted, true);
    assert.match(String(lease.lost.reason), /suspended for 3 s/);
    assert.equal(await lease.renew(), false);
  } finally {
    lease.end();
  }
});

test('a step longer than a lease lasts: nothing is begun', async () => {
  await using c = await conducted(() => ({ step: { deadlineMs: 29_000 } }));
  assert.equal(c.run.outcome, 'refused');
  assert.match(c.run.because ?? '', /longer than a lease/);
});

test('the same action with a longer deadline is another plan', async () => {
  const target = new Target();
  const hashOf = async (action: Action<unknown>): Promise<string> => {
    await using h = await harness();
    return (await h.claim(action)).run.planHash;
  };
  assert.notEqual(await hashOf(stepAction(target, {})), await hashOf(stepAction(target, { step: { deadlineMs: 81 } })));
});

test('scenario 22: the alert resolves in the middle of a run: it goes on to where the service may stay', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  const { run, hold, evidenceHash } = await h.claim(action);
  service.onCall = async (step) => {
    if (step === 'stop') await h.store.setAlertState(h.episodeId, 'absent', '', h.clock.nowMs() + 1);
  };
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal((await h.store.episode(h.episodeId))?.alertState, 'absent');
  assert.deepEqual(
    service.witness.filter((line) => line !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  assert.equal((await h.onlyRun()).outcome, 'verified');
});
