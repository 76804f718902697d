// The second part of the sweep of test/support/kill9.ts: from the look before the start to the end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startKillLab, sweep, type KillLab } from '../support/kill9.ts';

let killLab: KillLab;

before(async () => {
  killLab = await startKillLab();
});
after(async () => {
  await killLab[Symbol.asyncDispose]();
});

test('killed at every fsync from the start on: started exactly once, verified once', async (t) => {
  const seen = await sweep(t, killLab, {
    from: 19,
    until: Infinity,
    wanted: [{ what: /^start:result/, after: /^(start:intent|gate:)/ }],
  });
  if (seen === undefined) return;
  assert.ok(
    seen.some((s) => s?.startsWith('gate:') === true || s?.startsWith('start:intent') === true),
    'killed right before the start',
  );
  assert.ok(
    seen.some((s) => s?.startsWith('start:result') === true),
    'killed right after the start',
  );
});
