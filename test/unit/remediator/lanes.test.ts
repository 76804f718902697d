import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inLanes } from '../../../remediator/lanes.ts';

test('of one key in order and never together, of different keys so many at a time', async () => {
  const done: string[] = [];
  const busy = new Set<string>();
  let most = 0;
  const items = ['a1', 'b1', 'a2', 'c1', 'd1', 'a3', 'b2', 'e1'];
  await inLanes(
    items,
    (item) => item.charAt(0),
    3,
    async (item) => {
      assert.ok(!busy.has(item.charAt(0)), item);
      busy.add(item.charAt(0));
      most = Math.max(most, busy.size);
      await new Promise((resolve) => setImmediate(resolve));
      busy.delete(item.charAt(0));
      done.push(item);
    },
  );
  assert.deepEqual(done.toSorted(), items.toSorted());
  assert.deepEqual(
    done.filter((item) => item.startsWith('a')),
    ['a1', 'a2', 'a3'],
  );
  assert.equal(most, 3);
});

test('after a failure nothing more is begun, and what was begun is waited for', async () => {
  const done: string[] = [];
  await assert.rejects(
    inLanes(
      ['a1', 'b1', 'b2', 'c1'],
      (item) => item.charAt(0),
      2,
      async (item) => {
        if (item === 'a1') throw new Error('full');
        await new Promise((resolve) => setImmediate(resolve));
        done.push(item);
      },
    ),
    /full/,
  );
  assert.deepEqual(done, ['b1']);
});

test('nothing to do', () => inLanes([], String, 4, () => Promise.reject(new Error('called'))));
