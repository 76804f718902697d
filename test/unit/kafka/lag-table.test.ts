// The columns say what the facts of single partitions say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { OffsetHistory } from '../../../exporter/runtime/offset-history.ts';
import { TopicCommits } from '../../../exporter/systems/kafka/facts-commit.ts';
import { LagTable, TopicLogs } from '../../../exporter/systems/kafka/facts-lag-table.ts';
import { partitionLagOf, type PartitionLag } from '../../../exporter/systems/kafka/facts-partition.ts';

const wallMs = 1_790_000_000_000;
const now = { wallMs, monoMs: 100_000 };

function is<T>(value: T): Known<T> {
  return known(value, wallMs);
}

const offsets = new Map([
  [0, { begin: is(0), end: is(10) }],
  [1, { begin: is(0), end: is(10) }],
  [2, { begin: is(5), end: is(10) }],
  [3, { begin: is(0), end: is(10) }],
  [4, { begin: is(0), end: unknown('no leader') }],
  [5, { begin: unknown('no answer'), end: is(10) }],
  [6, { begin: is(0), end: is(10) }],
  [9, { begin: is(0), end: is(10) }], // there are gaps
]);

const commits = new Map<number, Known<number | 'none'>>([
  [0, is(10)],
  [1, is(4)],
  [2, is(2)],
  [3, is(11)],
  [4, is(4)],
  [5, is(4)],
  [6, unknown('not for us')],
  [7, is(1)], // of no partition
  [9, is('none')],
]);

function historyOf(...samples: readonly (readonly [atMs: number, end: number])[]): OffsetHistory {
  const history = new OffsetHistory();
  for (const [atMs, end] of samples) history.add(atMs, end);
  return history;
}

/** What the brokers know of the time before was asked for. */
function asked(history: OffsetHistory): OffsetHistory {
  history.backfill([]);
  return history;
}

const histories = new Map([
  [1, historyOf([40_000, 2], [60_000, 6], [100_000, 10])],
  [2, asked(historyOf([40_000, 8], [100_000, 10]))],
]);

function tableOf(memory: TopicCommits, monoMs = now.monoMs): LagTable {
  const logs = new TopicLogs(offsets, histories);
  return new LagTable(logs, { known: true, value: commits, observedAtMs: wallMs }, memory, { wallMs, monoMs });
}

function expected(): [number, PartitionLag][] {
  const none = is('none' as const);
  return [...offsets].map(([number, of]) => [
    number,
    partitionLagOf(commits.get(number) ?? none, of, histories.get(number), undefined, now),
  ]);
}

test('each partition is as it is by itself, in every way to read the table', () => {
  const table = tableOf(new TopicCommits());
  assert.deepEqual([...table], expected());
  assert.deepEqual([...table.entries()], expected());
  assert.deepEqual([...table.values()], expected().map(([, lag]) => lag)); // prettier-ignore
  assert.deepEqual([...table.keys()], [...offsets.keys()]);
  assert.equal(table.size, offsets.size);
  const seen: [number, PartitionLag][] = [];
  table.forEach((lag, number) => seen.push([number, lag]));
  assert.deepEqual(seen, expected());
  for (const [number, lag] of expected()) assert.deepEqual([table.has(number), table.get(number)], [true, lag]);
  assert.deepEqual([table.has(7), table.get(7), table.get(-1)], [false, undefined, undefined]);
});

test('the plain numbers are those of the facts', () => {
  const rows = [...tableOf(new TopicCommits()).rows()].length;
  assert.equal(rows, offsets.size);
  const facts = expected();
  let place = 0;
  for (const row of tableOf(new TopicCommits()).rows()) {
    const [partition, lag] = facts[place++] ?? assert.fail('a row too many');
    const { committed, lagAge, unmovedSeconds } = lag;
    assert.deepEqual(row, {
      partition,
      committed: committed.known ? committed.value : undefined,
      lag: lag.lag.known ? lag.lag.value : undefined,
      lost: lag.lost.known ? lag.lost.value : undefined,
      truncated: lag.truncated,
      lagAgeSeconds: lagAge.known ? lagAge.value.seconds : undefined,
      unmovedSeconds: unmovedSeconds.known ? unmovedSeconds.value : undefined,
    });
  }
});

test('for how long a commit stands still is kept by partition, also when there are more of them', () => {
  const memory = new TopicCommits();
  memory.remember(tableOf(memory, 40_000).rows(), { wallMs, monoMs: 40_000 });
  const unmoved = (table: LagTable, partition: number): unknown => {
    const found = table.get(partition)?.unmovedSeconds;
    return found?.known === true ? found.value : found;
  };
  assert.equal(unmoved(tableOf(memory), 1), 60);
  assert.equal(unmoved(tableOf(memory), 0), 0);
  // Another partition in front: what stood at a place stands at the next one
  const more = new Map([[20, { begin: is(0), end: is(10) }], ...offsets]);
  const committed = { known: true, value: new Map(commits).set(20, is(4)), observedAtMs: wallMs } as const;
  const table = new LagTable(new TopicLogs(more, histories), committed, memory, now);
  assert.equal(unmoved(table, 1), 60);
  assert.equal(unmoved(table, 20), 0);
  memory.startOver();
  assert.equal(unmoved(tableOf(memory), 1), 0);
});
