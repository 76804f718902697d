import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { collectorOf } from '../../exporter/collector.ts';
import { gauge, openFamily, type Sample } from '../../exporter/families.ts';
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
