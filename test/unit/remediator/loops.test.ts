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
