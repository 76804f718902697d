// Signs of life of other targets: one whose client hangs and heeds no signal keeps neither the others nor the evaluation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { systems } from '../../../exporter/systems/index.ts';
import { createWorld } from '../../../remediator/world.ts';
import { MovableClock } from './run-harness.ts';

const host = '127.0.0.1';

test('a target that hangs is unknown, and those beside it are told all the same', async () => {
  const inventory = inventoryOf(
    {
      targets: ['db1', 'db2', 'db3'].map((name) => ({ name, kind: 'mysql', address: { host, port: 1 } })),
      pipelines: [],
    },
    'test',
    systems,
  );
  const targets = new Map(
    [...inventory.targets].map(([name, target]) => {
      const never = new Promise<never>(() => undefined);
      const bind = target.system.bind.bind(target.system);
      const system = {
        ...target.system,
        bind: (...args: Parameters<typeof bind>) => ({ ...bind(...args), open: () => never }),
      };
      return [name, name === 'db2' ? { ...target, system } : target] as const;
    }),
  );
  const world = createWorld({
    inventory: { ...inventory, targets },
    settings: { auth: new Map(), supervisors: new Map() },
    clock: new MovableClock(),
    pingMs: 3_000, // a refused port of this machine answers long before, also where its client must be loaded first
  });
  const seen = await world.others('db1', AbortSignal.timeout(10_000));
  assert.deepEqual(
    seen.map(({ target, up }) => [target, up.known ? up.value : 'unknown']),
    [
      ['db2', 'unknown'],
      ['db3', false],
    ],
  );
  assert.match(seen[0]?.why ?? '', /db2: no answer in time/);
});
