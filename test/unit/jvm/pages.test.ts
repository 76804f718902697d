// Pages recorded from real JVMs: jmx_exporter's agent in both spellings, Micrometer, OpenTelemetry, Dropwizard.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readJvmPage } from '../../../exporter/systems/jvm/facts-page.ts';
import type { JvmArea, JvmHeap, JvmSeen } from '../../../exporter/systems/jvm/facts-model.ts';

const clock = { wallMs: () => 1_700_000_000_000, monoMs: () => 0 };

function page(name: string): string {
  return readFileSync(new URL(`fixtures/${name}.page.txt`, import.meta.url), 'utf8');
}

const read = (text: string, prefix?: string): Promise<JvmSeen> => readJvmPage(text, undefined, prefix, clock);

async function seen(name: string): Promise<JvmHeap & { readonly runtime: JvmSeen['runtime'] }> {
  const { heap, runtime } = await read(page(name));
  assert.ok(heap.known);
  return { ...heap.value, runtime };
}

function area({ areas }: JvmHeap, name: JvmArea['area']): readonly (number | undefined)[] {
  const found = areas.find((a) => a.area === name);
  return [found?.usedBytes, found?.committedBytes, found?.maxBytes, found?.initBytes];
}

test('client_java 1.x: what its page says, and no limit where it says -1', async () => {
  const jvm = await seen('jmx_exporter-1.0.1-g1');
  assert.deepEqual(area(jvm, 'heap'), [5_803_752, 20_971_520, 67_108_864, 67_108_864]);
  assert.deepEqual(area(jvm, 'nonheap'), [9_542_552, 14_811_136, undefined, 7_667_712]);
  const old = jvm.pools.find(({ pool }) => pool === 'G1 Old Gen');
  assert.equal(old?.usedBytes, 4_755_176);
  assert.deepEqual(old.collection, {
    usedBytes: 4_755_176,
    committedBytes: 14_680_064,
    maxBytes: 67_108_864,
    initBytes: 59_768_832,
  });
  const eden = jvm.pools.find(({ pool }) => pool === 'G1 Eden Space');
  assert.deepEqual([eden?.maxBytes, eden?.collection?.maxBytes], [undefined, undefined]);
  assert.equal(jvm.pools.length, 8);
  assert.deepEqual(jvm.gcs, [
    { gc: 'G1 Old Generation', count: 1, seconds: 0.009 },
    { gc: 'G1 Young Generation', count: 2, seconds: 0.014 },
  ]);
  assert.deepEqual(jvm.afterGcRatio, { known: true, value: 4_755_176 / 67_108_864, observedAtMs: clock.wallMs() });
  assert.deepEqual(jvm.runtime.numbers, {
    pendingFinalization: 0,
    threads: 12,
    threadsDaemon: 11,
    threadsPeak: 12,
    threadsStarted: 12,
    threadsDeadlocked: 0,
    threadsDeadlockedMonitor: 0,
    classes: 2263,
    classesLoaded: 2263,
    classesUnloaded: 0,
    compilationSeconds: 0.959,
    startTimeSeconds: 1_795_274_096.956,
    uptimeSeconds: undefined,
    cpuSeconds: 0.8,
    openFds: 12,
    maxFds: 20_000,
    residentBytes: 61_558_784,
    virtualBytes: 2_709_708_800,
  });
  assert.deepEqual(
    jvm.runtime.threadStates?.find(({ state }) => state === 'TIMED_WAITING'),
    { state: 'TIMED_WAITING', count: 5 },
  );
  assert.deepEqual(jvm.runtime.buffers?.[0], {
    pool: 'direct',
    usedBytes: 139_840,
    capacityBytes: 139_840,
    count: 3,
  });
  assert.equal(jvm.runtime.allocated?.find(({ pool }) => pool === 'Metaspace')?.bytes, 5_409_472);
  assert.deepEqual(jvm.runtime.info, {
    runtime: 'OpenJDK Runtime Environment',
    vendor: 'Debian',
    version: '17.0.15+6-Debian-1deb12u1',
  });
});

test('generational ZGC: the heap has one limit, and a collection leaves both generations', async () => {
  const jvm = await seen('jmx_exporter-1.0.1-z-java25');
  assert.deepEqual(area(jvm, 'heap').slice(0, 3), [14_680_064, 67_108_864, 67_108_864]);
  assert.equal(jvm.afterGcRatio.known && jvm.afterGcRatio.value, (8_388_608 + 4_194_304) / 67_108_864);
  assert.equal(jvm.gcs.find(({ gc }) => gc === 'ZGC Major Pauses')?.count, 23);
});

test('simpleclient 0.x: the older spelling says the same', async () => {
  const text = page('jmx_exporter-0.20.0-serial');
  const jvm = await seen('jmx_exporter-0.20.0-serial');
  const value = (series: string): number => {
    const line = text.split('\n').find((l) => l.startsWith(`${series} `));
    return Number(line?.slice(series.length));
  };
  assert.deepEqual(
    area(jvm, 'heap'),
    ['used', 'committed', 'max', 'init'].map((what) => value(`jvm_memory_bytes_${what}{area="heap",}`)),
  );
  assert.ok((area(jvm, 'heap')[0] ?? 0) > 1_000_000);
  assert.equal(area(jvm, 'nonheap')[2], undefined);
  for (const pool of ['Tenured Gen', 'Eden Space', 'Survivor Space', 'Metaspace']) {
    const found = jvm.pools.find((p) => p.pool === pool);
    assert.equal(found?.usedBytes, value(`jvm_memory_pool_bytes_used{pool="${pool}",}`), pool);
  }
  const tenured = jvm.pools.find(({ pool }) => pool === 'Tenured Gen');
  assert.equal(tenured?.collection?.usedBytes, 4_188_072);
  assert.ok(jvm.afterGcRatio.known);
  // eden 0, survivor 2228216 and old 4188072 of what the areas' max says
  assert.equal(jvm.afterGcRatio.value, (4_188_072 + 2_228_216) / value('jvm_memory_bytes_max{area="heap",}'));
  assert.deepEqual(
    jvm.gcs.map(({ gc }) => gc),
    ['Copy', 'MarkSweepCompact'],
  );
  assert.equal(jvm.runtime.numbers.classes, value('jvm_classes_currently_loaded'));
  assert.equal(jvm.runtime.info?.vendor, 'Debian');
});

test('simpleclient before 0.10 named the classes otherwise', async () => {
  const { runtime } = await read('jvm_memory_bytes_used{area="heap"} 5\njvm_classes_loaded 7\n');
  assert.equal(runtime.numbers.classes, 7);
});

test('Micrometer: pools are added up to areas, pauses by collector', async () => {
  const jvm = await seen('micrometer-1.14.5-g1');
  assert.deepEqual(area(jvm, 'heap'), [2_098_440, 14_680_064, 67_108_864, undefined]);
  const nonheap = 1_183_104 + 235_008 + 1_055_616 + 452_136 + 3_563_200;
  assert.deepEqual(area(jvm, 'nonheap'), [nonheap, 2_555_904 * 3 + 524_288 + 3_735_552, undefined, undefined]);
  assert.equal(jvm.pools.find(({ pool }) => pool === 'G1 Old Gen')?.maxBytes, 67_108_864);
  assert.deepEqual(jvm.gcs, [
    { gc: 'G1 Old Generation', count: 1, seconds: 0.008 },
    { gc: 'G1 Young Generation', count: 4, seconds: 0.022 },
  ]);
  assert.deepEqual(jvm.afterGcRatio.known && jvm.afterGcRatio.value, 2_098_440 / 67_108_864);
  const { numbers } = jvm.runtime;
  assert.deepEqual([numbers.threads, numbers.threadsDaemon, numbers.threadsPeak, numbers.threadsStarted], [6, 5, 6, 6]);
  assert.deepEqual([numbers.classes, numbers.classesLoaded, numbers.classesUnloaded], [1603, 1603, 0]);
  assert.deepEqual([numbers.compilationSeconds, numbers.cpuSeconds], [0.983, 0.77]);
  assert.deepEqual([numbers.startTimeSeconds, numbers.uptimeSeconds], [1_795_274_132.452, 3.439]);
  assert.deepEqual([numbers.openFds, numbers.maxFds], [19, 20_000]);
  assert.deepEqual(
    jvm.runtime.threadStates?.find(({ state }) => state === 'TIMED_WAITING'),
    { state: 'TIMED_WAITING', count: 1 },
  );
  assert.equal(jvm.runtime.buffers?.length, 3);
});

test('Micrometer: Serial pools add up, ZGC generations do not, tags and causes do not matter', async () => {
  const pool = (id: string, max: number): string =>
    `jvm_memory_used_bytes{application="a",area="heap",id="${id}"} 10\njvm_memory_max_bytes{application="a",area="heap",id="${id}"} ${max}\n`;
  const pause = (action: string, cause: string, gc: string): string =>
    ['count', 'sum']
      .map((what) => `jvm_gc_pause_seconds_${what}{action="${action}",cause="${cause}"${gc}} 2\n`)
      .join('');
  const serial = await read(
    pool('Eden Space', 100) +
      pool('Survivor Space', 20) +
      pool('Tenured Gen', 300) +
      pause('end of minor GC', 'a', ',gc="Copy"') +
      pause('end of minor GC', 'b', ',gc="Copy"'),
  );
  assert.ok(serial.heap.known);
  assert.deepEqual(area(serial.heap.value, 'heap'), [30, undefined, 420, undefined]);
  assert.deepEqual(serial.heap.value.gcs, [{ gc: 'Copy', count: 4, seconds: 4 }]);
  assert.equal(serial.heap.value.afterGcRatio.known, false);

  const z = await read(
    pool('ZGC Young Generation', 400) + pool('ZGC Old Generation', 400) + pause('end of GC cycle', 'a', ''),
  );
  assert.ok(z.heap.known);
  assert.deepEqual(area(z.heap.value, 'heap'), [20, undefined, 400, undefined]);
  assert.deepEqual(z.heap.value.gcs, [{ gc: 'end of GC cycle', count: 2, seconds: 2 }]);
});

test('OpenTelemetry: pools, what a collection left, threads by state', async () => {
  const jvm = await seen('opentelemetry-2.10.0-g1');
  assert.deepEqual(area(jvm, 'heap'), [1_048_576 + 2_242_392, 14_680_064, 67_108_864, undefined]);
  assert.equal(area(jvm, 'nonheap')[2], undefined);
  assert.equal(jvm.afterGcRatio.known && jvm.afterGcRatio.value, 2_242_392 / 67_108_864);
  assert.deepEqual(jvm.gcs, [
    { gc: 'G1 Old Generation', count: 1, seconds: 0.011 },
    { gc: 'G1 Young Generation', count: 4, seconds: 0.017 },
  ]);
  const { numbers, threadStates } = jvm.runtime;
  assert.deepEqual([numbers.threads, numbers.threadsDaemon, numbers.cpuSeconds], [10, 9, 0.87]);
  assert.deepEqual([numbers.classes, numbers.classesLoaded, numbers.classesUnloaded], [2021, 2021, 0]);
  assert.deepEqual(threadStates, [
    { state: 'TIMED_WAITING', count: 4 },
    { state: 'RUNNABLE', count: 5 },
    { state: 'WAITING', count: 1 },
  ]);
});

test("Maxwell's /prometheus: any prefix, and the names of the beans again", async () => {
  const text = page('simpleclient_dropwizard-0.9.0-g1');
  for (const prefix of [undefined, 'My-Prefix.x']) {
    const { heap, runtime } = await read(text, prefix);
    assert.ok(heap.known, heap.known ? '' : heap.why);
    assert.deepEqual(area(heap.value, 'heap').slice(0, 1), [4_203_472]);
    assert.deepEqual(area(heap.value, 'heap').slice(2), [67_108_864, 67_108_864]);
    assert.equal(area(heap.value, 'nonheap')[2], undefined);
    assert.deepEqual(heap.value.pools.map(({ pool }) => pool).sort(), [
      "CodeHeap 'non-nmethods'",
      "CodeHeap 'non-profiled nmethods'",
      "CodeHeap 'profiled nmethods'",
      'Compressed Class Space',
      'G1 Eden Space',
      'G1 Old Gen',
      'G1 Survivor Space',
      'Metaspace',
    ]);
    const gcs = heap.value.gcs.toSorted((a, b) => (a.gc < b.gc ? -1 : 1));
    assert.deepEqual(gcs, [
      { gc: 'G1 Old Generation', count: 1, seconds: 0.006 },
      { gc: 'G1 Young Generation', count: 5, seconds: 0.018 },
    ]);
    assert.equal(heap.value.afterGcRatio.known && heap.value.afterGcRatio.value, 4_203_472 / 67_108_864);
    assert.deepEqual(
      [runtime.numbers.threads, runtime.numbers.threadsDaemon, runtime.numbers.threadsStarted],
      [6, 5, 6],
    );
    assert.equal(runtime.numbers.classes, 1176);
  }
  const other = await read(text, 'another');
  assert.equal(other.heap.known, false);
});

test('a page of several JVMs is refused, not mixed', async () => {
  const one = (instance: string): string => `jvm_memory_used_bytes{area="heap",instance="${instance}"} 5\n`;
  await assert.rejects(read(one('a') + one('b')), { code: 'protocol', message: /of several JVMs/ });
  const pool = (instance: string): string => `jvm_memory_used_bytes{area="heap",id="Eden",app="${instance}"} 5\n`;
  await assert.rejects(read(pool('a') + pool('b')), { code: 'protocol', message: /of several JVMs/ });
});

test('the client library of the JVM goes before what counts by pool on the same page', async () => {
  const { heap } = await read(
    'jvm_memory_used_bytes{area="heap"} 5\njvm_memory_used_bytes{area="heap",id="Eden Space"} 3\n',
  );
  assert.deepEqual(heap.known && area(heap.value, 'heap')[0], 5);
});

test('a time on the page is an age', async () => {
  const { heap } = await read(`jvm_memory_used_bytes{area="heap"} 5 ${clock.wallMs() - 9000}\n`);
  assert.deepEqual(heap.known && heap.value.usedAgeSeconds, { heap: 9, nonheap: 9 });
});

test('a page without a JVM says so', async () => {
  const { heap } = await read('up 1\nprocess_cpu_seconds_total 3\n');
  assert.deepEqual(heap, { known: false, why: 'the page tells nothing about the memory of a JVM' });
});

test('hostile pages: negative, infinite and endless things are no numbers of a JVM', async () => {
  const { heap, runtime } = await read(
    'jvm_memory_used_bytes{area="heap"} -5\njvm_memory_committed_bytes{area="heap"} +Inf\njvm_threads_current NaN\njvm_threads_daemon -1\n',
  );
  assert.ok(heap.known);
  assert.deepEqual(area(heap.value, 'heap'), [undefined, undefined, undefined, undefined]);
  assert.deepEqual([runtime.numbers.threads, runtime.numbers.threadsDaemon], [undefined, undefined]);

  const many = Array.from({ length: 3000 }, (_, i) => `jvm_memory_pool_used_bytes{pool="p${i}"} 1`).join('\n');
  const most = await read(`jvm_memory_used_bytes{area="heap"} 5\n${many}\n`);
  assert.ok(most.heap.known);
  assert.equal(most.heap.value.pools.length, 100);
  const endless = Array.from({ length: 6000 }, (_, i) => `jvm_x{pool="p${i}"} 1`).join('\n');
  await assert.rejects(read(`${endless}\n`), { code: 'protocol', message: /far more than one JVM/ });
  const long = `${'a_'.repeat(2000)}jvm_memory_usage_pools_${'x_'.repeat(1500)} 1\n`;
  assert.equal((await read(long)).heap.known, false);
  await assert.rejects(read('<html>'), { code: 'protocol' });
});
