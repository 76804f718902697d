import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrapeBudgetMs, targetsBudgetMs } from '../../../exporter/scrape/deadline.ts';

for (const [header, budgetMs] of [
  [undefined, 9750],
  ['10.000000', 9750],
  ['1', 800],
  [' 2 ', 1750],
  ['0.5', 400],
  ['300', 59_750],
  ['', 9750],
  ['0', 9750],
  ['-1', 9750],
  ['1e3', 9750],
  ['0x10', 9750],
  ['NaN', 9750],
  ['Infinity', 9750],
  ['10, 20', 9750],
  ['9'.repeat(400), 9750],
] as const) {
  test(`timeout header ${String(header).slice(0, 20)}: ${String(budgetMs)} ms`, () => {
    assert.equal(scrapeBudgetMs(header), budgetMs);
  });
}

test('the offset can be set; it takes at most a fifth of the timeout', () => {
  const options = { offsetMs: 500, defaultMs: 4000, atMostMs: 20_000 };
  assert.equal(scrapeBudgetMs(undefined, options), 3500);
  assert.equal(scrapeBudgetMs('1', options), 800);
  assert.equal(scrapeBudgetMs('100', options), 19_500);
});

test('a part is kept for what comes after the targets', () => {
  assert.equal(targetsBudgetMs(800), 720);
  assert.equal(targetsBudgetMs(9750), 9250);
});
