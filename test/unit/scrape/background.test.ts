// What a collector does beside the sweeps: begun once, ended with the target, begun anew after a fault.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { repeat } from '../../../exporter/runtime/repeat.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { fakeFact, fakeInventory, roundsDeps, script } from '../../support/fake-system.ts';

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

test('it runs once, with a connection of its own beside the sweeps, and sees what the sweeps found', async () => {
  let runs = 0;
  let fact: unknown;
  const a = script({
    background: async (work) => {
      runs += 1;
      const client = (await work.open({ signal: within(1000), clock: work.clock })) as AsyncDisposable;
      await waitFor(
        async () => {
          const found = await work.peers?.fact('a', fakeFact, 0);
          fact = found?.known === true ? found.value : undefined;
          return fact;
        },
        { what: 'the fact' },
      );
      await client[Symbol.asyncDispose]();
      await untilAborted(work.signal);
    },
  });
  const deps = roundsDeps();
  const rounds = new Rounds(fakeInventory({ a }), deps);
  await rounds.scrape(1000);
  await rounds.scrape(1000);
  await waitFor(() => fact, { what: 'the fact' });
  assert.equal(fact, 7);
  assert.deepEqual([runs, a.opens], [1, 2], 'one connection of the sweeps, one of its own');
  await rounds.close();
  assert.deepEqual([runs, a.connections, deps.faults], [1, 0, []]);
});

test('it goes on over a reload that leaves the target as it is, and ends before the changed target begins its own', async () => {
  const order: string[] = [];
  const a = script({
    background: async ({ signal }) => {
      order.push('begun');
      await untilAborted(signal);
      await new Promise(setImmediate);
      order.push('ended');
    },
  });
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps());
  await waitFor(() => order.length === 1, { what: 'order.length === 1' });
  rounds.replace(fakeInventory({ a }, () => ({ labels: { team: 'x' } })));
  await rounds.scrape(1000);
  assert.deepEqual(order, ['begun']);
  rounds.replace(fakeInventory({ a }, () => ({ collectors: { value: { every: 2 } } })));
  await waitFor(() => order.length === 3, { what: 'order.length === 3' });
  assert.deepEqual(order, ['begun', 'ended', 'begun']);
  await rounds.close();
  assert.equal(order.at(-1), 'ended');
});

test('what it throws is a fault when it is one, and never reaches the sweeps; stop does not wait for its next try', async () => {
  let runs = 0;
  const a = script({
    background: () => {
      runs += 1;
      throw new TypeError('a bug');
    },
  });
  const deps = roundsDeps();
  const rounds = new Rounds(fakeInventory({ a }), deps);
  await waitFor(() => deps.faults.length === 1, { what: 'deps.faults.length === 1' });
  assert.ok((await rounds.scrape(1000)).length > 0);
  const startedAtMs = performance.now();
  await rounds.close();
  assert.ok(performance.now() - startedAtMs < 2000);
  assert.deepEqual([runs, deps.faults], [1, ['background value']]);
});

test('repeat: one run at a time, from start to start, until the signal', async () => {
  const end = new AbortController();
  let running = 0;
  let runs = 0;
  await repeat({ signal: end.signal, clock: systemClock, everyMs: 1 }, async () => {
    running += 1;
    assert.equal(running, 1);
    await new Promise(setImmediate);
    running -= 1;
    runs += 1;
    if (runs === 5) end.abort();
  });
  assert.equal(runs, 5);
  const fails = repeat({ signal: within(60_000), clock: systemClock, everyMs: 1 }, () =>
    Promise.reject(new Error('no')),
  );
  await assert.rejects(fails, /no/);
});
