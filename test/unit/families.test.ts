import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { collectorOf } from '../../exporter/collector.ts';
import { gauge, openFamily, passedFamilies, type PassedSeries, type Sample } from '../../exporter/families.ts';
import { testCall } from './mysql/fake-client.ts';
import { SampleWriter } from '../../exporter/scrape/writer.ts';

const collector = collectorOf<readonly string[]>()({
  name: 'open',
  help: 'Passes names through.',
  config: z.strictObject({}),
  families: { known: gauge('x_known', 'A known one.', []) },
  open: { any: openFamily('x_', 'untyped', 'Whatever the target has.', ['db']) },
  state: () => undefined,
  async collect({ client, emit }) {
    await Promise.resolve();
    emit.known(1);
    for (const [i, name] of client.entries()) emit.any(name, i, { db: 'a' });
  },
});

const samplesOf = async (names: readonly string[]): Promise<Sample[]> => {
  const samples: Sample[] = [];
  await collector.prepare({}).collect(names, (sample) => samples.push(sample), testCall());
  return samples;
};

test('names that only the target knows: the type, help and labels are those of the group', async () => {
  const [known, first, again] = await samplesOf(['x_a', 'x_a']);
  assert.equal(known?.family.name, 'x_known');
  assert.deepEqual(first?.family, {
    name: 'x_a',
    type: 'untyped',
    help: 'Whatever the target has.',
    labels: ['db'],
    level: 'target',
  });
  assert.equal(first.family, again?.family, 'one family, so that a series that is there already is seen');
});

test('a name outside of its group is refused', async () => {
  await assert.rejects(samplesOf(['y_a']), /y_a does not begin with x_/);
});

test('a name of the target that is declared too, or is no metric name, ends in a failed collector', async () => {
  for (const [name, why] of [
    ['x_known', /declared by two families/],
    ['x_a b', /not a metric name/],
  ] as const) {
    const writer = new SampleWriter({ level: 'target' });
    await assert.rejects(collector.prepare({}).collect([name], writer.put, testCall()), why);
    assert.throws(() => writer.finish(), why);
  }
});

const passing = collectorOf<readonly PassedSeries[]>()({
  name: 'passing',
  help: 'Passes a page on.',
  config: z.strictObject({}),
  families: {},
  open: { page: passedFamilies('x_', 'Whatever the page has.') },
  state: () => undefined,
  async collect({ client, emit }) {
    await Promise.resolve();
    for (const series of client) emit.page(series);
  },
});

async function pageOf(series: readonly PassedSeries[], constant: Readonly<Record<string, string>>): Promise<string> {
  const writer = new SampleWriter({ level: 'target', constant });
  await passing.prepare({}).collect(series, writer.put, testCall());
  return writer
    .finish()
    .map(({ header, bytes }) => `${header.type} ${header.help}\n${bytes.toString()}`)
    .join('');
}

const one = (name: string, ...samples: readonly Readonly<Record<string, string>>[]): PassedSeries => ({
  name,
  type: 'counter',
  help: 'Its own help',
  samples: samples.map((labels, i) => ({ labels: new Map(Object.entries(labels)), value: i })),
});

test('a page passed on: its own type, help and labels, the same for all series of a name', async () => {
  const text = await pageOf([one('x_a', { b: '1' }, { a: '2', constructor: '3' }, {})], { target: 't' });
  assert.equal(
    text,
    [
      'counter Its own help',
      'x_a{target="t",a="",b="1",constructor=""} 0',
      'x_a{target="t",a="2",b="",constructor="3"} 1',
      'x_a{target="t",a="",b="",constructor=""} 2',
      '',
    ].join('\n'),
  );
});

test('a page passed on: a name without a help gets that of the group', async () => {
  assert.match(await pageOf([{ ...one('x_a', {}), help: '' }], {}), /^counter Whatever the page has\.$/m);
});

test('a page passed on: labels that are taken are exported, also where target is added later', async () => {
  const labels = { target: 'its', pipeline: 'p', env: 'prod', exported_env: 'x', job: 'j' };
  assert.match(
    await pageOf([one('x_a', labels)], { target: 't', env: 'ours' }),
    /^x_a\{target="t",env="ours",exported_exported_env="prod",exported_env="x",job="j",exported_pipeline="p",exported_target="its"\} 0$/m,
  );
  assert.match(await pageOf([one('x_a', { target: 'its' })], {}), /^x_a\{exported_target="its"\} 0$/m);
});

test('a page passed on: what cannot be written ends in a failed collector', async () => {
  await assert.rejects(pageOf([one('y_a', {})], {}), /y_a does not begin with x_/);
  await assert.rejects(pageOf([one('x_a', {}), one('x_a', {})], {}), /declared by two families/);
  await assert.rejects(pageOf([one('x_a', { __name__: 'x' })], {}), /not a label name/);
  await assert.rejects(pageOf([one('x_a', { a: '' }, {})], {}), /emitted twice/);
});
