import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { jvmCollectorOf } from '../../../exporter/systems/jvm/collector-jvm.ts';
import { agreeing } from '../../../exporter/systems/jvm/facts-heap.ts';
import type { JvmHeap, JvmLook, JvmSource } from '../../../exporter/systems/jvm/facts-model.ts';
import { readJvmPage } from '../../../exporter/systems/jvm/facts-page.ts';
import { runner, statesOf, type Series } from '../mysql/fake-client.ts';

type Looks = readonly JvmLook[];

const run = runner(
  jvmCollectorOf<Looks>({
    sources: (looks) => looks.map(({ source }) => source),
    looks: (looks) => Promise.resolve(looks),
  }),
);

async function samplesOf(...looks: Looks): Promise<Series> {
  const { samples, error } = await run(looks);
  assert.equal(error, undefined);
  return samples;
}

function visible(source: JvmSource, heap: Partial<JvmHeap>, rest: Partial<JvmLook> = {}): JvmLook {
  const whole: JvmHeap = { areas: [], pools: [], gcs: [], afterGcRatio: unknown('no'), ...heap };
  return {
    source,
    state: 'visible',
    why: '',
    process: known('alive', 1),
    pid: undefined,
    heap: known(whole, 1),
    ...rest,
  };
}

function away(source: JvmSource, state: 'gone' | 'unknown'): JvmLook {
  const process = state === 'gone' ? known('gone' as const, 1) : unknown('no');
  return { source, state, why: 'no', process, pid: undefined, heap: unknown('no') };
}

async function pageLook(name: string): Promise<JvmLook> {
  const text = readFileSync(new URL(`fixtures/${name}.page.txt`, import.meta.url), 'utf8');
  const seen = await readJvmPage(text, undefined, undefined, { wallMs: () => 1, monoMs: () => 0 });
  return { ...visible('prometheus', {}), ...seen };
}

/** The series of a recorded page, as `series` of the collector writes them. */
function pageSeries(name: string): Series {
  const text = readFileSync(new URL(`fixtures/${name}.page.txt`, import.meta.url), 'utf8');
  return new Map(
    text.split('\n').flatMap((line) => {
      if (line === '' || line.startsWith('#')) return [];
      const at = line.lastIndexOf(' ');
      const [, metric = '', labels = ''] = /^([^{]+)(?:\{(.*?),?\})?$/.exec(line.slice(0, at)) ?? [];
      const sorted = [...labels.matchAll(/(\w+)="[^"]*"/g)].map(([pair]) => pair).sort();
      return [[`${metric}{${sorted.join()}}`, Number(line.slice(at))] as const];
    }),
  );
}

// In a page of its own an exporter tells about itself too, and a JVM about things that are not of a JVM.
const notServed = /^jmx_|_created\{/;

for (const page of ['jmx_exporter-1.0.1-g1', 'jmx_exporter-1.0.1-z-java25', 'jmx_exporter-0.20.0-serial']) {
  test(`${page}: every series of its page is served with its name, labels and value; -1 is left out`, async () => {
    const served = await samplesOf(await pageLook(page));
    const wrong = [...pageSeries(page)].flatMap(([key, value]) => {
      if (notServed.test(key)) return [];
      const found = served.get(key);
      if (value === -1) return found === undefined ? [] : [`${key} is served`];
      return found === value ? [] : [`${key}: ${String(found)} instead of ${value}`];
    });
    assert.deepEqual(wrong, []);
  });
}

test('both spellings say the same, whichever the page uses', async () => {
  for (const page of ['jmx_exporter-1.0.1-g1', 'jmx_exporter-0.20.0-serial', 'micrometer-1.14.5-g1']) {
    const samples = await samplesOf(await pageLook(page));
    const pairs = [...samples].flatMap(([key, value]) => {
      const older = key
        .replace(/^jvm_memory_(pool_)?(used|committed|max|init)_bytes/, 'jvm_memory_$1bytes_$2')
        .replace('jvm_runtime_info', 'jvm_info')
        .replace('jvm_classes_currently_loaded', 'jvm_classes_loaded');
      return older === key ? [] : [[older, value] as const];
    });
    assert.ok(pairs.length > 20, page);
    for (const [older, value] of pairs) assert.equal(samples.get(older), value, older);
    for (const [key, value] of samples) assert.ok(value >= 0, `${key} ${value}`);
  }
});

test('numbers come from the best source that has them, states from each', async () => {
  const areas = (usedBytes: number | undefined): JvmHeap['areas'] => [{ area: 'heap', usedBytes, maxBytes: 100 }];
  const file = visible(
    'hsperfdata',
    { areas: areas(7), usedAgeSeconds: { heap: 30 }, afterGcRatio: known(0.5, 1) },
    { runtime: { numbers: { threads: 3, classes: 9 } } },
  );
  const page = visible('prometheus', { areas: areas(8) }, { runtime: { numbers: { threads: 4 } } });
  const samples = await samplesOf(file, page);
  assert.equal(samples.get('jvm_memory_used_bytes{area="heap"}'), 8);
  assert.equal(samples.get('jvm_memory_observed_age_seconds{area="heap",source="prometheus"}'), 0);
  assert.equal(samples.get('jvm_threads_current{}'), 4);
  assert.equal(samples.get('jvm_classes_currently_loaded{}'), 9);
  assert.equal(samples.get('jvm_heap_after_gc_ratio{}'), 0.5);
  assert.deepEqual(statesOf(samples, 'jvm_state'), [
    'jvm_state{source="hsperfdata",state="visible"}',
    'jvm_state{source="prometheus",state="visible"}',
  ]);

  const alone = await samplesOf(file, away('prometheus', 'unknown'));
  assert.equal(alone.get('jvm_memory_used_bytes{area="heap"}'), 7);
  assert.equal(alone.get('jvm_memory_observed_age_seconds{area="heap",source="hsperfdata"}'), 30);
  const blind = await samplesOf(page, visible('jolokia', { areas: areas(undefined) }));
  assert.equal(blind.get('jvm_memory_used_bytes{area="heap"}'), 8, 'a source that knows no use is passed over');
});

test('what is gone or cannot be seen has a state and no number', async () => {
  for (const state of ['gone', 'unknown'] as const) {
    const samples = await samplesOf(away('hsperfdata', state));
    assert.deepEqual(statesOf(samples, 'jvm_state'), [`jvm_state{source="hsperfdata",state="${state}"}`]);
    assert.equal(samples.size, 3);
  }
  await run([away('jolokia', 'gone')]);
  const failed = await run(new Error('no time'));
  assert.ok(statesOf(failed.samples, 'jvm_state').includes('jvm_state{source="jolokia",state="unknown"}'));
});

test('a server that refuses does not make a living process gone', () => {
  const [file, page] = agreeing([visible('hsperfdata', {}), away('prometheus', 'gone')]);
  assert.deepEqual([file?.state, page?.state], ['visible', 'unknown']);
  assert.match(page?.why ?? '', /but its process lives/);
  assert.deepEqual(
    agreeing([away('hsperfdata', 'gone'), away('prometheus', 'gone')]).map(({ state }) => state),
    ['gone', 'gone'],
  );
});
