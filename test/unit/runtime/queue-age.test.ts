import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OffsetHistory } from '../../../exporter/runtime/offset-history.ts';
import { QueueAge } from '../../../exporter/runtime/queue-age.ts';
import { generator } from '../../support/random.ts';

test('what is proved of an age: the samples before and after the offset', () => {
  const history = new OffsetHistory();
  assert.equal(history.boundsAt(0, 0), undefined);
  for (const [atMs, end] of [[1_000, 100], [2_000, 100], [5_000, 100], [9_000, 300]] as const) history.add(atMs, end); // prettier-ignore
  assert.deepEqual(history.boundsAt(99, 10_000), { least: 9, most: undefined }, 'before the first sample');
  assert.deepEqual(history.boundsAt(100, 10_000), { least: 1, most: 5 }, 'after the plateau, not at its beginning');
  assert.deepEqual(history.boundsAt(299, 10_000), { least: 1, most: 5 });
  assert.deepEqual(history.boundsAt(300, 10_000), { least: 0, most: 1 }, 'what is behind the end is of after the last look');
  assert.deepEqual(history.boundsAt(999, 10_000), { least: 0, most: 1 });
}); // prettier-ignore

test('the true age lies within what is proved, whatever is written and however often it is looked at', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = generator(seed);
    const history = new OffsetHistory(20);
    /** When each record was written. */
    const writtenAtMs: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 200; i++) {
      nowMs += random() * 3_000;
      for (let n = Math.floor(random() * 4); n > 0; n--) writtenAtMs.push(nowMs - random() * 100);
      writtenAtMs.sort((a, b) => a - b);
      if (random() < 0.3) history.add(nowMs, writtenAtMs.length);
      const offset = Math.floor(random() * writtenAtMs.length);
      const bounds = history.boundsAt(offset, nowMs);
      const written = writtenAtMs[offset];
      if (bounds === undefined || written === undefined) continue;
      const age = (nowMs - written) / 1000;
      const most = bounds.most ?? Infinity;
      // 0.1: records of one step are sorted into it
      assert.ok(bounds.least <= age + 0.1 && age <= most + 0.1, `seed ${seed}: ${bounds.least} ${age} ${most}`);
      const estimate = history.ageAt(offset, nowMs);
      if (bounds.most !== undefined && estimate !== undefined) {
        assert.ok(estimate.seconds >= bounds.least && estimate.seconds <= bounds.most);
      }
    }
  }
});

test('the oldest of a queue, by counts alone', () => {
  const queue = new QueueAge();
  assert.deepEqual(queue.look(0, 0, 5), { seconds: 0, atLeast: true }, 'it came in before this was watched');
  assert.deepEqual(queue.look(10_000, 5, 10), { seconds: 10, atLeast: false });
  assert.deepEqual(queue.look(20_000, 10, 10), { seconds: 15, atLeast: false });
  assert.deepEqual(queue.look(30_000, 20, 0), { seconds: 0, atLeast: false });
  assert.deepEqual(queue.look(31_000, 3, 1), { seconds: 0, atLeast: true }, 'counted anew');
  assert.deepEqual(queue.look(41_000, 4, 2), { seconds: 10, atLeast: false });
  assert.deepEqual(queue.look(42_000, 3, 2), { seconds: 11, atLeast: false }, 'the two counts are of two instants');
});

test('two counts that were not read at one instant do not start it over', () => {
  const queue = new QueueAge();
  queue.look(0, 100, 0);
  queue.look(10_000, 100, 20);
  assert.deepEqual(queue.look(20_000, 105, 14), { seconds: 17.5, atLeast: false });
});
