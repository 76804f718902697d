// Functions of an action that hang and do not heed their signal: the run is not kept by them.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Action, VisibleLock } from '../../../remediator/action.ts';
import { leaseTiming } from '../../../remediator/runner/lease.ts';
import { harness, story, type Harness } from './run-harness.ts';
import { stepAction, Target, type Parts } from './step-action.ts';

/** Where one hangs, and how the run ends that goes on without it. */
const functions = {
  look: { ends: /^refused: .*the facts: no answer in time/ },
  lock: { ends: /^refused: .*the lock: no answer in time/ },
  held: { ends: /^refused: .*the lock: no answer in time/ },
  probe: { ends: /^refused: .*change: no answer in time/ },
  session: { ends: /^refused: .*the session: no answer in time/ },
  verify: { ends: /^outcome_unknown: .*change: no answer in time/ },
  soak: { ends: undefined }, // looked at again and again for a minute
} as const;
type Name = keyof typeof functions;

interface Hanging {
  readonly action: Action<unknown>;
  readonly target: Target;
  /** The function has been called and hangs; what it is asked before that is answered. */
  readonly hangs: () => boolean;
  begin: () => void;
  readonly closed: () => number;
  /** The lock is had after all. */
  readonly late: () => void;
}

function hanging(name: Name): Hanging {
  const target = new Target();
  let begun = false;
  let hangs = false;
  let closed = 0;
  let late = (_: VisibleLock): void => undefined;
  const hang = <T>(): Promise<T> => {
    hangs = true;
    return new Promise(() => undefined);
  };
  const lock: VisibleLock = {
    held: () => (name === 'held' ? hang() : Promise.resolve({ is: 'yes', because: 'held' })),
    [Symbol.asyncDispose]: () => {
      closed += 1;
      return Promise.resolve();
    },
  };
  const step: Parts['step'] = {
    ...(name === 'probe' ? { probe: () => hang() } : {}),
    ...(name === 'verify' ? { verify: () => hang() } : {}),
    ...(name === 'session' ? { fencing: 'session', session: () => hang() } : {}),
  };
  const plain = stepAction(target, { step, fence: () => Promise.resolve({ is: 'yes', because: 'none' }) });
  const action: Action<unknown> = {
    ...plain,
    look: (...args) => (name === 'look' && begun ? hang() : plain.look(...args)),
    lock: () => {
      if (name !== 'lock') return Promise.resolve({ is: 'held', lock });
      hangs = true;
      return new Promise((resolve) => {
        late = (had) => {
          resolve({ is: 'held', lock: had });
        };
      });
    },
    soak: (...args) => (name === 'soak' ? hang() : plain.soak(...args)),
  };
  return {
    action,
    target,
    hangs: () => hangs,
    begin: () => (begun = true),
    closed: () => closed,
    late: () => {
      late(lock);
    },
  };
}

async function begun(h: Harness, of: Hanging): Promise<{ idle: Promise<void> }> {
  const { run, hold, evidenceHash } = await h.claim(of.action);
  of.begin();
  const lease = { ...leaseTiming(h.clock), renewMs: 50 };
  const runner = h.runner(of.action, { lookMs: 150, lease });
  runner.begin(run, hold, evidenceHash);
  return { idle: runner.idle() };
}

async function inTime(idle: Promise<void>, what: string): Promise<void> {
  let isIdle = false;
  void idle.then(() => (isIdle = true));
  await waitFor(() => isIdle, { deadlineMs: 15_000, what });
}

// They wait most of the time
suite('functions that hang', { concurrency: true }, () => {
  for (const [name, { ends }] of Object.entries(functions) as [Name, (typeof functions)[Name]][]) {
    test(`${name} hangs and the lease is lost: the run is left as it is`, async () => {
      await using h = await harness();
      const of = hanging(name);
      const { idle } = await begun(h, of);
      await waitFor(() => of.hangs(), { what: `${name} to hang` });
      h.clock.aheadMs += 31_000;
      await inTime(idle, 'the run to be left');
      assert.notEqual((await h.onlyRun()).state, 'ended');
      assert.deepEqual(h.endings, []);
      if (name !== 'lock') assert.equal(of.closed(), 1, 'the lock was given back');
    });

    if (ends === undefined) continue;
    test(`${name} hangs: the run ends without it`, async () => {
      await using h = await harness();
      const of = hanging(name);
      const { idle } = await begun(h, of);
      await inTime(idle, 'the end of the run');
      const { state, outcome, because } = await h.onlyRun();
      assert.equal(state, 'ended');
      assert.match(`${String(outcome)}: ${String(because)}`, ends, story(await h.journal()));
      assert.deepEqual(of.target.witness, name === 'verify' ? ['change'] : []);
    });
  }

  test('a lock that is had too late is given back', async () => {
    await using h = await harness();
    const of = hanging('lock');
    const { idle } = await begun(h, of);
    await inTime(idle, 'the end of the run');
    assert.equal(of.closed(), 0);
    of.late();
    await waitFor(() => of.closed() === 1, { what: 'the late lock to be given back' });
  });

  test('a lock that does not close does not keep its run', async () => {
    await using h = await harness();
    const target = new Target();
    const plain = stepAction(target, {});
    let closing = 0;
    const action: Action<unknown> = {
      ...plain,
      lock: () =>
        Promise.resolve({
          is: 'held',
          lock: {
            held: () => Promise.resolve({ is: 'yes', because: 'held' }),
            [Symbol.asyncDispose]: () => {
              closing += 1;
              return new Promise(() => undefined);
            },
          },
        }),
    };
    const { run, hold, evidenceHash } = await h.claim(action);
    const runner = h.runner(action);
    runner.begin(run, hold, evidenceHash);
    await inTime(runner.idle(), 'the end of the run');
    assert.equal((await h.onlyRun()).outcome, 'verified');
    assert.equal(closing, 1);
  });
});
