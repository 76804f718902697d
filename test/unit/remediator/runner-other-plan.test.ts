// A run that was left open within a call, taken up by a version whose plan is another one: what the call did is not known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action, Probe, Step } from '../../../remediator/action.ts';
import { harness, story, type Harness } from './run-harness.ts';
import { stepAction, Target } from './step-action.ts';

const later = 61_000;

interface World {
  readonly plain: Action<unknown>;
  readonly witness: string[];
  readonly step: (name: string, change?: Partial<Step<unknown>>) => Step<unknown>;
}

/** Steps that are done when they are in the witness, and undone by one that is too. */
function worldOf(): World {
  const target = new Target();
  const { witness } = target;
  const plain = stepAction(target, {});
  const [template] = plain.steps('svc1', {}, undefined);
  assert.ok(template);
  const bare = (name: string): Step<unknown> => ({
    ...template,
    name,
    help: name,
    probe: () =>
      Promise.resolve<Probe>(
        witness.includes(name) ? { is: 'present', because: 'done' } : { is: 'absent', because: 'not done' },
      ),
    apply: () => {
      witness.push(name);
      return Promise.resolve({ is: 'done', because: 'done' });
    },
    verify: () => Promise.resolve({ is: 'yes', because: 'done' }),
  });
  return {
    plain,
    witness,
    step: (name, change = {}) => ({ ...bare(name), compensate: bare(`${name}.back`), ...change }),
  };
}

/** Ends as a process that dies within the call of `second`: its intent is written, and nothing behind it. */
async function leftWithin(h: Harness, action: Action<unknown>): Promise<void> {
  const { run, hold, evidenceHash } = await h.claim(action);
  let isDead = false;
  const crash = (): Promise<never> => Promise.reject(new Error('crash'));
  const runner = h.runner(action, {
    store: {
      ...h.store,
      appendJournal: (of, entry, now) => {
        isDead ||= entry.step === 'second' && entry.kind === 'result';
        return isDead ? crash() : h.store.appendJournal(of, entry, now);
      },
      endRun: crash,
    },
  });
  runner.begin(run, hold, evidenceHash);
  await runner.idle();
  assert.match(story(await h.journal()), /first:verify=yes second:intent$/);
}

const cannotSay: Partial<Step<unknown>> = { probe: () => Promise.resolve({ is: 'unknown', because: 'no answer' }) };
const plans: readonly (readonly [what: string, steps: (world: World) => readonly Step<unknown>[]])[] = [
  ['another step comes first and fails', ({ step }) => [step('first'), step('third', cannotSay), step('second')]],
  ['the step is no part of it', ({ step }) => [step('first')]],
  ['nothing of before is a part of it', ({ step }) => [step('fourth', cannotSay)]],
];
for (const [what, steps] of plans) {
  test(`${what}: the outcome is unknown and latched, nothing else is done or undone`, async () => {
    await using h = await harness();
    const world = worldOf();
    await leftWithin(h, { ...world.plain, steps: () => [world.step('first'), world.step('second')] });
    assert.deepEqual(world.witness, ['first', 'second']);
    h.clock.aheadMs += later;
    const next = h.runner({ ...world.plain, steps: () => steps(world) }, { holder: 'h2' });
    await next.resume();
    await next.idle();
    const run = await h.onlyRun();
    assert.deepEqual([run.state, run.outcome], ['ended', 'outcome_unknown'], story(await h.journal()));
    assert.match(run.because ?? '', /what second did cannot be known/);
    assert.equal((await h.store.latches()).length, 1);
    assert.deepEqual(world.witness, ['first', 'second']);
  });
}

test('the same plan: the open call is looked at first, and what was done before it is undone when a later step fails', async () => {
  await using h = await harness();
  const world = worldOf();
  const { step } = world;
  const failing = step('third', { apply: () => Promise.resolve({ is: 'refused', because: 'no' }), maxAttempts: 1 });
  const action = { ...world.plain, steps: () => [step('first'), step('second'), failing] };
  await leftWithin(h, action);
  h.clock.aheadMs += later;
  const next = h.runner(action, { holder: 'h2' });
  await next.resume();
  await next.idle();
  assert.equal((await h.onlyRun()).outcome, 'failed');
  assert.deepEqual(world.witness, ['first', 'second', 'second.back', 'first.back']);
  assert.equal((await h.store.latches()).length, 0);
});
