// The first part of the sweep of test/support/kill9.ts: from the intake to the look before the start.
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

test('killed at every fsync before the start: started exactly once, verified once', async (t) => {
  const seen = await sweep(t, killLab, { from: 1, until: 19 });
  if (seen === undefined) return;
  assert.ok(seen.includes(undefined), 'killed before the claim');
  assert.ok(
    seen.some((s) => s !== undefined && !s.startsWith('start')),
    'killed between the claim and the start',
  );
});
