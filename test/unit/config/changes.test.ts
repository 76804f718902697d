import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesBetween } from '../../../exporter/config/changes.ts';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { fakeSystem } from '../../support/fake-system.ts';

const of = (names: readonly string[], more: object = {}): Inventory =>
  inventoryOf(
    { targets: names.map((name) => ({ name, kind: 'fake', address: { id: name }, ...more })) },
    'pipemedic.yml',
    [fakeSystem({})],
  );

test('a reload tells what it did: a target that a half-written file has lost is named', () => {
  assert.deepEqual(changesBetween(of(['a', 'b']), of(['b', 'a'])), { targets: 2 });
  assert.deepEqual(changesBetween(of(['a', 'b']), of(['b', 'c'])), { targets: 2, added: ['c'], removed: ['a'] });
  // Labels are taken over without a new connection
  assert.deepEqual(changesBetween(of(['a']), of(['a'], { labels: { dc: 'x' } })), { targets: 1 });
  assert.deepEqual(changesBetween(of(['a']), of(['a'], { collectors: { other: false } })), {
    targets: 1,
    changed: ['a'],
  });
});

test('of many names the first are told, and how many there are besides', () => {
  const many = Array.from({ length: 30 }, (_, i) => `t${String(i)}`);
  const { removed = [] } = changesBetween(of(many), of(['a']));
  assert.deepEqual([removed.length, removed.at(-1)], [21, 'and 10 more']);
});
