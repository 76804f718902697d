// When is a folder full? The truth is simulated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FillHistory } from '../../../exporter/systems/host/facts-filling.ts';
import { generator } from '../../support/random.ts';

const gib = 2 ** 30;

function watch(free: (second: number) => number, seconds: number, everySeconds = 15): FillHistory {
  const history = new FillHistory(30 * 60_000);
  for (let s = 0; s <= seconds; s += everySeconds) history.add(s * 1000, free(s));
  return history;
}

function fullIn({ filling }: FillHistory): number {
  return filling.state === 'filling' ? filling.fullInSeconds : assert.fail(JSON.stringify(filling));
}

test('unknown until it was watched for a minute', () => {
  assert.equal(new FillHistory(60_000).filling.state, 'unknown');
  assert.equal(watch((s) => 100 * gib - s * gib, 45).filling.state, 'unknown');
  assert.equal(watch((s) => 100 * gib - s * gib, 60).filling.state, 'filling');
});

test('a steady rate gives the exact time; what empties, or rests, is steady', () => {
  const left = fullIn(watch((s) => 100 * gib - s * 1e6, 1200));
  assert.ok(Math.abs(left - (100 * gib - 1200e6) / 1e6) < 1, String(left));
  assert.equal(watch(() => gib, 1200).filling.state, 'steady');
  assert.equal(watch((s) => gib + s, 1200).filling.state, 'steady');
  assert.equal(watch((s) => 1000 * gib - s, 1200).filling.state, 'steady', 'in more than a month');
});

test('a saw of binary logs that are purged, with noise, does not look like a folder that fills', () => {
  const random = generator(7);
  const saw = watch((s) => 100 * gib - (s % 150) * 1e6 - random() * 1e6, 1800);
  const { filling } = saw;
  assert.ok(
    filling.state === 'steady' || (filling.state === 'filling' && filling.fullInSeconds > 86_400),
    JSON.stringify(filling),
  );
});

test('a burst counts within a few minutes, though the window is long and was quiet', () => {
  const start = 1500;
  const left = fullIn(watch((s) => 100 * gib - Math.max(0, s - start) * 100e6, start + 240));
  const truth = (100 * gib - 240 * 100e6) / 100e6;
  assert.ok(left < truth * 2.5, `${String(left)} of ${String(truth)}`);
});

test('what lies before the window is forgotten, and memory is bounded however often it is scraped', () => {
  const history = new FillHistory(60_000 * 10);
  for (let ms = 0; ms < 3_600_000; ms += 50) history.add(ms, ms < 1_800_000 ? 100 * gib - ms * 1e4 : 50 * gib);
  assert.equal(history.filling.state, 'steady');
  const before = process.memoryUsage().heapUsed;
  for (let ms = 3_600_000; ms < 3_700_000; ms += 1) history.add(ms, 50 * gib);
  assert.ok(process.memoryUsage().heapUsed - before < 20e6);
});
