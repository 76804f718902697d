// The limit of sweeps that run at the same time: first come, first served, and what is slow does not keep others out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { SweepGate, type Turn } from '../../../exporter/scrape/gate.ts';

const never = new AbortController().signal;

function soon(ms = 60_000): number {
  return systemClock.monoMs() + ms;
}

async function took(turn: Promise<Turn | undefined>): Promise<Turn> {
  const found = await turn;
  assert.ok(found !== undefined);
  return found;
}

test('no more than the limit at a time, in the order in which they came', async () => {
  const gate = new SweepGate(2, systemClock);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const turn = await took(gate.enter(soon(), never));
      order.push(i);
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      turn.end();
      turn.end(); // counts once
    }),
  );
  assert.equal(most, 2);
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  assert.equal(gate.waiting, 0);
});

test('whoever waits too long leaves the queue, and nobody behind is kept out by that', async () => {
  const gate = new SweepGate(1, systemClock);
  const first = await took(gate.enter(soon(), never));
  const leaves = new AbortController();
  const second = gate.enter(soon(), leaves.signal);
  const third = gate.enter(soon(), never);
  leaves.abort();
  assert.equal(await second, undefined);
  first.end();
  (await took(third)).end();
  assert.equal(await gate.enter(soon(), AbortSignal.abort()), undefined);
  (await took(gate.enter(soon(), never))).end();
});

test('twice as many that never end as there are places: all who wait begin before their time is over', async () => {
  const gate = new SweepGate(4, systemClock);
  const hung = Array.from({ length: 8 }, () => gate.enter(soon(), never));
  const healthy = Array.from({ length: 10 }, async () => {
    const turn = await took(gate.enter(soon(), never));
    turn.end();
    return true;
  });
  assert.deepEqual(
    await Promise.all(healthy),
    Array.from({ length: 10 }, () => true),
  );
  for (const turn of await Promise.all(hung)) turn?.end();
  await waitFor(() => gate.waiting === 0, { what: 'an empty queue' });
});

test('places change hands so fast that all who wait begin before their time is over', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const gate = new SweepGate(1, { ...systemClock, monoMs: () => nowMs });
  let begun = 0;
  const hung = Array.from({ length: 6 }, async () => {
    await took(gate.enter(1500, never));
    begun += 1;
  });
  for (; nowMs < 1500; nowMs += 10) {
    t.mock.timers.tick(10);
    await new Promise(setImmediate);
  }
  assert.equal(begun, 6);
  await Promise.all(hung);
});
