import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readHsperfdata } from '../../../exporter/systems/jvm/facts-heap.ts';
import type { JvmHeap } from '../../../exporter/systems/jvm/facts-model.ts';
import { heapOfCounters } from '../../../exporter/systems/jvm/facts-perfdata.ts';

// Each file was copied from a JVM whose own memory beans were printed a second before; its main thread slept meanwhile.
function perfFile(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`fixtures/${name}.hsperfdata.gz`, import.meta.url)));
}

interface Beans {
  readonly heap: readonly number[];
  readonly pools: ReadonlyMap<string, { readonly used: number; readonly max: number }>;
  readonly gcs: ReadonlyMap<string, number>;
}

function beans(name: string): Beans {
  const lines = readFileSync(new URL(`fixtures/${name}.beans.txt`, import.meta.url), 'utf8').split('\n');
  const heap =
    lines
      .find((l) => l.startsWith('heap '))
      ?.split(' ')
      .slice(1)
      .map(Number) ?? [];
  const cells = lines.map((l) => l.split('|'));
  return {
    heap,
    pools: new Map(
      cells.flatMap(([kind, pool = '', , used, , max]) =>
        kind === 'pool' ? [[pool, { used: Number(used), max: Number(max) }]] : [],
      ),
    ),
    gcs: new Map(cells.flatMap(([kind, gc = '', count]) => (kind === 'gc' ? [[gc, Number(count)]] : []))),
  };
}

function heap(name: string): JvmHeap {
  const found = heapOfCounters(readHsperfdata(perfFile(name)), 7);
  assert.ok(found.known);
  return found.value;
}

for (const name of ['openjdk-17.0.15-g1', 'openjdk-17.0.15-serial', 'openjdk-17.0.15-parallel']) {
  test(`${name}: size, use and collections are those of the JVM's own beans`, () => {
    const [area] = heap(name).areas;
    const expected = beans(name);
    assert.deepEqual(area?.area, 'heap');
    assert.deepEqual([area.committedBytes, area.maxBytes], expected.heap.slice(1));
    // The printing itself used some of the eden after the beans were read
    const printed = 1_000_000;
    const used = area.usedBytes ?? NaN;
    assert.ok(Math.abs(used - (expected.heap[0] ?? NaN)) < printed, `${used} and ${String(expected.heap[0])}`);
    for (const { pool, usedBytes, maxBytes } of heap(name).pools) {
      const bean = expected.pools.get(pool);
      assert.ok(bean, pool);
      assert.ok(Math.abs(usedBytes - bean.used) < printed, pool);
      if (maxBytes !== undefined) assert.equal(maxBytes, bean.max);
    }
    for (const { gc, count } of heap(name).gcs) {
      assert.equal(count, expected.gcs.get(gc) ?? 0, gc);
    }
    for (const [gc] of expected.gcs)
      assert.ok(
        heap(name).gcs.some((g) => g.gc === gc),
        gc,
      );
  });
}

test('what a collection left is told for G1 only: on Java 17 Serial and Parallel do not tell', () => {
  const g1 = heap('openjdk-17.0.15-g1').afterGcRatio;
  // its survivors were 0 and its old generation 3110896 after the last collection
  assert.deepEqual(g1, { known: true, value: 3_110_896 / 268_435_456, observedAtMs: 7 });
  assert.equal(heap('openjdk-17.0.15-serial').afterGcRatio.known, false);
  assert.equal(heap('openjdk-17.0.15-parallel').afterGcRatio.known, false);

  const counters = new Map(readHsperfdata(perfFile('openjdk-17.0.15-g1')));
  for (const i of [0, 1]) counters.set(`sun.gc.collector.${i}.invocations`, 0);
  const early = heapOfCounters(counters, 7);
  assert.deepEqual(early.known && early.value.afterGcRatio, { known: false, why: 'there was no collection yet' });

  const java25 = new Map(readHsperfdata(perfFile('openjdk-17.0.15-serial')));
  java25.set('java.property.java.vm.specification.version', '25');
  const later = heapOfCounters(java25, 7);
  assert.equal(later.known && later.value.afterGcRatio.known, true);
});

test('ZGC tells its size, and nothing about its use that could be trusted', () => {
  const { areas, pools, afterGcRatio, gcs } = heap('openjdk-17.0.15-z');
  const size = 268_435_456;
  assert.deepEqual(areas, [{ area: 'heap', usedBytes: undefined, committedBytes: size, maxBytes: size }]);
  assert.deepEqual(pools, []);
  assert.equal(afterGcRatio.known, false);
  assert.equal(gcs.length, 1);
});

test('a file that is cut, foreign or hostile is refused and never read beyond its end', () => {
  const good = perfFile('openjdk-17.0.15-g1');
  assert.ok(readHsperfdata(good).size > 180);
  for (const length of [0, 3, 31, 40, 1000]) {
    assert.throws(() => readHsperfdata(good.subarray(0, length)), { code: 'protocol' }, String(length));
  }
  const changed = (at: number, bytes: readonly number[]): Buffer => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  assert.throws(() => readHsperfdata(changed(0, [0])), { code: 'protocol', message: /magic/ });
  assert.throws(() => readHsperfdata(changed(5, [1])), { code: 'protocol', message: /version 1/ });
  assert.throws(() => readHsperfdata(changed(7, [0])), { code: 'protocol', message: /not finished/ });
  assert.throws(() => readHsperfdata(changed(24, [0xff, 0xff, 0xff, 0x7f])), { code: 'protocol' });
  assert.throws(() => readHsperfdata(changed(24, [0xff, 0xff, 0xff, 0xff])), { code: 'protocol' });
  assert.throws(() => readHsperfdata(changed(28, [0xff, 0xff, 0xff, 0x7f])), { code: 'protocol' });
  assert.throws(() => readHsperfdata(changed(32, [0, 0, 0, 0])), { code: 'protocol' }, 'an entry without a length');
});
