// What is asked again between the claim and the first call, and again when a step cannot begin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Action, Look, StepSession } from '../../../remediator/action.ts';
import { allow, deny, unsure } from '../../../remediator/guard.ts';
import { StoreError, type Store } from '../../../remediator/store/store.ts';
import { FakeService, fakeAction } from './fake-service.ts';
import { harness, story, type Harness } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

/** As the action looks under the claim; what the decision rested on was without fault. */
function laterSeeing(action: Action<unknown>, change: Partial<Look<unknown>>): Action<unknown> {
  let looks = 0;
  return {
    ...action,
    look: async (...args) => {
      const seen = await action.look(...args);
      looks += 1;
      return looks === 1 ? seen : { ...seen, ...change };
    },
  };
}

for (const [what, change, because] of [
  ['its owner is at work now', { owner: deny('failover', 'Sentinel fails over') }, /failover: Sentinel/],
  ['whether its owner is at work is unknown now', { owner: unsure('owner_busy', 'it restarts it') }, /owner_busy/],
  [
    'one who looks in another way sees it well now',
    { observers: [{ by: 'the source', says: 'healthy' }] },
    /the source sees nothing wrong/,
  ],
] as const) {
  test(`${what}: refused under the claim, nothing is called`, async () => {
    await using h = await harness();
    const target = new Target();
    const action = laterSeeing(stepAction(target, {}), change);
    const { run, hold, evidenceHash } = await h.claim(action);
    const runner = h.runner(action);
    runner.begin(run, hold, evidenceHash);
    await runner.idle();
    const ended = await h.onlyRun();
    assert.equal(ended.outcome, 'refused', story(await h.journal()));
    assert.match(ended.because ?? '', because);
    assert.equal(target.calls, 0);
  });
}

test('an owner that allows it, and observers that see it broken, are in nobody’s way', async () => {
  await using h = await harness();
  const target = new Target();
  const action = laterSeeing(stepAction(target, {}), {
    owner: allow('none', 'nobody'),
    observers: [
      { by: 'a', says: 'broken' },
      { by: 'b', says: 'unknown' },
    ],
  });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal((await h.onlyRun()).outcome, 'verified');
});

test('a pause while the session of the first step is opened: nothing is called', async () => {
  await using h = await harness();
  const target = new Target();
  let paused: string | undefined;
  const session = (): Promise<StepSession> => {
    paused = 'paused by ann'; // answered: from now on nothing may begin
    return Promise.resolve({
      identity: { id: target.connect() },
      [Symbol.asyncDispose]: () => Promise.resolve(void target.witness.push('close')),
    });
  };
  const action = stepAction(target, {
    step: { fencing: 'session', session },
    fence: () => Promise.resolve({ is: 'yes', because: 'gone' }),
  });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action, { paused: () => Promise.resolve(paused) });
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.deepEqual(target.witness, ['close']);
  const ended = await h.onlyRun();
  assert.deepEqual([ended.outcome, ended.because], ['refused', 'paused by ann']);
  assert.equal(ended.firstMutationMs, undefined);
});

test('a service that was stopped is started although the session for that is refused at first', async () => {
  await using h = await harness();
  const service = new FakeService();
  const base = fakeAction(service);
  let refusals = 0;
  const action: Action<unknown> = {
    ...base,
    steps: (...args) =>
      base.steps(...args).map((step) =>
        step.name === 'start'
          ? {
              ...step,
              session: () => {
                refusals += 1;
                if (refusals <= 1) return Promise.reject(new Error('the session that holds the lock is gone'));
                return Promise.resolve({ identity: {}, [Symbol.asyncDispose]: () => Promise.resolve() });
              },
            }
          : step,
      ),
  };
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.equal((await h.onlyRun()).outcome, 'verified', story(await h.journal()));
  assert.deepEqual(
    service.witness.filter((line) => line !== 'unlock'),
    ['stop 1', 'start 2'],
  );
  assert.equal(service.count('unlock'), 2, 'the lock was taken anew');
});

test('drain: what somebody else has done in place of a step is a point where a run may be left', async () => {
  await using h = await harness();
  const service = new FakeService();
  service.dataMoves = 'unknown';
  const base = fakeAction(service);
  const action: Action<unknown> = {
    ...base,
    steps: (...args) =>
      base.steps(...args).map((step) =>
        step.name === 'start'
          ? {
              ...step,
              probe: (run) => {
                service.running ??= 9; // a person was faster
                return step.probe(run);
              },
            }
          : { ...step, verifyMs: step.name === 'verify_data' ? 20_000 : step.verifyMs },
      ),
  };
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin(run, hold, evidenceHash);
  await waitFor(async () => story(await h.journal()).endsWith('start:result=skipped start:verify=yes'), {
    what: 'the start is found done',
  });
  await runner.drain(AbortSignal.timeout(5_000));
  assert.equal(runner.busy(), false, 'it was left, not waited for');
  assert.equal((await h.onlyRun()).state, 'running', story(await h.journal()));
  assert.deepEqual(
    service.witness.filter((line) => line !== 'unlock'),
    ['stop 1'],
  );
});

async function leftBeforeItBegan(h: Harness, action: Action<unknown>): Promise<void> {
  const { run, hold, evidenceHash } = await h.claim(action);
  const crash = (): Promise<never> => Promise.reject(new StoreError('broken', 'crash'));
  const { appendJournal } = h.store;
  const store: Store = {
    ...h.store,
    appendJournal: (of, entry, now) => (entry.kind === 'intent' ? crash() : appendJournal(of, entry, now)),
  };
  const first = h.runner(action, { store });
  first.begin(run, hold, evidenceHash);
  await first.idle();
  assert.match(story(await h.journal()), /facts$/);
}

/** Facts and evidence are on record, and the process ended before it began anything; a person has been there since. */
for (const [what, change, outcome, because] of [
  [
    'stopped on purpose',
    (s: FakeService) => void (s.precondition = deny('on_purpose', 'ann')),
    'refused',
    /on_purpose/,
  ],
  ['mended', (s: FakeService) => void (s.isSick = false), 'already_fixed', /healthy/],
  ['replaced', (s: FakeService) => void (s.running = 7), 'refused', /no longer those of the decision/],
] as const) {
  test(`taken up again before anything was begun, and it was ${what} meanwhile: ${outcome}`, async () => {
    await using h = await harness();
    const service = new FakeService();
    const action = fakeAction(service);
    await leftBeforeItBegan(h, action);
    change(service);
    const second = h.runner(action);
    await second.resume();
    await second.idle();
    const ended = await h.onlyRun();
    assert.equal(ended.outcome, outcome, story(await h.journal()));
    assert.match(ended.because ?? '', because);
    assert.deepEqual(
      service.witness.filter((line) => line !== 'unlock'),
      [],
    );
  });
}

test('taken up again by a process that cannot tell at once: it looks on, and goes on when it can', async () => {
  await using h = await harness();
  const service = new FakeService();
  const base = fakeAction(service);
  await leftBeforeItBegan(h, base);
  let looks = 0;
  const action: Action<unknown> = {
    ...base,
    look: async (...args) => {
      looks += 1;
      const seen = await base.look(...args);
      return looks > 2 ? seen : { ...seen, alreadyFixed: unsure('settling', 'it was looked at only now') };
    },
  };
  const second = h.runner(action);
  await second.resume();
  await second.idle();
  assert.equal((await h.onlyRun()).outcome, 'verified', story(await h.journal()));
  assert.equal(looks, 3);
});

test('taken up again by a process that can never tell: refused after a while, nothing is called', async () => {
  await using h = await harness();
  const service = new FakeService();
  const action = fakeAction(service);
  await leftBeforeItBegan(h, action);
  service.precondition = unsure('rows_unknown', 'no grant');
  const second = h.runner(action, { lookMs: 600 });
  await second.resume();
  await second.idle();
  const ended = await h.onlyRun();
  assert.deepEqual([ended.outcome, ended.because], ['refused', 'rows_unknown: no grant']);
  assert.equal(service.count('stop'), 0);
});
