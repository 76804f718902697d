import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readHsperfdata } from '../../../exporter/systems/jvm/facts-heap.ts';
import type { JvmHeap, JvmRuntime } from '../../../exporter/systems/jvm/facts-model.ts';
import type { PerfCounters } from '../../../exporter/systems/jvm/facts-perfdata.ts';
import { elapsedSeconds, heapOfCounters, runtimeOfCounters } from '../../../exporter/systems/jvm/facts-perfheap.ts';

// Each file was copied from a JVM whose own memory beans were printed a second before; its main thread slept meanwhile.
function perfFile(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`fixtures/${name}.hsperfdata.gz`, import.meta.url)));
}

function beanLines(name: string): readonly string[] {
  return readFileSync(new URL(`fixtures/${name}.beans.txt`, import.meta.url), 'utf8').split('\n');
}

interface Beans {
  readonly heap: readonly number[];
  readonly pools: ReadonlyMap<string, { readonly used: number; readonly committed: number; readonly max: number }>;
  readonly gcs: ReadonlyMap<string, number>;
}

function beans(name: string): Beans {
  const lines = beanLines(name);
  const heap = lines.find((l) => l.startsWith('heap '))?.split(' ') ?? [];
  const cells = lines.map((l) => l.split('|'));
  return {
    heap: heap.slice(1).map(Number),
    pools: new Map(
      cells.flatMap(([kind, pool = '', , used, committed, max]) =>
        kind === 'pool'
          ? [[pool, { used: Number(used), committed: Number(committed), max: Number(max) }] as const]
          : [],
      ),
    ),
    gcs: new Map(cells.flatMap(([kind, gc = '', count]) => (kind === 'gc' ? [[gc, Number(count)] as const] : []))),
  };
}

const ranForSeconds = 100;

function heapOf(counters: PerfCounters): JvmHeap {
  const found = heapOfCounters({ counters, elapsedSeconds: ranForSeconds, observedAtMs: 7 });
  assert.ok(found.known);
  return found.value;
}

const heap = (name: string): JvmHeap => heapOf(readHsperfdata(perfFile(name)));

function runtime(name: string): JvmRuntime {
  return runtimeOfCounters({ counters: readHsperfdata(perfFile(name)), elapsedSeconds: 5, observedAtMs: 7 });
}

/** Between the beans and the copy the JVM printed, which loads classes and uses some of the eden. */
const printedBytes: Readonly<Record<string, number>> = { serial: 5_000_000, parallel: 5_000_000, g1: 3_000_000 };

const outside = ['Metaspace', 'Compressed Class Space'];

for (const name of [
  'openjdk-17.0.15-g1',
  'openjdk-17.0.15-serial',
  'openjdk-17.0.15-parallel',
  'openjdk-21.0.13-g1',
  'openjdk-21.0.13-serial',
  'openjdk-21.0.13-parallel',
  'openjdk-21.0.13-g1-early',
  'openjdk-21.0.13-serial-early',
  'openjdk-21.0.13-parallel-early',
  'temurin-25.0.3-g1',
  'temurin-25.0.3-serial',
  'temurin-25.0.3-parallel',
  'temurin-25.0.3-g1-early',
  'temurin-25.0.3-serial-early',
  'temurin-25.0.3-parallel-early',
]) {
  test(`${name}: sizes, limits and collections are those of the JVM's own beans`, () => {
    const found = heap(name);
    const expected = beans(name);
    const [area] = found.areas;
    assert.equal(area?.area, 'heap');
    assert.deepEqual([area.committedBytes, area.maxBytes], expected.heap.slice(1));
    for (const { pool, committedBytes, maxBytes } of found.pools.filter((p) => !outside.includes(p.pool))) {
      const bean = expected.pools.get(pool);
      assert.ok(bean, pool);
      assert.equal(committedBytes, bean.committed, pool);
      assert.equal(maxBytes ?? -1, bean.max, pool);
    }
    for (const { gc, count } of found.gcs) {
      assert.equal(count, expected.gcs.get(gc), gc);
    }
    for (const [gc] of expected.gcs) {
      assert.ok(
        found.gcs.some((g) => g.gc === gc),
        gc,
      );
    }
  });

  test(`${name}: what is used is what its beans say, as of the last time it was written`, () => {
    const found = heap(name);
    const expected = beans(name);
    const isWritten = !/25.*(serial|parallel)-early/.test(name);
    const slack = printedBytes[/g1|serial|parallel/.exec(name)?.[0] ?? ''] ?? 0;
    assert.equal(found.areas[0]?.usedBytes !== undefined, isWritten);
    for (const { pool, usedBytes } of found.pools.filter((p) => !outside.includes(p.pool))) {
      if (!isWritten) {
        assert.equal(usedBytes, undefined, 'zero before the first collection is not what is used');
        continue;
      }
      assert.ok(usedBytes !== undefined, pool);
      const bean = expected.pools.get(pool)?.used ?? NaN;
      assert.ok(Math.abs(usedBytes - bean) <= slack, `${pool}: ${usedBytes} and ${bean}`);
    }
  });
}

test('what a collection left: for G1, and where Serial and Parallel are written at collections only', () => {
  const g1 = heap('openjdk-17.0.15-g1').afterGcRatio;
  // its survivors were 0 and its old generation 3110896 after the last collection
  assert.deepEqual(g1, { known: true, value: 3_110_896 / 268_435_456, observedAtMs: 7 });
  for (const sampled of ['openjdk-17.0.15-serial', 'openjdk-17.0.15-parallel', 'openjdk-21.0.13-serial']) {
    assert.equal(heap(sampled).afterGcRatio.known, false);
  }
  for (const [name, left, limit] of [
    ['g1', 3_323_360, 268_435_456],
    ['serial', 3_276_736, 259_522_560],
    ['parallel', 3_269_952, 257_425_408],
  ] as const) {
    const ratio = heap(`temurin-25.0.3-${name}`).afterGcRatio;
    assert.deepEqual(ratio, { known: true, value: left / limit, observedAtMs: 7 }, name);
    const early = heap(`temurin-25.0.3-${name}-early`).afterGcRatio;
    assert.deepEqual(early, { known: false, why: 'there was no collection yet' }, name);
  }
});

test('ages: sampled values are as old as the last sample, the others as the last collection', () => {
  const near = (found: number | undefined, expected: number): void => {
    assert.ok(Math.abs((found ?? NaN) - expected) < 1e-6, `${found} and ${expected}`);
  };
  const ticks = (name: string, counter: string): number =>
    Number(readHsperfdata(perfFile(name)).get(counter) ?? NaN) / 1e9;
  const sampled = 'openjdk-17.0.15-serial';
  near(heap(sampled).usedAgeSeconds?.heap, ranForSeconds - ticks(sampled, 'sun.os.hrt.ticks'));
  for (const name of ['temurin-25.0.3-serial', 'temurin-25.0.3-parallel', 'temurin-25.0.3-g1']) {
    const at = ticks(name, 'sun.gc.collector.1.lastExitTime');
    assert.ok(at > 0);
    near(heap(name).usedAgeSeconds?.heap, ranForSeconds - at);
    near(heap(name).usedAgeSeconds?.nonheap, ranForSeconds - at);
  }
  assert.deepEqual(heap('temurin-25.0.3-serial-early').usedAgeSeconds, {}, 'no value, no age');
  assert.deepEqual(heap('temurin-25.0.3-g1-early').usedAgeSeconds, { heap: ranForSeconds });
  const unknownStart = heapOfCounters({
    counters: readHsperfdata(perfFile('temurin-25.0.3-g1')),
    elapsedSeconds: undefined,
    observedAtMs: 7,
  });
  assert.deepEqual(unknownStart.known && unknownStart.value.usedAgeSeconds, {});
});

test('how long it runs: neither a wall clock that was set nor a process that was a shell before is believed', () => {
  const counters = new Map<string, number>([['sun.rt.createVmBeginTime', 1_000_000]]);
  assert.equal(elapsedSeconds(counters, 60, 1_010_000), 10);
  assert.equal(elapsedSeconds(counters, 8, 1_010_000), 8, 'the clock was set forward');
  assert.equal(elapsedSeconds(counters, 8, 900_000), 8, 'the clock was set back');
  assert.equal(elapsedSeconds(new Map(), 8, 900_000), undefined);
});

for (const name of ['openjdk-17.0.15-z', 'openjdk-21.0.13-z', 'openjdk-21.0.13-z-generational', 'temurin-25.0.3-z']) {
  test(`${name}: ZGC tells its size, and nothing about its use that could be trusted`, () => {
    const { areas, pools, afterGcRatio, gcs } = heap(name);
    const size = 268_435_456;
    assert.deepEqual(areas, [{ area: 'heap', committedBytes: size, maxBytes: size }]);
    assert.deepEqual(
      pools.filter(({ pool }) => !outside.includes(pool)),
      [],
    );
    assert.equal(afterGcRatio.known, false);
    assert.ok(gcs.length > 0);
    for (const { gc, count } of gcs) assert.equal(count, beans(name).gcs.get(gc), gc);
  });
}

test('Metaspace and class space are told once they were written, without a limit that is none', () => {
  const { pools } = heap('temurin-25.0.3-g1');
  assert.deepEqual(
    pools.filter(({ pool }) => outside.includes(pool)),
    [
      { pool: 'Metaspace', usedBytes: 82_768, committedBytes: 327_680, maxBytes: undefined },
      { pool: 'Compressed Class Space', usedBytes: 3_320, committedBytes: 131_072, maxBytes: 1_073_741_824 },
    ],
  );
  assert.ok(!heap('temurin-25.0.3-g1-early').pools.some(({ pool }) => outside.includes(pool)));
});

test('threads, classes, start and version are those of the beans', () => {
  for (const name of [
    'openjdk-21.0.13-g1',
    'openjdk-21.0.13-z-generational',
    'temurin-25.0.3-g1',
    'temurin-25.0.3-serial',
    'temurin-25.0.3-parallel',
    'temurin-25.0.3-z',
  ]) {
    const after = (start: string): string => {
      const line = beanLines(name).find((l) => l.startsWith(`${start} `));
      return line?.slice(start.length + 1) ?? '';
    };
    const { numbers, info } = runtime(name);
    assert.deepEqual(
      [numbers.threads, numbers.threadsDaemon, numbers.threadsPeak, numbers.threadsStarted],
      after('threads').split(' ').map(Number),
      name,
    );
    const [classes = NaN, , unloaded] = after('classes').split(' ').map(Number);
    // printing loads some more
    assert.ok((numbers.classes ?? NaN) >= classes && (numbers.classes ?? NaN) < classes + 60, name);
    assert.equal(numbers.classesLoaded, numbers.classes);
    assert.equal(numbers.classesUnloaded, unloaded);
    assert.equal(numbers.startTimeSeconds, Number(after('start')) / 1000, name);
    assert.equal(numbers.uptimeSeconds, 5);
    assert.ok((numbers.compilationSeconds ?? 0) > 0.001 && (numbers.compilationSeconds ?? 9) < 2, name);
    const [vendor = '', version = ''] = after('version').split('|');
    assert.deepEqual(info, { runtime: '', vendor, version });
  }
});

test('counters of another JVM, of wrong types or none are unknown', () => {
  const found = heapOfCounters({ counters: new Map(), elapsedSeconds: 5, observedAtMs: 7 });
  assert.equal(found.known, false);
  const wrong = new Map(readHsperfdata(perfFile('temurin-25.0.3-g1')));
  for (const name of wrong.keys()) if (name.startsWith('sun.gc.generation')) wrong.set(name, 'text');
  const { areas } = heapOf(wrong);
  assert.equal(areas[0]?.maxBytes, undefined);
  for (const name of wrong.keys()) if (/^sun\.gc\./.test(name) && !name.includes('name')) wrong.set(name, -5);
  assert.deepEqual(heapOf(wrong).gcs, []);
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

test('any byte of the file may be anything: it is read to its end or refused', () => {
  const good = perfFile('temurin-25.0.3-g1').subarray(0, 16_384);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let i = 0; i < 500; i++) {
    const copy = Buffer.from(good);
    for (let n = 0; n < 8; n++) copy[random(n < 4 ? 64 : copy.length)] = random(256);
    try {
      heapOfCounters({ counters: readHsperfdata(copy), elapsedSeconds: 5, observedAtMs: 7 });
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'protocol', String(error));
    }
  }
});
