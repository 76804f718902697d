// What is written by memory of the sweeps before is, byte for byte, what is written without.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counter, gauge, summary, type Family, type Sample } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { join } from '../../../exporter/scrape/exposition.ts';
import { LineMemory } from '../../../exporter/scrape/line-memory.ts';
import { SampleWriter, shareSeries, type Block } from '../../../exporter/scrape/writer.ts';
import { generator, type Random } from '../../support/random.ts';

interface Written {
  readonly page: string;
  readonly blocks: readonly Block[];
  readonly fault: string | undefined;
}

async function write(
  samples: readonly Sample[],
  constant: Readonly<Record<string, string>>,
  memory?: LineMemory,
): Promise<Written> {
  const writer = new SampleWriter({ level: 'target', constant, memory });
  let thrown: string | undefined;
  for (const sample of samples) {
    try {
      writer.put(sample);
    } catch (error) {
      thrown ??= String(error);
    }
  }
  try {
    const blocks = writer.finish();
    assert.equal(thrown, undefined);
    return { page: (await join(blocks, 'text', systemClock)).toString(), blocks, fault: undefined };
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.equal(String(error), thrown);
    return { page: '', blocks: [], fault: thrown };
  }
}

const values = [
  '',
  'a',
  'aa',
  'ab',
  'b',
  'x'.repeat(300),
  'é',
  '日本',
  '"',
  '\\',
  '\\"',
  'a"',
  'a\\',
  '\n',
  ',b="',
  '\ud800',
];
const numbers = [
  0,
  -0,
  1,
  -1.5,
  0.1,
  1e21,
  -1.2345678901234567e-6,
  -Number.MAX_VALUE,
  5e-324,
  Infinity,
  -Infinity,
  2 ** 53,
];

/** As collectors emit them: static families are the same objects each time, those with names of the target's own are not. */
function familiesFor(random: Random): () => readonly Family[] {
  const fixed = [
    gauge('plain', 'Help.', []),
    gauge('one', 'Help.', ['a']),
    counter('three', 'Help.', ['a', 'b', 'c']),
    summary('sum', 'Help.', ['a'], { quantiles: true }),
    summary('bare_sum', 'Help.', [], { quantiles: true }),
  ];
  const open = ['a', 'b'].slice(0, 1 + Math.floor(random() * 2));
  return () => [...fixed, ...open.map((name) => gauge(`open_${name}`, 'Help.', ['a']))];
}

function lineOf(family: Family, random: Random): Sample {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] ?? assert.fail();
  const labels = Object.fromEntries(family.labels.map((name) => [name, pick(values)]));
  const sample = { family, labels, value: 0 };
  if (family.type !== 'summary') return sample;
  const part = pick(['_count', '_sum', 'quantile'] as const);
  return part === 'quantile' ? { ...sample, quantile: pick(['0.5', '0.99', '_sum', '"']) } : { ...sample, part };
}

const keyOf = ({ family, labels, part, quantile }: Sample): string =>
  JSON.stringify([family.name, family.labels.map((l) => Buffer.from(labels[l] ?? '').toString()), part, quantile]);

test('the same bytes, whatever comes, goes, changes and is wrong', async () => {
  let known = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const random = generator(seed);
    const familiesNow = familiesFor(random);
    const memory = new LineMemory();
    let constant: Readonly<Record<string, string>> = seed % 9 === 0 ? {} : { target: 't' };
    const seen = new Set<string>();
    let lines: Sample[] = [];
    const more = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const families = familiesNow();
        const line = lineOf(families[Math.floor(random() * families.length)] ?? assert.fail(), random);
        if (seen.has(keyOf(line))) continue;
        seen.add(keyOf(line));
        lines.splice(Math.floor(random() * (lines.length + 1)), 0, line);
      }
    };
    more(40);
    for (let sweep = 0; sweep < 12; sweep++) {
      const chance = random();
      if (chance < 0.15) more(3);
      if (chance > 0.9)
        constant = { target: random() < 0.5 ? 'another' : 't"é', ...(random() < 0.3 ? { dc: 'x' } : {}) };
      const absent = new Set(chance > 0.3 && chance < 0.6 ? [3, 4, Math.floor(random() * 40)] : []);
      const families = new Map(familiesNow().map((family) => [family.name, family]));
      const samples = lines
        .filter((_, i) => !absent.has(i))
        .map((line) => ({
          ...line,
          family: families.get(line.family.name) ?? assert.fail(),
          value: numbers[Math.floor(random() * numbers.length)] ?? 0,
        }));
      const at = Math.floor(random() * samples.length);
      const [first, chosen] = [samples[0] ?? assert.fail(), samples[at] ?? assert.fail()];
      const wrong: readonly Sample[] =
        [
          [{ ...chosen, value: NaN }],
          [{ ...chosen, labels: { ...chosen.labels, more: 'x' } }],
          [{ ...chosen, labels: { a: 1 as unknown as string } }],
          [first],
          [{ ...first, family: { ...first.family } }],
          [{ ...first, family: { ...first.family, level: 'graph' as const } }],
        ][Math.floor(random() * 40)] ?? [];
      samples.splice(at + 1, 0, ...(wrong as typeof samples));
      const [with_, without] = [await write(samples, constant, memory), await write(samples, constant)];
      assert.equal(with_.fault, without.fault, `seed ${String(seed)}, sweep ${String(sweep)}`);
      assert.equal(with_.page, without.page, `seed ${String(seed)}, sweep ${String(sweep)}`);
      const sizes = ({ blocks }: Written): ReadonlyMap<string, number> =>
        new Map(blocks.map(({ header, series }) => [header.name, series.size]));
      assert.deepEqual(sizes(with_), sizes(without));
      if (memory.isKnown) known += 1;
      if (wrong.length === 0) assert.equal(without.fault, undefined);
      lines = lines.slice();
    }
  }
  assert.ok(known > 150, String(known)); // it is not the way without memory that was tried
});

const family = gauge('m', 'Help.', ['a', 'b']);
const sampleOf = (a: string, b: string, value = 1): Sample => ({ family, labels: { a, b }, value });

test('a value that reads as another one when it is written as it is', async () => {
  for (const [before, now] of [
    ['"', '\\"'],
    ['\\"', '"'],
    ['\n', '\\n'],
    ['é', '\u00c3\u00a9'],
    ['x', 'x",b="x'],
    ['\ud800', '\ufffd'],
  ] as const) {
    const memory = new LineMemory();
    await write([sampleOf(before, 'x')], {}, memory);
    assert.ok(memory.isKnown);
    const { page } = await write([sampleOf(now, 'x', 2)], {}, memory);
    assert.equal(page, (await write([sampleOf(now, 'x', 2)], {})).page, JSON.stringify(now));
  }
});

test('labels that together read as those before', async () => {
  for (const [a, b] of [
    ['x",b=', '5'],
    ['x",b="12345', ''],
    ['x', '12345"} m{a="y",b="'],
  ] as const) {
    // prettier-ignore
    const memory = new LineMemory();
    await write([sampleOf('x', '12345'), sampleOf('y', '')], {}, memory);
    assert.ok(memory.isKnown);
    const { page } = await write([sampleOf(a, b)], {}, memory);
    assert.equal(page, (await write([sampleOf(a, b)], {})).page);
  }
});

test('new labels of the target stand in front at once', async () => {
  const memory = new LineMemory();
  const samples = [sampleOf('x', 'y'), sampleOf('x', 'z')];
  for (const constant of [
    { target: 'a' },
    { target: 'b' },
    { target: 'b', dc: 'east' },
    { target: 'b', zone: 'east' },
  ]) {
    const { page } = await write(samples, constant, memory);
    const front = Object.entries(constant).map(([name, value]) => `${name}="${value}",`);
    assert.ok(page.endsWith(`m{${front.join('')}a="x",b="y"} 1\nm{${front.join('')}a="x",b="z"} 1\n`), page);
  }
});

test('a series that another collector has emitted too is found among lines that are known', async () => {
  const memory = new LineMemory();
  const samples = [sampleOf('x', 'y"'), sampleOf('x', 'z')];
  await write(samples, { target: 't' }, memory);
  const known = (await write(samples, { target: 't' }, memory)).blocks[0] ?? assert.fail();
  assert.ok(memory.isKnown);
  for (const [b, expected] of [
    ['y"', true],
    ['z', true],
    ['y', false],
  ] as const) {
    // prettier-ignore
    const other = (await write([sampleOf('x', b)], { target: 't' })).blocks[0] ?? assert.fail();
    assert.equal(shareSeries(known, other), expected);
    assert.equal(shareSeries(other, known), expected);
  }
});

test('a target that emits something else each time is taken down ever more rarely', async () => {
  const memory = new LineMemory();
  let known = 0;
  for (let i = 0; i < 1000; i++) {
    await write([sampleOf(String(i), 'x')], {}, memory);
    if (memory.isKnown) known += 1;
  }
  assert.ok(known > 5 && known < 50, String(known));
  for (let i = 0; i < 100; i++) await write([sampleOf('now', 'always')], {}, memory);
  assert.ok(memory.isKnown);
});

test('more than is kept of a target, and what is passed on from its own page, is not kept', async () => {
  for (const samples of [
    Array.from({ length: 100 }, (_, i) => sampleOf('x'.repeat(100), String(i))),
    [{ ...sampleOf('x', 'y'), family: { ...family, passed: true as const } }],
  ]) {
    const memory = new LineMemory(50);
    await write(samples, {}, memory);
    assert.ok(!memory.isKnown);
    await write([sampleOf('x', 'y')], {}, memory);
    assert.ok(!memory.isKnown);
  }
});

test('what was begun from memory and gone on with keeps no more room than it needs', () => {
  const rooms = new Map<ArrayBufferLike, number>();
  const blocks: Block[] = [];
  for (let target = 0; target < 200; target++) {
    const memory = new LineMemory();
    const sweep = (...samples: readonly Sample[]): readonly Block[] => {
      const writer = new SampleWriter({ level: 'target', constant: { target: String(target) }, memory });
      for (const sample of samples) writer.put(sample);
      return writer.finish();
    };
    const before = Array.from({ length: 10 }, (_, i) => sampleOf('x', String(i)));
    sweep(...before);
    assert.ok(memory.isKnown);
    blocks.push(...sweep(...before, sampleOf('x', 'new')));
    assert.ok(!memory.isKnown);
  }
  for (const { bytes } of blocks) rooms.set(bytes.buffer, bytes.buffer.byteLength);
  const held = [...rooms.values()].reduce((a, b) => a + b, 0);
  assert.ok(held < 4 * 1024 * 1024, `${String(held)} bytes for ${String(blocks.length)} blocks`);
  const written = blocks.map(({ bytes }) => bytes.toString());
  const expected = blocks.map((_, i) => {
    const line = (b: string): string => `m{target="${String(i)}",a="x",b="${b}"} 1\n`;
    return [...Array(10).keys()].map((n) => line(String(n))).join('') + line('new');
  });
  assert.deepEqual(written, expected);
});

test('a target that has far less than before keeps no room for what it had', () => {
  const memory = new LineMemory();
  const bytesFor = (lines: number): number => {
    const writer = new SampleWriter({ level: 'target', memory });
    for (let i = 0; i < lines; i++) writer.put(sampleOf('x', String(i)));
    return writer.finish().reduce((sum, { bytes }) => sum + bytes.buffer.byteLength, 0);
  };
  for (let i = 0; i < 3; i++) bytesFor(3000);
  assert.ok(memory.isKnown);
  const held = [1, 2, 3, 4].map(() => bytesFor(5));
  assert.ok(memory.isKnown);
  assert.ok((held.at(-1) ?? Infinity) <= 64 * 1024, held.join());
});
