// The cardinality guard: what is left out when a target has too many series, that it is the same each time, and that it is
// told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { gauge, type Family, type Sample } from '../../../exporter/families.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { cut, type Cut } from '../../../exporter/scrape/cut.ts';
import { join } from '../../../exporter/scrape/exposition.ts';
import { capOf, SeriesGuard } from '../../../exporter/scrape/guard.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import type { Outcome } from '../../../exporter/scrape/outcome.ts';
import { SampleWriter } from '../../../exporter/scrape/writer.ts';
import { parseExposition, valueOf } from '../../support/exposition-parser.ts';
import { fakeInventory, roundsDeps, script } from '../../support/fake-system.ts';

const constant = { target: 'a "1"', team: 'x' };
const prefix = 'target="a \\"1\\"",team="x"';
const offset = gauge('offset', 'A number.', ['topic', 'partition']);
const lag = gauge('lag', 'Another number.', ['topic', 'partition']);
const small = gauge('small', 'A few.', ['of']);
const states = gauge('what_state', 'A state.', ['topic', 'state']);

function objects(count: number): { topic: string; partition: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    topic: `né "${Math.floor(i / 10)}"\n`,
    partition: String(i % 10),
  }));
}

/** As a sweep does it for one collector. */
function outcomeOf(samples: readonly Sample[], limit: number, collector = 'one'): Outcome {
  const writer = new SampleWriter({ level: 'target', constant });
  const guard = new SeriesGuard(limit, writer.put);
  for (const sample of samples) guard.put(sample);
  const common = { failure: undefined, durationMs: 1, observedAtMs: 0, board: new FactBoard() };
  return { ...common, collector, blocks: writer.finish(), refused: guard.refused };
}

function cutOf(outcomes: readonly Outcome[], limit: number): Cut {
  return cut(outcomes, limit, () => Buffer.byteLength(`{${prefix}`));
}

function samplesOf(family: Family, labels: readonly Record<string, string>[]): Sample[] {
  return labels.map((l) => ({ family, value: 1, labels: l }));
}

async function textOf({ blocks }: Cut): Promise<string> {
  return (await join(blocks, 'text', systemClock)).toString();
}

/** Another order, the same each time. */
function shuffled<T>(of: readonly T[], step: number): T[] {
  return of.map((_, i) => of[(i * step) % of.length] as T);
}

test('how many each may have: the largest are cut first', () => {
  assert.equal(capOf([1, 2, 3], 6), Infinity);
  assert.equal(capOf([10, 2, 10], 12), 5);
  assert.equal(capOf([100], 7), 7);
  assert.equal(capOf([1, 1, 1], 2), 0);
  assert.equal(capOf([], 2), Infinity);
});

test('names that a target makes long are not repeated on each line; of them little is told', () => {
  const labels = Array.from({ length: 64 }, (_, i) => `l${String(i)}_${'x'.repeat(1000)}`);
  const of = (family: Family): Outcome =>
    outcomeOf(
      samplesOf(
        family,
        objects(50).map(({ partition, topic }) =>
          Object.fromEntries(family.labels.map((label, i) => [label, i === 0 ? topic + partition : ''])),
        ),
      ),
      1000,
    );
  const long = of(gauge('many', 'With long labels.', labels));
  assert.deepEqual([long.blocks.length, [...long.refused]], [0, [['many', 50]]]);
  const named = of(gauge('n'.repeat(5000), 'With a long name.', ['a']));
  assert.deepEqual([named.blocks.length, [...named.refused]], [0, [['n'.repeat(200), 50]]]);
  const usual = of(gauge('usual', 'With labels.', labels.slice(0, 3)));
  assert.deepEqual([usual.blocks.length, usual.refused.size], [1, 0]);
});

test('a target that invents another large family in each sweep is not remembered for ever', () => {
  const sizes = new Map(Array.from({ length: 500 }, (_, i) => [`invented_${String(i)}`, 70_000]));
  const writer = new SampleWriter({ level: 'target', constant, sizes });
  for (let i = 0; i < 20; i++) writer.put({ family: small, value: 1, labels: { of: String(i).repeat(4000) } });
  writer.finish();
  assert.ok(sizes.has('small'));
  assert.ok(sizes.size <= 500, `${sizes.size} names`);
});

test('within the limit nothing is touched', async () => {
  const outcome = outcomeOf(samplesOf(offset, objects(50)), 100);
  const found = cutOf([outcome], 100);
  assert.deepEqual([found.samples, found.dropped.size], [50, 0]);
  assert.deepEqual(found.blocks, outcome.blocks);
  assert.equal(parseExposition(await textOf(found)).get('offset')?.samples.length, 50);
});

for (const count of [101, 450, 20_000]) {
  test(`of ${String(count)} objects the same stay in any order, and the same in both families; what is few stays whole`, async () => {
    const all = objects(count);
    const few = samplesOf(small, [{ of: 'a' }, { of: 'b' }]);
    const texts = new Set<string>();
    for (const step of [1, 7, 9_973]) {
      const labels = shuffled(all, step);
      const outcome = outcomeOf([...samplesOf(offset, labels), ...samplesOf(lag, labels), ...few], 100);
      const found = cutOf([outcome], 100);
      assert.ok(found.samples <= 100 && found.samples >= 90, String(found.samples));
      const families = parseExposition(await textOf(found));
      const keys = (name: string): string[] =>
        (families.get(name)?.samples ?? []).map((s) => JSON.stringify(s.labels)).sort();
      assert.equal(families.get('small')?.samples.length, 2);
      assert.equal(keys('offset').join('\n'), keys('lag').join('\n'));
      assert.equal(keys('lag').length, 49);
      texts.add(keys('offset').join());
      const told = found.dropped.get('one');
      assert.deepEqual(
        [told?.get('offset'), told?.get('lag'), told?.get('small')],
        [count - 49, count - 49, undefined],
      );
    }
    assert.equal(texts.size, 1);
  });
}

test('the memory of a collector that never ends is bounded', () => {
  const writer = new SampleWriter({ level: 'target', constant });
  let written = 0;
  const guard = new SeriesGuard(1000, (sample) => {
    written += 1;
    writer.put(sample);
  });
  for (const labels of objects(100_000)) guard.put({ family: offset, value: 1, labels });
  assert.ok(written <= 8000, String(written));
  const refused = guard.refused.get('offset') ?? 0;
  assert.equal(written + refused, 100_000);
});

test('a value of a label that is far too long takes its series away, and that is told', () => {
  const outcome = outcomeOf(samplesOf(small, [{ of: 'x'.repeat(5000) }, { of: 'b' }]), 100);
  const found = cutOf([outcome], 100);
  assert.deepEqual([found.samples, found.dropped.get('one')?.get('small')], [1, 1]);
});

test('the states of an object stay together, and go before the numbers', async () => {
  const topics = Array.from({ length: 300 }, (_, i) => `t${String(i)}`);
  const told = samplesOf(
    states,
    topics.flatMap((topic) => ['ok', 'late', 'unknown'].map((state) => ({ topic, state }))),
  );
  // 900 of the states, of which one family may have 500; a thousand numbers for what is left of 1000
  const found = cutOf([outcomeOf([...samplesOf(offset, objects(1000)), ...told], 1000)], 1000);
  const families = parseExposition(await textOf(found));
  const byTopic = new Map<string, number>();
  for (const { labels } of families.get('what_state')?.samples ?? []) {
    byTopic.set(labels['topic'] ?? '', (byTopic.get(labels['topic'] ?? '') ?? 0) + 1);
  }
  assert.deepEqual([...new Set(byTopic.values())], [3]);
  assert.ok(byTopic.size >= 160 && byTopic.size <= 166, String(byTopic.size));
  assert.equal(families.get('offset')?.samples.length, 500);
});

test('more families than series are allowed: the same ones stay', () => {
  const named = (order: number): Outcome =>
    outcomeOf(
      shuffled(
        Array.from({ length: 300 }, (_, i) => i),
        order,
      ).map((i) => ({
        family: gauge(`f${String(i)}`, 'One of many.', []),
        value: 1,
        labels: {},
      })),
      50,
    );
  const kept = [1, 7].map((order) =>
    cutOf([named(order)], 50)
      .blocks.map((b) => b.header.name)
      .sort()
      .join(),
  );
  assert.equal(kept[0], kept[1]);
  assert.equal(kept[0]?.split(',').length, 50);
});

test('what is left out is counted by collector and family, logged once, and told as over when it is over', async () => {
  let many = 100;
  const a = script({
    collect: (emit) => {
      for (let i = 0; i < many; i++) emit(i, { key: String(i) });
      return Promise.resolve();
    },
  });
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const rounds = new Rounds(
    fakeInventory({ a }, () => ({ series_limit: 20 })),
    roundsDeps({ log }),
  );
  const look = async () => parseExposition((await join(await rounds.scrape(2000), 'text', systemClock)).toString());
  const labels = { target: 'a', family: 'fake_value' };
  for (let i = 1; i <= 3; i++) {
    const found = await look();
    assert.equal(found.get('fake_value')?.samples.length, 10);
    assert.equal(valueOf(found, 'pipemedic_collector_series_dropped', { collector: 'value' }), 90);
    assert.equal(valueOf(found, 'pipemedic_target_series_dropped_total', labels), 90 * i);
    assert.equal(valueOf(found, 'pipemedic_target_samples', { target: 'a' }), 13);
    let samples = 0;
    for (const family of found.values()) samples += family.samples.length;
    assert.equal(valueOf(found, 'pipemedic_scrape_samples'), samples);
  }
  many = 1;
  const found = await look();
  assert.equal(valueOf(found, 'pipemedic_collector_series_dropped', { collector: 'value' }), 0);
  assert.equal(valueOf(found, 'pipemedic_target_series_dropped_total', labels), 270);
  assert.equal(lines.filter((line) => line.includes('series are left out')).length, 1);
  assert.equal(lines.filter((line) => line.includes('within its series_limit again')).length, 1);
  await rounds.close();
});
