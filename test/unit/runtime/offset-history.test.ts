import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OffsetHistory } from '../../../exporter/runtime/offset-history.ts';
import { generator } from '../../support/random.ts';

function historyOf(samples: readonly (readonly [atMs: number, end: number])[], capacity?: number): OffsetHistory {
  const history = new OffsetHistory(capacity);
  for (const [atMs, end] of samples) history.add(atMs, end);
  return history;
}

test('without a sample there is no age', () => {
  assert.equal(new OffsetHistory().ageAt(0, 0), undefined);
});

test('what is read to the end is 0 old, at the end and beyond it', () => {
  const history = historyOf([[0, 100]]);
  assert.deepEqual(history.ageAt(100, 5_000), { seconds: 0, atLeast: false });
  assert.deepEqual(history.ageAt(101, 5_000), { seconds: 0, atLeast: false });
});

test('an offset before the first sample is at least as old as that', () => {
  assert.deepEqual(historyOf([[1_000, 100]]).ageAt(99, 4_000), { seconds: 3, atLeast: true });
  assert.deepEqual(historyOf([[1_000, 100], [2_000, 200]]).ageAt(99, 4_000), { seconds: 3, atLeast: true }); // prettier-ignore
});

test('between two samples the age is interpolated', () => {
  const history = historyOf([[0, 0], [10_000, 100], [20_000, 100], [30_000, 200]]); // prettier-ignore
  assert.deepEqual(history.ageAt(50, 30_000), { seconds: 25, atLeast: false });
  assert.deepEqual(history.ageAt(150, 30_000), { seconds: 5, atLeast: false });
});

test('the first record after a plateau is as old as the end of the plateau, not its beginning', () => {
  const history = historyOf([[0, 0], [10_000, 100]]); // prettier-ignore
  for (let atMs = 20_000; atMs <= 3_600_000; atMs += 10_000) history.add(atMs, 100);
  history.add(3_610_000, 110);
  assert.deepEqual(history.ageAt(100, 3_610_000), { seconds: 10, atLeast: false });
  // and a record written before the plateau is older than all of it
  assert.deepEqual(history.ageAt(99, 3_610_000), { seconds: 3_600.1, atLeast: false });
});

test('the end of a long plateau outlives the thinning', () => {
  const history = historyOf([[0, 0], [10_000, 100]], 20); // prettier-ignore
  for (let atMs = 20_000; atMs <= 36_000_000; atMs += 10_000) history.add(atMs, 100); // ten quiet hours
  let end = 100;
  let atMs = 36_000_000;
  for (let i = 0; i < 500; i++) history.add((atMs += 10_000), (end += 10));
  const age = history.ageAt(100, atMs);
  assert.equal(age?.atLeast, false);
  // true: 4,990 to 5,000 s
  assert.ok(age.seconds > 4_000 && age.seconds < 6_000, String(age.seconds));
});

test('a smaller end starts over: the log was made anew', () => {
  const history = historyOf([[0, 0], [10_000, 1_000], [20_000, 5]]); // prettier-ignore
  assert.deepEqual(history.ageAt(5, 25_000), { seconds: 0, atLeast: false });
  assert.deepEqual(history.ageAt(4, 25_000), { seconds: 5, atLeast: true });
});

test('backfilled samples lie before the first one, and only where they do not contradict it', () => {
  const history = historyOf([[100_000, 1_000]]);
  assert.equal(history.backfilled, false);
  history.backfill([
    { atMs: 0, endOffset: 0 },
    { atMs: 50_000, endOffset: 500 },
    { atMs: 60_000, endOffset: 1_001 }, // beyond a later end
    { atMs: 200_000, endOffset: 1_000 }, // not before
  ]);
  assert.equal(history.backfilled, true);
  assert.deepEqual(history.ageAt(250, 100_000), { seconds: 75, atLeast: false });
  assert.deepEqual(history.ageAt(750, 100_000), { seconds: 25, atLeast: false });
  history.add(110_000, 3); // made anew: what was filled in is gone too
  assert.equal(history.backfilled, false);
  assert.equal(history.ageAt(2, 110_000)?.atLeast, true);
});

test('a sample from elsewhere is put between the others, unless it contradicts them', () => {
  const history = historyOf([[100_000, 1_000], [200_000, 2_000]]); // prettier-ignore
  assert.equal(history.ownSinceMs, 100_000);
  history.backfill([{ atMs: 0, endOffset: 0 }]);
  assert.equal(history.insert(50_000, 900), true);
  assert.deepEqual(history.ageAt(450, 200_000), { seconds: 175, atLeast: false });
  assert.deepEqual(history.ageAt(950, 200_000), { seconds: 125, atLeast: false });
  for (const [atMs, end] of [
    [50_000, 950],
    [60_000, 899],
    [60_000, 1_001],
    [-1, 0],
    [200_001, 2_000],
  ] as const) {
    // prettier-ignore
    assert.equal(history.insert(atMs, end), false, `${atMs} ${end}`);
  }
  assert.equal(history.ownSinceMs, 100_000);
  history.add(210_000, 3);
  assert.equal(history.ownSinceMs, 210_000);
});

test('property: within one sweep interval of a model that remembers every record', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const chance = generator(seed);
    const { history, writtenAtMs, nowMs, maxStepMs } = simulate(chance, 1_000, 60, 0.2);
    for (let i = 0; i < 50; i++) {
      const offset = Math.floor(chance() * (writtenAtMs.length + 2));
      const age = history.ageAt(offset, nowMs);
      assert.ok(age !== undefined);
      const written = writtenAtMs[offset];
      if (written === undefined) assert.deepEqual(age, { seconds: 0, atLeast: false });
      else if (!age.atLeast) {
        const wrongMs = Math.abs(age.seconds * 1_000 - (nowMs - written));
        assert.ok(wrongMs <= maxStepMs, `seed ${seed}, offset ${offset}: wrong by ${wrongMs} ms`);
      } else assert.ok(age.seconds * 1_000 <= nowMs - written + 1, `seed ${seed}: not a lower bound`);
    }
  }
});

test('property: with fewer samples than sweeps, wrong by no more than a part of the age', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const chance = generator(seed);
    const { history, writtenAtMs, nowMs, maxStepMs } = simulate(chance, 60, 2_000, 0.005);
    for (let i = 0; i < 50; i++) {
      const offset = Math.floor(chance() * writtenAtMs.length);
      const age = history.ageAt(offset, nowMs);
      const written = writtenAtMs[offset];
      if (age === undefined || written === undefined || age.atLeast) continue;
      const trueMs = nowMs - written;
      const wrongMs = Math.abs(age.seconds * 1_000 - trueMs);
      assert.ok(wrongMs <= 2 * maxStepMs + trueMs / 3, `seed ${seed}: ${trueMs} ms, wrong by ${wrongMs} ms`);
    }
  }
});

/** A log that grows in bursts and rests, looked at every 5 to 15 s. */
function simulate(
  chance: () => number,
  capacity: number,
  sweeps: number,
  turnChance: number,
): { history: OffsetHistory; writtenAtMs: number[]; nowMs: number; maxStepMs: number } {
  const history = new OffsetHistory(capacity);
  const writtenAtMs: number[] = [];
  let nowMs = 1_000;
  let maxStepMs = 0;
  let busy = true;
  history.add(nowMs, 0);
  for (let i = 0; i < sweeps; i++) {
    const stepMs = 5_000 + chance() * 10_000;
    maxStepMs = Math.max(maxStepMs, stepMs);
    if (chance() < turnChance) busy = !busy;
    const times = busy ? Array.from({ length: Math.floor(chance() * 8) }, () => nowMs + chance() * stepMs) : [];
    writtenAtMs.push(...times.sort((a, b) => a - b));
    nowMs += stepMs;
    history.add(nowMs, writtenAtMs.length);
  }
  return { history, writtenAtMs, nowMs, maxStepMs };
}
