// A class of trouble that a repair answers once in a while only: kept with the runs, so that every remediator of the store
// knows it, and counted in ledger time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EvaluatorDeps } from '../../../remediator/evaluator.ts';
import type { Decision } from '../../../remediator/model.ts';
import { policy, withBench, type Bench, type World } from './evaluator-bench.ts';
import { fakeAction } from './fake-service.ts';

const hour = 3_600_000;
let isMemory = true;

function ofMemory(b: Bench): Pick<EvaluatorDeps<World>, 'actions'> {
  const inner = fakeAction(b.service);
  return {
    actions: [
      {
        ...inner,
        look: async (...args) => ({
          ...(await inner.look(...args)),
          ...(isMemory ? { once: { what: 'its memory is full', withinMs: 24 * hour } } : {}),
        }),
      },
    ],
  };
}

/** Sick again so much later, as another process sees it that remembers nothing. */
async function again(b: Bench, id: string, laterMs: number): Promise<Decision> {
  b.service.isSick = true;
  b.clock.aheadMs += laterMs;
  await b.store.setAlertState(id, 'active', '', b.clock.nowMs());
  const decision = await b.lookTwice(id);
  await b.evaluator.idle();
  return decision;
}

test('what is answered once a day is not answered again, whatever the wall clock says; other trouble is', () =>
  withBench(async (b) => {
    b.policies = [{ ...policy, relapseMs: 0 }];
    isMemory = true;
    const id = await b.fire();
    assert.equal((await again(b, id, 15_001)).verdict, 'act');
    assert.equal((await b.runs())[0]?.outcome, 'verified');

    const { wallMs } = b.clock;
    Object.assign(b.clock, { wallMs: () => wallMs() + 30 * hour });
    const second = await again(b, id, hour);
    assert.deepEqual([second.verdict, second.reasonKey], ['refuse', 'preconditions:answered_before']);
    assert.match(second.because, /its memory is full.* run .* 1 h ago/);
    assert.equal((await b.runs()).length, 1);

    isMemory = false;
    assert.equal((await again(b, id, hour)).verdict, 'act');
    isMemory = true;
    assert.equal((await again(b, id, 22 * hour + 1)).verdict, 'act', 'a day after the first');
  }, ofMemory));
