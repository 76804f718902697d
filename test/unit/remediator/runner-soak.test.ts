// The soak is watched for as long as it was promised, whatever the clock of the store does meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import type { Action, Checked } from '../../../remediator/action.ts';
import { asJson } from '../../../remediator/canonical.ts';
import { FakeService, fakeAction } from './fake-service.ts';
import { harness, policy } from './run-harness.ts';

const soakMs = 800;

/** Well at the first `well` looks; `at` is told of each. */
function watched(service: FakeService, well: number, at: (look: number) => void): Action<unknown> {
  let looks = 0;
  return {
    ...fakeAction(service),
    soak: (): Promise<Checked> => {
      looks += 1;
      at(looks);
      return Promise.resolve(looks <= well ? { is: 'yes', because: 'well' } : { is: 'no', because: 'it has ended' });
    },
  };
}

test('a ledger that jumps within the soak does not shorten it', async () => {
  await using h = await harness();
  const { nowMs } = h.clock;
  const action = watched(new FakeService(), 1, () => {
    Object.assign(h.clock, { nowMs: () => nowMs() + 20_000 });
  });
  const { run, hold, evidenceHash } = await h.claim(action);
  const runner = h.runner(action);
  runner.begin({ ...run, policy: asJson({ ...policy, soakMs }) }, hold, evidenceHash);
  await runner.idle();
  const { outcome, because } = await h.onlyRun();
  assert.deepEqual([outcome, because], ['failed', 'it did not last: it has ended']);
});

for (const isSteady of [true, false]) {
  test(`a soak that is gone on with after a jump, with a clock that is ${isSteady ? '' : 'not '}to be believed`, async () => {
    await using h = await harness();
    const { nowMs } = h.clock;
    const stopping = new AbortController();
    const action = watched(new FakeService(), 2, (look) => {
      if (look === 1) stopping.abort();
    });
    const { run, hold, evidenceHash } = await h.claim(action);
    const first = h.runner(action);
    // as it is kept in the store, for whoever takes it up
    const ofStore = h.store.activeRuns.bind(h.store);
    const longer = { policy: asJson({ ...policy, soakMs }) };
    Object.assign(h.store, { activeRuns: async () => (await ofStore()).map((r) => ({ ...r, ...longer })) });
    first.begin({ ...run, ...longer }, hold, evidenceHash);
    stopping.signal.addEventListener('abort', () => void first.drain(AbortSignal.timeout(10_000)));
    await first.idle();
    assert.equal((await h.onlyRun()).state, 'soaking');

    Object.assign(h.clock, {
      nowMs: () => nowMs() + 3_600_000,
      steady: () => (isSteady ? known('steady', 1) : unknown('the clock has jumped')),
    });
    const second = h.runner(action);
    await second.resume();
    await second.idle();
    // by a clock that is right nobody was there for an hour: what is seen at its end counts
    assert.equal((await h.onlyRun()).outcome, isSteady ? 'verified' : 'failed');
  });
}
