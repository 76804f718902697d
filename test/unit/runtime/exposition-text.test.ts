import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { readPage, typeOf, type Page, type PageOptions } from '../../../exporter/runtime/exposition-text.ts';

const read = (text: string, options?: PageOptions): Promise<Page> => readPage(text, systemClock, options);
const only = async (text: string, options?: PageOptions): Promise<Page['samples'][number]> => {
  const { samples } = await read(text, options);
  assert.equal(samples.length, 1);
  const [sample] = samples;
  assert.ok(sample !== undefined);
  return sample;
};

test('text format: types, help, labels, values, times', async () => {
  const { samples, dropped } = await read(
    [
      '# HELP cdc_queue_depth Rows that wait,\\nin \\\\ all.',
      '# TYPE cdc_queue_depth gauge',
      'cdc_queue_depth 12.0',
      '# TYPE cdc_errors_total counter',
      'cdc_errors_total{type="apply",table="a\\"b\\\\c\\nd"} 1.0E3 1700000000123',
      '',
      '  cdc_spaced { a = "1" , b="2", }\t+Inf  ',
      '# a comment',
      '#',
      'cdc_untyped -4.5e-7',
      'cdc_end{} -inf',
    ].join('\n'),
  );
  assert.deepEqual(dropped, { nan: 0, duplicate: 0, tooLong: 0, overLimit: 0 });
  assert.deepEqual(
    samples.map((s) => [s.name, s.family.type, Object.fromEntries(s.labels), s.value, s.timestampMs, typeOf(s)]),
    [
      ['cdc_queue_depth', 'gauge', {}, 12, undefined, 'gauge'],
      ['cdc_errors_total', 'counter', { type: 'apply', table: 'a"b\\c\nd' }, 1000, 1_700_000_000_123, 'counter'],
      ['cdc_spaced', 'untyped', { a: '1', b: '2' }, Infinity, undefined, 'untyped'],
      ['cdc_untyped', 'untyped', {}, -4.5e-7, undefined, 'untyped'],
      ['cdc_end', 'untyped', {}, -Infinity, undefined, 'untyped'],
    ],
  );
  assert.equal(samples[0]?.family.help, 'Rows that wait,\nin \\ all.');
});

test('the parts of histograms and summaries belong to their family and claim nothing by themselves', async () => {
  const { samples } = await read(
    '# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_sum 2\nh_count 3\n# TYPE s summary\ns{quantile="0.5"} 1\ns_count 1\n# TYPE g gauge\ng_count 7\n',
  );
  assert.deepEqual(
    samples.map((s) => [s.name, s.family.name, typeOf(s)]),
    [
      ['h_bucket', 'h', 'untyped'],
      ['h_sum', 'h', 'untyped'],
      ['h_count', 'h', 'untyped'],
      ['s', 's', 'untyped'],
      ['s_count', 's', 'untyped'],
      ['g_count', 'g_count', 'untyped'],
    ],
  );
});

test('OpenMetrics: seconds, _total and _created, exemplars, units, and nothing without # EOF', async () => {
  const page = [
    '# TYPE cdc_errors counter',
    '# UNIT cdc_errors ratio',
    '# HELP cdc_errors Bad \\"things\\".',
    'cdc_errors_total{a="}"} 17.0 1700000000.5 # {trace_id="K, {x"} 9.8 1520879607.789',
    'cdc_errors_created 1.5e9',
    '# TYPE cdc_state stateset',
    'cdc_state{cdc_state="on"} 1',
    '# TYPE cdc_build info',
    'cdc_build_info{version="2"} 1',
    '# EOF',
  ].join('\n');
  for (const options of [{ contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8' }, {}]) {
    const { samples } = await read(`${page}\n`, options);
    assert.deepEqual(
      samples.map((s) => [s.name, s.family.name, s.value, s.timestampMs, typeOf(s)]),
      [
        ['cdc_errors_total', 'cdc_errors', 17, 1_700_000_000_500, 'counter'],
        ['cdc_errors_created', 'cdc_errors', 1.5e9, undefined, 'untyped'],
        ['cdc_state', 'cdc_state', 1, undefined, 'gauge'],
        ['cdc_build_info', 'cdc_build', 1, undefined, 'gauge'],
      ],
    );
    assert.equal(samples[0]?.family.help, 'Bad "things".');
  }
  const contentType = 'application/openmetrics-text;version=1.0.0';
  await assert.rejects(read('a 1\n', { contentType }), /line 1: the page has no # EOF/);
  await assert.rejects(read('a 1\n# EOF\nb 2\n# EOF\n', { contentType }), /line 3: there is something after # EOF/);
});

test('what is no page is refused as a whole, with the line and without what stands in it', async () => {
  const bad = [
    '<html><body>secret</body></html>',
    '{"secret": 1}',
    'secret',
    'secret{',
    'secret{a="1"',
    'secret{a="1" 1',
    'secret{a="1" b="2"} 1',
    'secret{a="1",,b="2"} 1',
    'secret{a=1} 1',
    'secret{a="\\t"} 1',
    'secret{a="1",a="2"} 1',
    'secret{a="unended} 1',
    'secret{0="1"} 1',
    'secret',
    'secret ',
    'secret one',
    'secret 1e999',
    'secret 0x10',
    'secret 1_000',
    'secret 1 2 3',
    'secret 1 now',
    'secret 1 1e999',
    'secret 1 # {a="b"} 1',
    'secret.name 1',
  ];
  for (const line of bad) {
    await assert.rejects(
      read(`# HELP a A.\na 1\n${line}\n`),
      (error: unknown) => {
        assert.ok(error instanceof TargetError, line);
        assert.equal(error.code, 'protocol');
        assert.match(error.message, /line 3: /);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
      line,
    );
  }
});

test('NaN is left out and counted; so are equal series, whatever the order of their labels', async () => {
  const { samples, dropped } = await read(
    'a NaN\na{x="1",y="2"} 1\na{y="2",x="1",z=""} 2\na{x="1,y=1:2"} 3\nb nan\nb -NaN\nb 4\nb 5\n',
  );
  assert.deepEqual(
    samples.map((s) => s.value),
    [1, 3, 4],
  );
  assert.deepEqual(dropped, { nan: 3, duplicate: 2, tooLong: 0, overLimit: 0 });
});

test('bounds: lines, labels and samples; what is not wanted costs nothing of them', async () => {
  const labels = Array.from({ length: 5 }, (_, i) => `l${String(i)}="v"`).join();
  const { samples, dropped } = await read(
    `# HELP a ${'h'.repeat(2000)}\nnot_wanted{broken\na 1\na{v="${'x'.repeat(200)}"} 1\na{${labels}} 1\nb 1\nc 1\nd 1\n`,
    { maxSamples: 2, maxLineChars: 100, maxLabels: 4, wanted: (name) => name.length === 1 },
  );
  assert.deepEqual(
    samples.map((s) => s.name),
    ['a', 'b'],
  );
  assert.deepEqual(dropped, { nan: 0, duplicate: 0, tooLong: 2, overLimit: 2 });
  assert.equal((await only(`# HELP a ${'h'.repeat(2000)}\na 1\n`)).family.help.length, 500);
});

test('names of objects are labels like others', async () => {
  const { labels } = await only('a{__proto__="p",constructor="c",toString="t"} 1\n');
  assert.deepEqual([...labels.keys()], ['__proto__', 'constructor', 'toString']);
});

test('hostile lines take time in proportion to their length', async () => {
  const long = 60_000;
  const lines = [
    `a{b="${'\\'.repeat(long)}`,
    `a{b="${'\\\\'.repeat(long / 2)}" `,
    `a{${'b="",'.repeat(long / 5)}`,
    `a${' '.repeat(long)}{`,
    `a 1${' '.repeat(long)}x`,
    `a 1 # {${'} '.repeat(long / 2)}`,
    `a ${'1'.repeat(long)}e`,
    `# HELP a ${' '.repeat(long)}`,
  ];
  const before = performance.now();
  for (const line of lines) await read(`${line}\n# EOF\n`).catch(() => undefined);
  assert.ok(performance.now() - before < 2000);
});

test('the event loop turns while a large page is read', async () => {
  const page = Array.from({ length: 100_000 }, (_, i) => `a{i="${String(i)}",b="c"} ${String(i)}\n`).join('');
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const { samples, dropped } = await read(page);
  clearInterval(timer);
  assert.equal(samples.length + dropped.overLimit, 100_000);
  assert.ok(turns > 2, `${String(turns)} turns`);
});
