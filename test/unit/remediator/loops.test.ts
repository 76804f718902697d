// Loops: what wakes them, and what does not keep them from going on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { loop } from '../../../remediator/loops.ts';

const log = createLog('test', 'silent');
const hourMs = 3_600_000;

test(
  'a loop waits no longer than until something is due, and no longer than its interval',
  { timeout: 10_000 },
  async () => {
    for (const [everyMs, saidMs] of [
      [hourMs, 5],
      [hourMs, -5],
      [5, hourMs],
      [5, undefined],
    ] as const) {
      const end = new AbortController();
      let runs = 0;
      const work = (): Promise<void> => {
        runs += 1;
        if (runs === 3) end.abort();
        return Promise.resolve();
      };
      await loop('test', everyMs, end.signal, log, work, () => Promise.resolve(saidMs)).run();
      assert.equal(runs, 3);
    }
  },
);

test('a loop goes on after a failure, and at once when it is told to', { timeout: 10_000 }, async () => {
  const end = new AbortController();
  let runs = 0;
  const it = loop('test', hourMs, end.signal, log, () => {
    runs += 1;
    if (runs === 3) end.abort();
    setImmediate(it.soon);
    return Promise.reject(new Error('this time'));
  });
  await it.run();
  assert.equal(runs, 3);
});

test('a loop that rests does what it is told meanwhile once, and after its rest', { timeout: 10_000 }, async () => {
  const end = new AbortController();
  const begunMs: number[] = [];
  const restMs = 30;
  const work = (): Promise<void> => {
    begunMs.push(performance.now());
    if (begunMs.length === 3) end.abort();
    for (let i = 0; i < 5; i++) it.soon();
    setImmediate(it.soon);
    return Promise.resolve();
  };
  const it = loop('test', hourMs, end.signal, log, work, undefined, restMs);
  await it.run();
  const [first = 0, second = 0, third = 0, ...more] = begunMs;
  assert.deepEqual(more, []);
  // a timer counts whole milliseconds from the beginning of its turn
  assert.ok(Math.min(second - first, third - second) >= restMs - 2, String(begunMs));
});

test('the end does not wait for the rest of a loop', { timeout: 10_000 }, async () => {
  const end = new AbortController();
  const work = (): Promise<void> => {
    setImmediate(() => {
      end.abort();
    });
    return Promise.resolve();
  };
  await loop('test', hourMs, end.signal, log, work, undefined, hourMs).run();
});
