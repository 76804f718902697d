// The store must not be on a server that is repaired, under whatever name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Inventory } from '../../../exporter/config/inventory.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { requireApart } from '../../../remediator/place-servers.ts';

test('a target that is the store’s server under another name is refused; one that does not answer is told', async () => {
  const targets = new Map([
    ['source1', { kind: 'mysql' }],
    ['source2', { kind: 'mysql' }],
    ['cache', { kind: 'redis' }],
  ]) as unknown as Inventory['targets'];
  const told: string[] = [];
  const log = { warn: (fields: unknown) => told.push(JSON.stringify(fields)) };
  const asked: string[] = [];
  const context = (identities: Readonly<Record<string, string>>): Parameters<typeof requireApart>[1] => ({
    ...{ inventory: { targets }, settings: { auth: new Map() }, log },
    identityOf: (name) => {
      asked.push(name);
      return name in identities ? Promise.resolve(identities[name]) : Promise.reject(new Error('refused'));
    },
  });
  await requireApart('u-store', context({ source1: 'u-1' }));
  assert.deepEqual(asked, ['source1', 'source2']);
  assert.deepEqual(told, ['{"target":"source2","why":"refused"}']);
  await assert.rejects(
    requireApart('u-store', context({ source1: 'u-1', source2: 'u-store' })),
    (error: unknown) => error instanceof ConfigError && error.message.includes('target source2'),
  );
});
