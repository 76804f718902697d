import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { counter, gauge, untyped, type Family } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { compress, acceptsGzip, join, negotiate, type Format } from '../../../exporter/scrape/exposition.ts';
import { escapeLabel, SampleWriter, type Block } from '../../../exporter/scrape/writer.ts';
import { parseExposition } from '../../support/exposition-parser.ts';
import { generator, type Random } from '../../support/random.ts';

const textOf = async (blocks: readonly Block[], format: Format = 'text'): Promise<string> =>
  (await join(blocks, format, systemClock)).toString();

const f = gauge('m', 'Help.', ['a', 'b']);

function write(put: (w: SampleWriter) => void, constant?: Record<string, string>): Block[] {
  const writer = new SampleWriter({ level: 'target', ...(constant === undefined ? {} : { constant }) });
  put(writer);
  return writer.finish();
}

const pieces = [
  '"',
  '\\',
  '\n',
  '\r',
  '\t',
  '{',
  '}',
  '=',
  ',',
  ' ',
  '#',
  'n',
  'é',
  '日本',
  '🐢',
  '\u2028',
  '\0',
  '\ud800',
  'x',
];

/** What a label value is after it went out as UTF-8: as itself, but for what UTF-8 cannot carry. */
const carried = (value: string): string => Buffer.from(value).toString();

function hostile(random: Random): string {
  if (random() < 0.02) return 'long"\n'.repeat(2000);
  return Array.from({ length: Math.floor(random() * 12) }, () => pieces[Math.floor(random() * pieces.length)]).join('');
}

function number(random: Random): number {
  const kinds = [0, -0, 1, -1, 0.1, 1e21, 1e-7, 2 ** 53, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity];
  return random() < 0.5
    ? (kinds[Math.floor(random() * kinds.length)] ?? 0)
    : (random() - 0.5) * 10 ** (random() * 40 - 20);
}

for (const format of ['text', 'openmetrics'] as const) {
  test(`whatever is written is read back the same (${format})`, async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = generator(seed);
      const constant = { target: hostile(random), dc: hostile(random) };
      const wanted = new Map<string, number>();
      const blocks = write((w) => {
        for (let i = 0; i < 60; i++) {
          const labels = { a: hostile(random), b: hostile(random) };
          const key = JSON.stringify([carried(labels.a), carried(labels.b)]);
          if (wanted.has(key)) continue;
          const value = number(random);
          wanted.set(key, value);
          w.put({ family: f, value, labels });
        }
      }, constant);
      const family = parseExposition(await textOf(blocks, format)).get('m');
      assert.equal(family?.samples.length, wanted.size, `seed ${seed.toString()}`);
      for (const { labels, value } of family.samples) {
        assert.deepEqual(Object.keys(labels), ['target', 'dc', 'a', 'b']);
        assert.equal(labels['target'], carried(constant.target));
        assert.equal(
          value,
          (wanted.get(JSON.stringify([labels['a'], labels['b']])) ?? NaN) + 0,
          `seed ${seed.toString()}`,
        );
      }
    }
  });
}

test('escapes', () => {
  assert.equal(escapeLabel('plain é 日本 🐢'), 'plain é 日本 🐢');
  assert.equal(escapeLabel('\\n"\n\r\t'), '\\\\n\\"\\n\r\t');
  assert.equal(escapeLabel('a\0b\ud800c'), 'a\0b\ufffdc');
});

const refused: readonly (readonly [string, RegExp, (w: SampleWriter) => void])[] = [
  [
    'NaN',
    /NaN is not a value/,
    (w) => {
      w.put({ family: f, value: NaN, labels: { a: '', b: '' } });
    },
  ],
  [
    'undefined as a value',
    /undefined is not a value/,
    (w) => {
      w.put({ family: f, value: undefined as unknown as number, labels: { a: '', b: '' } });
    },
  ],
  [
    'a label left out',
    /label b is undefined/,
    (w) => {
      w.put({ family: f, value: 1, labels: { a: '' } });
    },
  ],
  [
    'a label too many',
    /label c is not declared/,
    (w) => {
      w.put({ family: f, value: 1, labels: { a: '', b: '', c: '' } });
    },
  ],
  [
    'a label that is no string',
    /label b is number/,
    (w) => {
      w.put({ family: f, value: 1, labels: { a: '', b: 1 as unknown as string } });
    },
  ],
  [
    'a series twice',
    /emitted twice: m\{target="t",a="x",b=""\}/,
    (w) => {
      w.put({ family: f, value: 1, labels: { a: 'x', b: '' } });
      w.put({ family: f, value: 1, labels: { b: '', a: 'x' } });
    },
  ],
  [
    'two values that are one in UTF-8',
    /emitted twice/,
    (w) => {
      w.put({ family: f, value: 1, labels: { a: '\ud800', b: '' } });
      w.put({ family: f, value: 1, labels: { a: '\ud801', b: '' } });
    },
  ],
  [
    'a sample without labels twice',
    /emitted twice/,
    (w) => {
      const family = gauge('n', 'H.', []);
      w.put({ family, value: 1, labels: {} });
      w.put({ family, value: 1, labels: {} });
    },
  ],
  [
    'a bad metric name',
    /a-b is not a metric name/,
    (w) => {
      w.put({ family: gauge('a-b', 'H.', []), value: 1, labels: {} });
    },
  ],
  [
    'a bad label name',
    /0 is not a label name/,
    (w) => {
      w.put({ family: gauge('n', 'H.', ['0']), value: 1, labels: { 0: '' } });
    },
  ],
  [
    'a reserved label name',
    /__x is not a label name/,
    (w) => {
      w.put({ family: gauge('n', 'H.', ['__x']), value: 1, labels: { __x: '' } });
    },
  ],
  [
    'a label that stands in front already',
    /there twice: target,target/,
    (w) => {
      w.put({ family: gauge('n', 'H.', ['target']), value: 1, labels: { target: '' } });
    },
  ],
  [
    'a family of another level',
    /level graph/,
    (w) => {
      w.put({ family: gauge('n', 'H.', [], { level: 'graph' }), value: 1, labels: {} });
    },
  ],
  [
    'one name in two families',
    /declared by two/,
    (w) => {
      w.put({ family: gauge('n', 'H.', []), value: 1, labels: {} });
      w.put({ family: counter('n', 'H.', []), value: 1, labels: {} });
    },
  ],
];

for (const [name, reason, put] of refused) {
  test(`refused: ${name}, also when the collector catches it`, () => {
    const writer = new SampleWriter({ level: 'target', constant: { target: 't' } });
    assert.throws(() => {
      put(writer);
    }, reason);
    assert.throws(() => writer.finish(), reason);
  });
}

test('after the end nothing is taken', () => {
  const writer = new SampleWriter({ level: 'target' });
  assert.deepEqual(writer.finish(), []);
  assert.throws(
    () => {
      writer.put({ family: f, value: 1, labels: { a: '', b: '' } });
    },
    { code: 'deadline' },
  );
});

const mixed: readonly Family[] = [
  counter('z_total', 'A counter.', []),
  counter('mysql_global_status_queries', 'A counter with a name of old.', []),
  counter('clash_total', 'Its short name is another family.', []),
  gauge('clash', 'Another family.', []),
  untyped('u', 'Back\\slash, "quotes" and\nnewline.', []),
];

function mixedBlocks(): Block[] {
  return ['t1', 't2'].flatMap((target) =>
    write(
      (w) => {
        for (const family of mixed) w.put({ family, value: 1, labels: {} });
      },
      { target },
    ),
  );
}

test('what stands in front of the last label is that of the same series, whatever the series before was', () => {
  const values = ['', 'a', 'aa', 'b', 'é', '"', 'a\\'];
  for (const names of [['x'], ['x', 'y'], ['x', 'y', 'z']]) {
    const family = gauge('f', 'Help.', names);
    let rows: string[][] = [[]];
    for (const _name of names) rows = rows.flatMap((row) => values.map((value) => [...row, value]));
    const labelsOf = (row: readonly string[]): Record<string, string> =>
      Object.fromEntries(names.map((name, i) => [name, row[i] ?? '']));
    // Each one once, so that each stands behind others that share much with it, or nothing
    const step = rows.length % 5 === 0 ? 3 : 5;
    for (const order of [rows, rows.toReversed(), rows.map((_, i) => rows[(i * step) % rows.length] ?? [])]) {
      const writer = new SampleWriter({ level: 'target', constant: { target: 't' } });
      for (const row of order) writer.put({ family, labels: labelsOf(row), value: 1 });
      const expected = order.map(
        (row) => `f{target="t",${names.map((name, i) => `${name}="${escapeLabel(row[i] ?? '')}"`).join()}} 1\n`,
      );
      assert.equal(writer.finish()[0]?.bytes.toString(), expected.join(''));
      const again = new SampleWriter({ level: 'target', constant: { target: 't' } });
      for (const row of order) again.put({ family, labels: labelsOf(row), value: 1 });
      for (const row of order) {
        assert.throws(() => { again.put({ family, labels: labelsOf(row), value: 2 }); }, /emitted twice/); // prettier-ignore
      }
    }
  }
});

test('text: sorted by name, one header each, blocks in order, help escaped', async () => {
  const text = await textOf([...mixedBlocks(), ...write(() => undefined)]);
  assert.deepEqual(
    [...parseExposition(text).keys()],
    ['clash', 'clash_total', 'mysql_global_status_queries', 'u', 'z_total'],
  );
  assert.match(
    text,
    /^# HELP u Back\\\\slash, "quotes" and\\nnewline\.\n# TYPE u untyped\nu\{target="t1"\} 1\nu\{target="t2"\} 1\n/m,
  );
});

test('OpenMetrics: counters without _total and untyped are unknown, quotes in help escaped, EOF', async () => {
  const text = await textOf(mixedBlocks(), 'openmetrics');
  assert.match(text, /# TYPE z counter\nz_total\{target="t1"\} 1\n/);
  assert.match(text, /# TYPE mysql_global_status_queries unknown\n/);
  assert.match(text, /# TYPE clash_total unknown\n/);
  assert.match(text, /# TYPE u unknown\n/);
  assert.match(text, /# HELP u Back\\\\slash, \\"quotes\\" and\\nnewline\.\n/);
  assert.ok(text.endsWith('# EOF\n'));
  parseExposition(text);
});

test('nothing at all', async () => {
  assert.equal(await textOf([]), '');
  assert.equal(await textOf([], 'openmetrics'), '# EOF\n');
});

for (const [accept, format] of [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'text'],
  // Prometheus 2.42 and 3
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    'openmetrics',
  ],
  [
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    'openmetrics',
  ],
  // scrape_protocols: [PrometheusText0.0.4]
  ['text/plain;version=0.0.4;q=0.2,*/*;q=0.1', 'text'],
  ['application/openmetrics-text;version=0.0.1', 'text'],
  ['application/openmetrics-text', 'openmetrics'],
  ['Application/OpenMetrics-Text; Version="1.0.0"', 'openmetrics'],
  ['application/openmetrics-text;q=0', 'text'],
  ['application/openmetrics-text;q=0.3,text/plain;q=0.9', 'text'],
  ['application/openmetrics-text;q=x', 'text'],
] as const) {
  test(`Accept ${String(accept)}: ${format}`, () => {
    assert.equal(negotiate(accept), format);
  });
}

test('Accept-Encoding', () => {
  for (const yes of ['gzip', 'deflate, GZIP;q=0.5', '*', 'br;q=1, *;q=0.1']) assert.ok(acceptsGzip(yes), yes);
  for (const no of [undefined, '', 'identity', 'gzip;q=0', 'gzip;q=0, *', '*;q=0']) assert.ok(!acceptsGzip(no), no);
});

test('gzip is gzip', async () => {
  assert.equal(gunzipSync(await compress(Buffer.from('abc'))).toString(), 'abc');
});

test('joining lets the event loop turn', async () => {
  let nowMs = 0;
  // each look at the clock is 4 ms of work
  const clock = { monoMs: () => (nowMs += 4), wallMs: () => 0 };
  let turns = 0;
  let timer = setImmediate(function turn() {
    turns += 1;
    timer = setImmediate(turn);
  });
  const families = Array.from({ length: 400 }, (_, i) => gauge(`m${String(i)}`, 'H.', []));
  await join(
    write((w) => {
      for (const family of families) w.put({ family, value: 1, labels: {} });
    }),
    'text',
    clock,
  );
  clearImmediate(timer);
  assert.ok(turns > 10, String(turns));
});

const promtool = spawnSync('promtool', ['--version']).status === 0;

test('promtool reads the text format', { skip: !promtool && 'promtool is not installed' }, async () => {
  const blocks = write(
    (w) => {
      for (const a of pieces)
        w.put({ family: f, value: Infinity, labels: { a, b: 'long'.repeat(2500) + String(pieces.indexOf(a)) } });
      w.put({ family: counter('z_total', 'A counter.', []), value: 1e300, labels: {} });
    },
    { target: 'a"b\\c\nd' },
  );
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await textOf(blocks) });
  assert.equal(status, 0, stdout.toString() + stderr.toString());
});
