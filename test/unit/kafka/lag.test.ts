import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  groupGraceMs,
  LagMemory,
  readKafkaLag,
  type KafkaLag,
  type PartitionLag,
} from '../../../exporter/systems/kafka/facts-lag.ts';
import { clientOf, fakeCluster, type FakeCluster } from './fake-cluster.ts';

class Sweeps {
  readonly memory = new LagMemory();
  readonly cluster: FakeCluster;
  nowMs = 10_000_000;

  constructor(cluster: FakeCluster) {
    this.cluster = cluster;
  }

  async next(afterMs = 10_000): Promise<KafkaLag> {
    this.nowMs += afterMs;
    const clock = { wallMs: () => this.nowMs, monoMs: () => this.nowMs - 9_000_000 };
    const call = { signal: new AbortController().signal, clock };
    return await readKafkaLag(clientOf(this.cluster), call, this.memory);
  }
}

function partitionOf(lag: KafkaLag, group = 'g', topic = 't', partition = 0): PartitionLag {
  const topics = lag.groups.get(group)?.topics;
  assert.ok(topics?.known === true);
  const found = topics.value.get(topic)?.partitions.get(partition);
  assert.ok(found !== undefined);
  return found;
}

const valueOf = (fact: { known: boolean; value?: unknown }): unknown => (fact.known ? fact.value : 'unknown');

test('commits are read before the ends of the logs', async () => {
  const sweeps = new Sweeps(fakeCluster({ topics: { t: [{ end: 5 }] }, groups: { g: { commits: { t: [5] } } } }));
  await sweeps.next();
  const { asked } = sweeps.cluster;
  assert.ok(asked.indexOf('commits') < asked.indexOf('end'));
  assert.ok(asked.indexOf('groups') < asked.indexOf('commits'));
});

const cases: readonly [
  string,
  { begin?: number | string; end: number | string },
  number | string | undefined,
  object,
][] = [
  ['read to the end', { end: 10 }, 10, { lag: 0, lost: 0, truncated: false }],
  ['behind', { end: 10 }, 4, { lag: 6, lost: 0, truncated: false }],
  ['nothing read, committed at 0', { end: 10 }, 0, { lag: 10, lost: 0, truncated: false }],
  ['retention took records', { begin: 7, end: 10 }, 4, { lag: 3, lost: 3, truncated: false }],
  ['retention took everything', { begin: 10, end: 10 }, 4, { lag: 0, lost: 6, truncated: false }],
  [
    'deleted up to behind the end, which was read before',
    { begin: 15, end: 10 },
    4,
    { lag: 0, lost: 11, truncated: false },
  ],
  ['beyond the end', { end: 10 }, 11, { lag: 'unknown', lost: 0, truncated: true }],
  ['no commit', { end: 10 }, undefined, { lag: 'unknown', lost: 'unknown', truncated: false }],
  [
    'the commit is unknown',
    { end: 10 },
    'UNSTABLE_OFFSET_COMMIT',
    { lag: 'unknown', lost: 'unknown', truncated: false },
  ],
  ['the end is unknown', { end: 'NOT_LEADER_OR_FOLLOWER' }, 4, { lag: 'unknown', lost: 'unknown', truncated: false }],
  ['the start is unknown', { begin: 'no', end: 10 }, 4, { lag: 'unknown', lost: 'unknown', truncated: false }],
];
for (const [what, partition, commit, expected] of cases) {
  test(`records: ${what}`, async () => {
    const cluster = fakeCluster({
      topics: { t: [partition, { end: 3 }] },
      groups: { g: { commits: { t: [commit, 3] } } },
    });
    const { lag, lost, truncated } = partitionOf(await new Sweeps(cluster).next());
    assert.deepEqual({ lag: valueOf(lag), lost: valueOf(lost), truncated }, expected);
  });
}

test('a topic of which nothing is committed and that no member reads is none of the group’s', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 5 }], other: [{ end: 5 }], read: [{ end: 5 }] },
    groups: { g: { commits: { t: [1], other: [undefined] }, assigned: ['read'] } },
  });
  const topics = (await new Sweeps(cluster).next()).groups.get('g')?.topics;
  assert.deepEqual(topics?.known === true && [...topics.value.keys()].sort(), ['read', 't']);
});

test('commits of a topic that was deleted are left out', async () => {
  const cluster = fakeCluster({ topics: {}, groups: { g: { commits: { gone: [1] } } } });
  const topics = (await new Sweeps(cluster).next()).groups.get('g')?.topics;
  assert.equal(topics?.known === true && topics.value.size, 0);
});

test('a group whose commits cannot be read is unknown as a whole, the others are not', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 5 }] },
    groups: { g: { commits: 'COORDINATOR_LOAD_IN_PROGRESS' }, other: { commits: { t: [4] } } },
  });
  const lag = await new Sweeps(cluster).next();
  assert.equal(lag.groups.get('g')?.topics.known, false);
  assert.equal(valueOf(partitionOf(lag, 'other').lag), 1);
});

test('states of a group', async () => {
  const names = [
    'Stable',
    'PreparingRebalance',
    'CompletingRebalance',
    'Assigning',
    'Reconciling',
    'Empty',
    'Dead',
    'New',
  ];
  const groups = Object.fromEntries(names.map((state) => [state, { state }]));
  const lag = await new Sweeps(fakeCluster({ topics: {}, groups: { ...groups, silent: { described: 'why' } } })).next();
  assert.deepEqual(
    [...lag.groups.values()].map((g) => g.state),
    ['stable', 'rebalancing', 'rebalancing', 'rebalancing', 'rebalancing', 'empty', 'dead', 'unknown', 'unknown'],
  );
  assert.equal(lag.groups.get('silent')?.why, 'why');
  assert.equal(lag.groups.get('silent')?.members.known, false);
});

test('a group that is no longer listed is asked for ten more minutes', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 5 }] }, groups: { g: { commits: { t: [1] } } } });
  const sweeps = new Sweeps(cluster);
  await sweeps.next();
  cluster.listed = [];
  // the broker has just been restarted: it lists nothing, but answers for the group
  assert.equal(valueOf(partitionOf(await sweeps.next()).lag), 4);
  delete cluster.groups['g'];
  assert.equal((await sweeps.next()).groups.get('g')?.state, 'dead');
  assert.equal((await sweeps.next(groupGraceMs - 30_000)).groups.has('g'), true);
  assert.equal((await sweeps.next(30_000)).groups.has('g'), false);
  assert.equal(sweeps.memory.commits.has('g'), false);
});

test('a group is not forgotten while a broker that may list it does not answer', async () => {
  const cluster = fakeCluster({ topics: {}, groups: { g: {} } });
  const sweeps = new Sweeps(cluster);
  await sweeps.next();
  cluster.listed = [];
  cluster.failedBrokers = [2];
  assert.equal((await sweeps.next(2 * groupGraceMs)).groups.has('g'), true);
});

test('age: 0 when nothing waits, then from when the end passed the commit', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 10 }] }, groups: { g: { commits: { t: [10] } } } });
  const sweeps = new Sweeps(cluster);
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 0, atLeast: false });
  cluster.topics = { t: [{ end: 20 }] };
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 10, atLeast: false });
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 20, atLeast: false });
  cluster.groups = { g: { commits: { t: [15] } } };
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 25, atLeast: false });
  cluster.groups = { g: { commits: { t: [20] } } };
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 0, atLeast: false });
});

test('age at the first look: from the timestamps of the records, asked for once', async () => {
  const sweeps = new Sweeps(fakeCluster({ topics: {}, groups: {} }));
  const { cluster } = sweeps;
  const startMs = sweeps.nowMs + 10_000;
  cluster.topics = { t: [{ end: 100, past: [[startMs - 3_600_000, 40], [startMs - 900_000, 80]] }] }; // prettier-ignore
  cluster.groups = { g: { commits: { t: [60] } } };
  // written 900 s ago; the time is halved three times between 1 h (offset 40) and 15 min (offset 80)
  const age = partitionOf(await sweeps.next()).lagAge;
  assert.ok(
    age.known && !age.value.atLeast && age.value.seconds >= 900 && age.value.seconds <= 1_200,
    JSON.stringify(age),
  );
  const asked = cluster.asked.filter((a) => a === 'past').length;
  assert.equal(asked, 7 + 3);
  await sweeps.next();
  assert.equal(cluster.asked.filter((a) => a === 'past').length, asked);
});

test('age at the first look is not asked for where nothing waits', async () => {
  const sweeps = new Sweeps(fakeCluster({ topics: { t: [{ end: 5 }] }, groups: { g: { commits: { t: [5] } } } }));
  await sweeps.next();
  assert.equal(sweeps.cluster.asked.includes('past'), false);
});

test('a record older than a week is at least that old', async () => {
  const sweeps = new Sweeps(fakeCluster({ topics: {}, groups: {} }));
  const startMs = sweeps.nowMs + 10_000;
  sweeps.cluster.topics = { t: [{ end: 9, past: [[startMs - 8 * 86_400_000, 5]] }] };
  sweeps.cluster.groups = { g: { commits: { t: [3] } } };
  assert.deepEqual(valueOf(partitionOf(await sweeps.next()).lagAge), { seconds: 604_800, atLeast: true });
});

test('a commit that does not move counts from when records were first seen to wait', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 10 }] }, groups: { g: { commits: { t: [10] } } } });
  const sweeps = new Sweeps(cluster);
  await sweeps.next();
  // an hour in which nothing was written is no standstill
  assert.equal(valueOf(partitionOf(await sweeps.next(3_600_000)).unmovedSeconds), 0);
  cluster.topics = { t: [{ end: 20 }] };
  assert.equal(valueOf(partitionOf(await sweeps.next()).unmovedSeconds), 0);
  assert.equal(valueOf(partitionOf(await sweeps.next()).unmovedSeconds), 10);
  cluster.groups = { g: { commits: { t: [11] } } };
  assert.equal(valueOf(partitionOf(await sweeps.next()).unmovedSeconds), 0);
  assert.equal(valueOf(partitionOf(await sweeps.next()).unmovedSeconds), 10);
});

test('a topic that was made anew has a new history', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 100 }] }, groups: { g: { commits: { t: [100] } } } });
  const sweeps = new Sweeps(cluster);
  await sweeps.next();
  cluster.topics = {};
  await sweeps.next();
  assert.equal(sweeps.memory.ends.has('t'), false);
});
