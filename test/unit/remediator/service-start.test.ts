// That a service which was started lives for a while: by the time that is watched, not by what two clocks say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { known } from '../../../exporter/runtime/known.ts';
import { verifyStart } from '../../../remediator/actions/service/verify.ts';
import type { ServiceState, Supervisor } from '../../../remediator/supervisors/supervisor.ts';
import type { World } from '../../../remediator/world.ts';

for (const [clock, startedAtMs] of [
  ['behind', Date.now() - 3_600_000],
  ['ahead', Date.now() + 3_600_000],
] as const) {
  test(`with the clock of its supervisor an hour ${clock}, one that ends after a moment has not lasted`, async () => {
    const incarnation = { id: 'docker:a:1', pid: 7, startedAtMs };
    let looks = 0;
    const stateOf = (): ServiceState => {
      looks += 1;
      const isThere = looks < 3;
      const end = { incarnation, exit: known({ exitCode: 1, signal: null }, 1), endedAtMs: startedAtMs, asked: null };
      return {
        ...{ running: isThere ? incarnation : null, processState: known('S', 1), orphan: false },
        ...{ last: isThere ? null : end, maxFence: null },
      };
    };
    const supervisor: Pick<Supervisor, 'state' | 'log'> = {
      state: () => Promise.resolve(known(stateOf(), 1)),
      log: () => Promise.resolve({ known: false, why: 'not read' }),
    };
    const world = { clock: systemClock, supervisor: () => supervisor } as unknown as World;
    const step = verifyStart('cdc1', { startStableSeconds: 1 }, world, () => ({
      code: 'x',
      because: 'y',
      never: false,
    }));
    const seen = await step.verify({
      ...{ before: { running: null, last: null }, memo: { start: { id: incarnation.id, startedAtMs, pid: 7 } } },
      ...{ fence: 1, runId: 'r1', attempt: 1, signal: AbortSignal.timeout(10_000), note: () => undefined },
    });
    assert.equal(seen.is, 'no', seen.because);
  });
}

test('a supervisor that is silent for a moment does not make it begin to watch anew', async () => {
  const running = { id: 'docker:a:1', pid: 7, startedAtMs: 1 };
  let looks = 0;
  const state: ServiceState = { running, processState: known('S', 1), orphan: false, last: null, maxFence: null };
  const supervisor: Pick<Supervisor, 'state'> = {
    state: () => {
      looks += 1;
      return Promise.resolve(looks === 2 ? { known: false, why: 'it does not answer' } : known(state, 1));
    },
  };
  const clock = { ...systemClock, monoMs: () => looks * 600 };
  const world = { clock, supervisor: () => supervisor } as unknown as World;
  const never = { code: 'x', because: 'y', never: false };
  const step = verifyStart('cdc1', { startStableSeconds: 1 }, world, () => never);
  const look = async (): Promise<string> => {
    const run = {
      ...{ before: { running: null, last: null }, memo: { start: { id: running.id, startedAtMs: 1, pid: 7 } } },
      ...{ fence: 1, runId: 'r1', attempt: 1, signal: AbortSignal.timeout(10_000), note: () => undefined },
    };
    return (await step.verify(run)).is;
  };
  assert.deepEqual([await look(), await look(), looks], ['unknown', 'yes', 3]);
});
