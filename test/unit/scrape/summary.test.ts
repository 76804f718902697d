import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emitter, gauge, seriesOf, summary } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { join } from '../../../exporter/scrape/exposition.ts';
import { SampleWriter, shareSeries } from '../../../exporter/scrape/writer.ts';
import { parseExposition } from '../../support/exposition-parser.ts';

const families = {
  gc: summary('gc_seconds', 'Collections.', ['gc']),
  all: summary('all_seconds', 'All of them.', []),
  plain: gauge('plain', 'Beside them.', []),
};

function writer(): SampleWriter {
  return new SampleWriter({ level: 'target', constant: { target: 'a"b' } });
}

for (const format of ['text', 'openmetrics'] as const) {
  test(`${format}: a summary is one family of two series per set of labels`, async () => {
    const w = writer();
    const emit = emitter(families, w.put);
    emit.gc({ count: 3, sum: 0.5 }, { gc: 'young' });
    emit.gc({ count: 0, sum: 0 }, { gc: 'old' });
    emit.all({ count: 1, sum: 2 });
    emit.plain(7);
    const text = (await join(w.finish(), format, systemClock)).toString();
    const [first, second] = text.split('\n').filter((line) => line.startsWith('gc_seconds'));
    assert.equal(first, 'gc_seconds_count{target="a\\"b",gc="young"} 3');
    assert.equal(second, 'gc_seconds_sum{target="a\\"b",gc="young"} 0.5');
    const found = parseExposition(text);
    assert.equal(found.get('gc_seconds')?.type, 'summary');
    assert.deepEqual(
      found.get('all_seconds')?.samples.map(({ name, value }) => [name, value]),
      [
        ['all_seconds_count', 1],
        ['all_seconds_sum', 2],
      ],
    );
    assert.equal(found.get('gc_seconds')?.samples.length, 4);
  });
}

test('a summary that is there twice is refused, within a collector and between two', () => {
  const w = writer();
  const emit = emitter(families, w.put);
  emit.gc({ count: 1, sum: 1 }, { gc: 'young' });
  assert.throws(() => {
    emit.gc({ count: 2, sum: 2 }, { gc: 'young' });
  }, /emitted twice: gc_seconds_count\{/);
  const blockOf = (gc: string): ReturnType<SampleWriter['finish']>[number] => {
    const one = writer();
    emitter(families, one.put).gc({ count: 1, sum: 1 }, { gc });
    const [block] = one.finish();
    assert.ok(block);
    return block;
  };
  assert.equal(shareSeries(blockOf('young'), blockOf('young')), true);
  assert.equal(shareSeries(blockOf('young'), blockOf('old')), false);
});

test('a sample of no part, of a part that is none, and one that is no number are refused', () => {
  for (const [sample, why] of [
    [{ family: families.all, value: 1, labels: {} }, /is no part of a summary/],
    [{ family: families.plain, value: 1, labels: {}, part: '_sum' }, /_sum is no part of a gauge/],
    [{ family: families.all, value: NaN, labels: {}, part: '_sum' }, /NaN is not a value/],
  ] as const) {
    assert.throws(() => {
      writer().put(sample);
    }, why);
  }
});

test('quantiles are series of the name itself, with one more label', async () => {
  const w = writer();
  const bare = new SampleWriter({ level: 'target' });
  const some = {
    calls: summary('calls_usec', 'Calls.', ['cmd'], { quantiles: true }),
    all: summary('all_usec', 'All.', [], { quantiles: true }),
  };
  const value = { count: 2, sum: 5, quantiles: new Map([['50', 1.5]]) };
  emitter(some, w.put).calls(value, { cmd: 'get' });
  emitter(some, w.put).all(value);
  emitter(some, bare.put).all(value);
  const text = (await join(w.finish(), 'text', systemClock)).toString();
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  assert.equal(lines[3], 'calls_usec{target="a\\"b",cmd="get",quantile="50"} 1.5');
  assert.equal(lines[4], 'calls_usec_count{target="a\\"b",cmd="get"} 2');
  assert.equal(lines[0], 'all_usec{target="a\\"b",quantile="50"} 1.5');
  assert.equal(parseExposition(text).get('calls_usec')?.samples.length, 3);
  assert.match((await join(bare.finish(), 'text', systemClock)).toString(), /^all_usec\{quantile="50"\} 1\.5$/m);
  assert.deepEqual(seriesOf(some.all)[0], ['all_usec', 'gauge']);
  assert.throws(() => {
    emitter(families, writer().put).all(value);
  }, /has no such quantile/);
  assert.throws(() => {
    emitter(some, w.put).calls({ ...value, quantiles: new Map([['50', 2]]) }, { cmd: 'get' });
  });
});

test('the series of a summary are counters to a query', () => {
  assert.deepEqual(seriesOf(families.all), [
    ['all_seconds_count', 'counter'],
    ['all_seconds_sum', 'counter'],
  ]);
  assert.deepEqual(seriesOf(families.plain), [['plain', 'gauge']]);
});
