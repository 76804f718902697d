import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Call } from '../../../exporter/collector.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { findJvm } from '../../../exporter/systems/jvm/facts-process.ts';

test('what is not seen from a container is not gone', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-jvm-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  const pidFile = join(dir, 'pid');
  writeFileSync(pidFile, '4194305'); // above the largest that Linux gives
  const call: Call = { signal: AbortSignal.timeout(5000), clock: systemClock };
  const seenFrom = async (namespace: string): Promise<string> => {
    const link = join(dir, namespace);
    symlinkSync(namespace, link); // as /proc/self/ns/pid is one
    const { process } = await findJvm({ dir, pidFile, mainClass: undefined, user: undefined }, call, link);
    return process;
  };
  assert.equal(await seenFrom('pid:[4026531836]'), 'gone', 'the first namespace shows every process');
  assert.equal(await seenFrom('pid:[4026532177]'), 'unknown');
});
