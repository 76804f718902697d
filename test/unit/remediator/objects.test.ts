// Two objects of one target (channels of a replica): what has happened to one of them says nothing of the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import type { Decision } from '../../../remediator/model.ts';
import { policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

/** By channel: how far its data has come. */
const marks = new Map<string, string>();

function ofChannels(b: Bench): Pick<EvaluatorDeps<World>, 'actions'> {
  const inner = fakeAction(b.service);
  return {
    actions: [
      {
        ...inner,
        objectLabels: { channel: 'channel_name' },
        params: z.strictObject({ channel: z.string().optional() }),
        look: async (target, params, ...rest) => {
          const { channel = '' } = params as { readonly channel?: string };
          return { ...(await inner.look(target, {}, ...rest)), progressMark: marks.get(channel) ?? '' };
        },
        steps: (target, _params, world) => inner.steps(target, {}, world),
        soak: (target, _params, ...rest) => inner.soak(target, {}, ...rest),
        lock: undefined,
      },
    ],
  };
}

const alertOf = (channel: string): Readonly<Record<string, string>> => ({
  ...{ alertname: 'ServiceSick', target: 'svc1' },
  ...(channel === '' ? {} : { channel_name: channel }),
});

/** Sick, with the cooldown over. */
async function again(b: Bench, id: string): Promise<Decision> {
  b.service.isSick = true;
  b.clock.aheadMs += policy.pace.cooldownMs + 15_001;
  await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
  const decision = await b.lookTwice(id);
  await b.evaluator.idle();
  return decision;
}

test('a channel that has not moved since its attempt failed is not tried again for what became of another one', () =>
  withBench(async (b) => {
    marks.set('a', 'a:4').set('', 'default:7');
    b.service.dataMoves = 'no';
    const a = await b.fire(alertOf('a'));
    const standard = await b.fire(alertOf(''));
    assert.equal((await again(b, a)).verdict, 'act');
    assert.equal((await again(b, standard)).verdict, 'act');
    assert.equal((await again(b, a)).reasonKey, 'progress:no_progress');
    assert.equal((await again(b, standard)).reasonKey, 'progress:no_progress');
    assert.equal((await b.runs()).length, 2);
  }, ofChannels));

test('trouble of another channel after a repair that was verified is no relapse of that one', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, relapseMs: 3_600_000, pace: { ...policy.pace, maxRelapses: 1, maxRuns: 10 } }];
    const [a, c] = [await b.fire(alertOf('a')), await b.fire(alertOf('c'))];
    assert.equal((await again(b, a)).verdict, 'act');
    assert.equal((await again(b, c)).verdict, 'act', 'the first trouble of c');
    assert.deepEqual(
      (await b.runs()).map((r) => r.outcome),
      ['verified', 'verified'],
    );
    assert.equal((await again(b, a)).reasonKey, 'relapse:relapses', 'a is sick for the second time');
    assert.deepEqual(await b.store.demotions(), []);
  }, ofChannels));
