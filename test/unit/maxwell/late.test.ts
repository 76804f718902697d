// What is asked of Maxwell beside its tables may fail while those are still waited for: a failure of the look, never of
// the program.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import type { MaxwellClient } from '../../../exporter/systems/maxwell/client.ts';
import { positionCollector } from '../../../exporter/systems/maxwell/collector-position.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';

test('looking for the process fails before the tables have answered: the look fails, and nothing is left unheard', async () => {
  const late = (what: string) => async (): Promise<never> => {
    await pause(20);
    throw new TargetError('deadline', what);
  };
  // Of a client only what this collector asks
  const client = {
    address: { clientId: 'maxwell' },
    http: undefined,
    mysql: late('the tables'),
    source: late('the source'),
    process: () => Promise.reject(new TargetError('deadline', 'looking for the JVM took too long')),
  } as unknown as MaxwellClient;
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  try {
    const call = {
      signal: new AbortController().signal,
      clock: systemClock,
      target: 'maxwell1',
      board: new FactBoard(),
    };
    const work = positionCollector.prepare({}).collect(client, () => undefined, call);
    await assert.rejects(work, /looking for the JVM took too long/);
    await pause(1); // Node tells of the unheard after the microtasks
  } finally {
    process.off('unhandledRejection', hear);
  }
  assert.deepEqual(unheard, []);
});
