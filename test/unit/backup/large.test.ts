// The same as test/bench/backup.ts, small enough for every run: memory stays bounded, and sweeps are not held up.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { costOfReading, writeLargeDump } from '../../support/large-dump.ts';

test('a dump of 200 MB is read in little memory, and the sweeps beside it go on', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pipemedic-large-'));
  t.after(() => {
    rmSync(directory, { recursive: true });
  });
  await writeLargeDump(join(directory, 'a.sql.gz'), 200e6);
  const cost = await costOfReading(directory, '5GB', 60_000);
  assert.equal(cost.state, 'verified');
  assert.ok((cost.contentBytes ?? 0) > 200e6);
  assert.ok(cost.grownBytes < 60e6, `${String(cost.grownBytes)} bytes more than before`);
  assert.ok(cost.sweeps > 5, `${String(cost.sweeps)} sweeps`);
  assert.ok(cost.slowestSweepMs < 1_000, `${String(cost.slowestSweepMs)} ms for a sweep`);
  t.diagnostic(JSON.stringify(cost));
});
