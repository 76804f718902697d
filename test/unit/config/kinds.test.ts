// Of the kinds of targets only those of the inventory are loaded, and nothing else is different by that.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { loadInventory } from '../../../exporter/config/loader.ts';
import { nowhere } from '../../../exporter/config/places.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { kinds } from '../../../exporter/systems/kinds.ts';

// Nothing here may import what a kind is made of before the first test.
const loaded = new Set<string>();
registerHooks({
  load: (url, context, next) => {
    const [, kind] = /\/exporter\/systems\/([^/]+)\/index\.ts$/.exec(url) ?? [];
    if (kind !== undefined) loaded.add(kind);
    return next(url, context);
  },
});

function fileOf(t: TestContext, document: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'pipemedic-kinds-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'pipemedic.yml'), JSON.stringify(document)); // JSON is YAML
  return join(folder, 'pipemedic.yml');
}

const db = { name: 'db', kind: 'mysql', address: { host: 'h' } };
const cache = { name: 'cache', kind: 'redis', address: { host: 'h' } };

test('an inventory of one kind loads that kind, and one of two both', async (t) => {
  assert.deepEqual([...(await loadInventory(fileOf(t, { targets: [cache] }))).targets.keys()], ['cache']);
  assert.deepEqual([...loaded], ['redis']);
  assert.deepEqual([...(await loadInventory(fileOf(t, { targets: [cache, db] }))).targets.keys()], ['cache', 'db']);
  assert.deepEqual([...loaded].sort(), ['mysql', 'redis']);
});

test('each kind is that of its system', async () => {
  for (const [kind, load] of Object.entries(kinds)) assert.equal((await load()).kind, kind);
});

for (const [what, document] of [
  ['no targets', {}],
  ['an empty list', { targets: [] }],
  ['targets that are no list', { targets: { db } }],
  ['a target that is text', { targets: ['db'] }],
  ['no kind', { targets: [db, { name: 'x', address: {} }] }],
  ['a kind that is none', { targets: [{ ...db, kind: 'mysq' }, cache] }],
  ['a kind that is the name of what all objects have', { targets: [{ ...db, kind: 'toString' }] }],
  ['a kind that is a number', { targets: [{ ...db, kind: 1 }] }],
  ['a wrong address', { targets: [{ ...db, address: { hots: 'h' } }] }],
  ['a key, a collector and a threshold that are none', { targets: [{ ...db, adress: 1, collectors: { bin: {} }, thresholds: { lag: {} } }] }],
  ['a reference to a target that is not there', { targets: [{ name: 'm', kind: 'maxwell', address: { mysql: 'db' } }] }],
  ['a reference to a target of another kind', { targets: [cache, { name: 'm', kind: 'maxwell', address: { mysql: 'cache' } }] }],
  ['a pipeline of targets of the wrong kinds', { targets: [cache], pipelines: [{ name: 'p', objective: '1m', source: 'cache', cdc: 'cache', canary: 'x' }] }],
  ['a label that the kind has', { targets: [{ ...db, labels: { channel_name: 'x' } }] }],
] as const) {
  test(`${what}: told as if all kinds were there`, async (t) => {
    const { systems } = await import('../../../exporter/systems/index.ts');
    const file = fileOf(t, document);
    const plain = (problems: readonly string[]): readonly string[] => problems.map((p) => p.replace(/^\S*pipemedic\.yml:\d+: /, ''));
    const refusedBy = async (work: () => unknown): Promise<readonly string[]> => {
      try {
        await work();
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        return plain(error.problems);
      }
      return assert.fail('it was taken');
    };
    assert.deepEqual(
      await refusedBy(() => loadInventory(file)),
      await refusedBy(() => inventoryOf(document, file, systems, nowhere)),
    );
  });
} // prettier-ignore
