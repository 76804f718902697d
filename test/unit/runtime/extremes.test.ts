import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largestOf, smallestOf } from '../../../exporter/runtime/extremes.ts';
import { serviceNumbersOf } from '../../../exporter/systems/cdc-service/facts-page.ts';

test('as Math.max and Math.min, of any number of values', () => {
  for (const values of [[], [3], [3, -1, 7, 7], [1, NaN, 2], [-Infinity, 0]]) {
    assert.equal(largestOf(values), Math.max(...values));
    assert.equal(smallestOf(values), Math.min(...values));
  }
  const many = Array.from({ length: 300_000 }, (_, i) => i);
  assert.equal(largestOf(many), 299_999);
  assert.equal(smallestOf(many), 0);
});

test('a page of as many series as it has room for: the worst of them is told', () => {
  const labels = new Map<string, string>();
  const samples = Array.from({ length: 200_000 }, (_, value) => ({
    ...{ name: 'cdc_binlog_lag_seconds', labels, value, timestampMs: undefined },
  }));
  const page = { state: 'ok', value: { samples } } as unknown as Parameters<typeof serviceNumbersOf>[0];
  const { lagSeconds } = serviceNumbersOf(page, 0);
  assert.deepEqual(lagSeconds, { known: true, value: 199_999, observedAtMs: 0 });
});
