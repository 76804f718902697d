import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pacer } from '../../../exporter/runtime/pacing.ts';

test('nothing before the time, then a turn of the event loop, then from the beginning', async () => {
  let nowMs = 0;
  const pace = pacer({ monoMs: () => nowMs, wallMs: () => 0 }, 10);
  nowMs = 9;
  assert.equal(pace(), undefined);
  nowMs = 10;
  const turn = pace();
  assert.ok(turn instanceof Promise);
  let turned = false;
  setImmediate(() => (turned = true));
  nowMs = 15;
  await turn;
  await new Promise(setImmediate);
  assert.ok(turned);
  nowMs = 24;
  assert.equal(pace(), undefined);
  nowMs = 25;
  assert.ok(pace() instanceof Promise);
});
