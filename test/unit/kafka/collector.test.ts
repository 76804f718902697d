import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kafkaFamilies } from '../../../exporter/systems/kafka/families.ts';
import { groupGraceMs } from '../../../exporter/systems/kafka/facts-lag.ts';
import { Collected, of } from './collected.ts';
import { fakeCluster } from './fake-cluster.ts';

// danielqsj/kafka_exporter 1.9, exporter/README and kafka_exporter.go: all gauges
const peers: Readonly<Record<string, readonly string[]>> = {
  kafka_brokers: [],
  kafka_broker_info: ['id', 'address'],
  kafka_topic_partitions: ['topic'],
  kafka_topic_partition_current_offset: ['topic', 'partition'],
  kafka_topic_partition_oldest_offset: ['topic', 'partition'],
  kafka_topic_partition_leader: ['topic', 'partition'],
  kafka_topic_partition_replicas: ['topic', 'partition'],
  kafka_topic_partition_in_sync_replica: ['topic', 'partition'],
  kafka_topic_partition_leader_is_preferred: ['topic', 'partition'],
  kafka_topic_partition_under_replicated_partition: ['topic', 'partition'],
  kafka_consumergroup_current_offset: ['consumergroup', 'topic', 'partition'],
  kafka_consumergroup_current_offset_sum: ['consumergroup', 'topic'],
  kafka_consumergroup_lag: ['consumergroup', 'topic', 'partition'],
  kafka_consumergroup_lag_sum: ['consumergroup', 'topic'],
  kafka_consumergroup_members: ['consumergroup'],
};

test('every family of kafka_exporter is there, with its type and labels', () => {
  const ours = new Map(Object.values(kafkaFamilies).map((f) => [f.name, f] as const));
  for (const [name, labels] of Object.entries(peers)) {
    assert.equal(ours.get(name as never)?.type, 'gauge', name);
    assert.deepEqual(ours.get(name as never)?.labels, labels, name);
  }
});

test('one sweep, the values of kafka_exporter', async () => {
  const values = await new Collected(
    fakeCluster({
      topics: {
        t: [
          { begin: 2, end: 10, leader: 2, replicas: [1, 2], inSync: [2] },
          { end: 5, replicas: [1, 2], inSync: [1, 2] },
        ],
      },
      groups: { g: { members: 3, commits: { t: [7, undefined] } } },
    }),
  ).next();
  const families = Object.fromEntries(
    Object.keys(peers).flatMap((name) => Object.entries(of(values, name)).map(([labels, v]) => [name + labels, v])),
  );
  assert.deepEqual(families, {
    'kafka_brokers': 1,
    'kafka_broker_info{id="1",address="broker:9092"}': 1,
    'kafka_topic_partitions{topic="t"}': 2,
    'kafka_topic_partition_current_offset{topic="t",partition="0"}': 10,
    'kafka_topic_partition_current_offset{topic="t",partition="1"}': 5,
    'kafka_topic_partition_oldest_offset{topic="t",partition="0"}': 2,
    'kafka_topic_partition_oldest_offset{topic="t",partition="1"}': 0,
    'kafka_topic_partition_leader{topic="t",partition="0"}': 2,
    'kafka_topic_partition_leader{topic="t",partition="1"}': 1,
    'kafka_topic_partition_replicas{topic="t",partition="0"}': 2,
    'kafka_topic_partition_replicas{topic="t",partition="1"}': 2,
    'kafka_topic_partition_in_sync_replica{topic="t",partition="0"}': 1,
    'kafka_topic_partition_in_sync_replica{topic="t",partition="1"}': 2,
    'kafka_topic_partition_leader_is_preferred{topic="t",partition="0"}': 0,
    'kafka_topic_partition_leader_is_preferred{topic="t",partition="1"}': 1,
    'kafka_topic_partition_under_replicated_partition{topic="t",partition="0"}': 1,
    'kafka_topic_partition_under_replicated_partition{topic="t",partition="1"}': 0,
    'kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="0"}': 7,
    'kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="1"}': -1,
    'kafka_consumergroup_current_offset_sum{consumergroup="g",topic="t"}': 6,
    // the one difference: no -1 for the partition without a commit
    'kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"}': 3,
    'kafka_consumergroup_lag_sum{consumergroup="g",topic="t"}': 3,
    'kafka_consumergroup_members{consumergroup="g"}': 3,
  }); // prettier-ignore
  assert.deepEqual(of(values, 'kafka_consumergroup_uncommitted_partitions'), { '{consumergroup="g",topic="t"}': 1 });
});

test('groups of every type and protocol: their info, and members where they can be told', async () => {
  const values = await new Collected(
    fakeCluster({
      topics: { t: [{ end: 9 }] },
      groups: {
        modern: { type: 'consumer' },
        connect: { protocolType: 'connect', state: 'PreparingRebalance', members: 2 },
        offsets: { protocolType: '', state: 'Empty', members: 0, commits: { t: [4] } },
        streams: { type: 'streams', protocolType: 'streams', commits: { t: [2] } },
      },
    }),
  ).next();
  assert.deepEqual(Object.keys(of(values, 'kafka_consumergroup_info')), [
    '{consumergroup="modern",protocol_type="consumer",type="consumer"}',
    '{consumergroup="connect",protocol_type="connect",type="classic"}',
    '{consumergroup="offsets",protocol_type="",type="classic"}',
    '{consumergroup="streams",protocol_type="streams",type="streams"}',
  ]);
  assert.equal(values.get('kafka_consumergroup_state{consumergroup="connect",state="rebalancing"}'), 1);
  assert.deepEqual(of(values, 'kafka_consumergroup_members'), {
    '{consumergroup="modern"}': 1,
    '{consumergroup="connect"}': 2,
    '{consumergroup="offsets"}': 0,
  });
  assert.equal(values.get('kafka_consumergroup_lag{consumergroup="offsets",topic="t",partition="0"}'), 5);
  assert.equal(values.get('kafka_consumergroup_lag{consumergroup="streams",topic="t",partition="0"}'), 7);
});

test('a Streams group that is gone is not told of as it was when it was listed last', async () => {
  const cluster = fakeCluster({ topics: {}, groups: { s: { type: 'streams', protocolType: 'streams' } } });
  const collected = new Collected(cluster);
  assert.equal((await collected.next()).get('kafka_consumergroup_state{consumergroup="s",state="stable"}'), 1);
  cluster.listed = [];
  const values = await collected.next();
  assert.equal(values.get('kafka_consumergroup_state{consumergroup="s",state="stable"}'), 0);
  assert.equal(values.get('kafka_consumergroup_state{consumergroup="s",state="unknown"}'), 1);
});

const commitAge = 'kafka_consumergroup_last_commit_age_seconds';

test('a topic that could not be told of in the first sweep has no commit that was made just now', async () => {
  const topics = { t: [{ end: 9 }] };
  const cluster = fakeCluster({ topics: {}, groups: { g: { commits: { t: [4] } } } });
  cluster.failedTopics = { t: 'LEADER_NOT_AVAILABLE' };
  const collected = new Collected(cluster);
  await collected.next();
  cluster.topics = topics;
  cluster.failedTopics = {};
  assert.deepEqual(of(await collected.next(), commitAge), {});
});

test('age of the last commit: absent until one is seen to move, then since that', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 9 }, { end: 9 }], u: [{ end: 9 }] },
    groups: { g: { commits: { t: [4, undefined] } } },
  });
  const sweeps = new Collected(cluster);
  const age = async (): Promise<Record<string, number>> => of(await sweeps.next(), commitAge);
  assert.deepEqual(await age(), {});
  assert.deepEqual(await age(), {});
  cluster.groups = { g: { commits: { t: [5, undefined] } } };
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 0 });
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 10 });
  // one partition cannot be read: nothing is said, and it is no move when it is read again
  cluster.groups = { g: { commits: { t: [5, 'UNSTABLE_OFFSET_COMMIT'] } } };
  assert.deepEqual(await age(), {});
  cluster.groups = { g: { commits: { t: [5, undefined] } } };
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 30 });
  // the first commit of a partition, at 0, and the first one in another topic
  cluster.groups = { g: { commits: { t: [5, 0] } } };
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 0 });
  cluster.groups = { g: { commits: { t: [5, 0], u: [1] } } };
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 10, '{consumergroup="g",topic="u"}': 0 });
  // the topic cannot be told about for a while: not a new commit after it
  const { t: gone = [], ...others } = cluster.topics;
  cluster.topics = others;
  cluster.failedTopics = { t: 'LEADER_NOT_AVAILABLE' };
  assert.deepEqual(await age(), { '{consumergroup="g",topic="u"}': 10 });
  cluster.topics = { ...others, t: gone };
  cluster.failedTopics = {};
  assert.deepEqual(await age(), { '{consumergroup="g",topic="t"}': 30, '{consumergroup="g",topic="u"}': 20 });
});

test('a commit that does not move while records wait: the longest of the topic', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 9 }, { end: 9 }] },
    groups: { g: { commits: { t: [4, 9] } } },
  });
  const sweeps = new Collected(cluster);
  const unmoved = async (): Promise<number | undefined> =>
    (await sweeps.next()).get('kafka_consumergroup_commit_unmoved_seconds{consumergroup="g",topic="t"}');
  assert.equal(await unmoved(), 0);
  assert.equal(await unmoved(), 10);
  cluster.topics = { t: [{ end: 9 }, { end: 12 }] };
  assert.equal(await unmoved(), 20);
  cluster.groups = { g: { commits: { t: [9, 9] } } };
  assert.equal(await unmoved(), 10);
  cluster.groups = { g: { commits: { t: [9, 12] } } };
  assert.equal(await unmoved(), 0);
});

test('an open transaction: the gap, and for how long it has stood', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 20, stable: 12 }, { end: 5 }] }, groups: {} });
  const sweeps = new Collected(cluster);
  const told = async (): Promise<unknown[]> => {
    const values = await sweeps.next();
    return [
      ...Object.values(of(values, 'kafka_topic_partition_last_stable_offset')),
      ...Object.values(of(values, 'kafka_topic_partition_last_stable_offset_gap')),
      ...Object.values(of(values, 'kafka_topic_open_transaction_seconds')),
    ];
  };
  assert.deepEqual(await told(), [12, 5, 8, 0, 0]);
  cluster.topics = { t: [{ end: 30, stable: 12 }, { end: 5 }] };
  assert.deepEqual(await told(), [12, 5, 18, 0, 10]);
  cluster.topics = { t: [{ end: 30, stable: 'NOT_LEADER_OR_FOLLOWER' }, { end: 5 }] };
  assert.deepEqual(await told(), [5, 0]); // 0 of the one that is known says nothing of the topic
  cluster.topics = { t: [{ end: 30, stable: 12 }, { end: 5 }] };
  assert.deepEqual(await told(), [12, 5, 18, 0, 30]);
  // another one is the oldest now
  cluster.topics = { t: [{ end: 30, stable: 22 }, { end: 5 }] };
  assert.deepEqual(await told(), [22, 5, 8, 0, 0]);
  cluster.topics = { t: [{ end: 30 }, { end: 5 }] };
  assert.deepEqual(await told(), [30, 5, 0, 0, 0]);
});

test('the last stable offset is read after the end: what is written meanwhile is no gap', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 20, stable: 21 }] }, groups: {} });
  const values = await new Collected(cluster).next();
  assert.ok(cluster.asked.indexOf('end') < cluster.asked.indexOf('stable'));
  assert.deepEqual(Object.values(of(values, 'kafka_topic_partition_last_stable_offset_gap')), [0]);
});

test('the last stable offset is not asked for when it is not wanted', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 20 }] }, groups: {} });
  const values = await new Collected(cluster, { last_stable_offset: false }).next();
  assert.equal(cluster.asked.includes('stable'), false);
  assert.equal(
    [...values.keys()].some((key) => /stable|transaction/.test(key)),
    false,
  );
});

const sums = (values: Map<string, number> | ReadonlyMap<string, number>): (number | undefined)[] =>
  ['lag_sum', 'current_offset_sum', 'beyond_end_partitions', 'unknown_partitions', 'uncommitted_partitions'].map(
    (name) => values.get(`kafka_consumergroup_${name}{consumergroup="g",topic="t"}`),
  );

for (const [what, partition, commit, expected] of [
  ['all is known', { end: 9 }, 3, [7, 12, 0, 0, 0]],
  ['nothing is committed', { end: 9 }, undefined, [1, 8, 0, 0, 1]],
  ['the commit is beyond the end', { end: 9 }, 10, [undefined, 19, 1, 0, 0]],
  ['the leader has moved', { end: 'NOT_LEADER_OR_FOLLOWER' }, 3, [undefined, 12, 0, 1, 0]],
  ['the start is unknown', { begin: 'no', end: 9 }, 3, [undefined, 12, 0, 1, 0]],
  ['the commit is not stable', { end: 9 }, 'UNSTABLE_OFFSET_COMMIT', [undefined, undefined, 0, 1, 0]],
] as const) {
  test(`sums of a topic: ${what}`, async () => {
    const cluster = fakeCluster({
      topics: { t: [partition, { end: 10 }] },
      groups: { g: { commits: { t: [commit, 9] } } },
    });
    for (const granularity of ['partition', 'topic']) {
      assert.deepEqual(sums(await new Collected(cluster, { granularity }).next()), expected, granularity);
    }
  });
}

test('what is partial is said, by part', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 9 }] }, groups: { g: { commits: { t: [3] } } } });
  const sweeps = new Collected(cluster);
  const partial = async (): Promise<string[]> =>
    Object.entries(of(await sweeps.next(), 'kafka_sweep_complete')).flatMap(([part, value]) =>
      value === 0 ? [part] : [],
    );
  assert.deepEqual(await partial(), []);
  cluster.failedBrokers = [2];
  assert.deepEqual(await partial(), ['{part="groups"}']);
  cluster.failedBrokers = [];
  cluster.groups = { g: { described: 'COORDINATOR_NOT_AVAILABLE', commits: 'COORDINATOR_NOT_AVAILABLE' } };
  assert.deepEqual(await partial(), ['{part="descriptions"}', '{part="commits"}']);
  cluster.groups = { g: { commits: { t: ['UNSTABLE_OFFSET_COMMIT'] } } };
  assert.deepEqual(await partial(), ['{part="commits"}']);
  cluster.groups = {};
  cluster.topics = { t: [{ end: 9, stable: 'no' }] };
  assert.deepEqual(await partial(), ['{part="offsets"}']);
  cluster.topics = {};
  cluster.failedTopics = { t: 'LEADER_NOT_AVAILABLE' };
  assert.deepEqual(await partial(), ['{part="metadata"}']);
});

test('partitions without a leader and with too few replicas are counted, also those of topics that are not selected', async () => {
  const cluster = fakeCluster({
    topics: {
      t: [{ end: 'no leader', leader: -1 }, { end: 1, replicas: [1, 2, 3], inSync: [1] }],
      __consumer_offsets: [{ end: 'no leader', leader: -1, replicas: [1, 2], inSync: [1] }],
    },
    groups: {},
  }); // prettier-ignore
  cluster.failedTopics = { other: 'LEADER_NOT_AVAILABLE' };
  const values = await new Collected(cluster, { topics: { exclude: ['__.*'] } }).next();
  assert.equal(values.get('kafka_offline_partitions'), 2);
  assert.equal(values.get('kafka_under_replicated_partitions'), 2);
  assert.equal(values.get('kafka_unknown_topics'), 1);
  assert.deepEqual(of(values, 'kafka_topic_partitions'), { '{topic="t"}': 2 });
  assert.deepEqual(of(values, 'kafka_topic_partition_leader'), { '{topic="t",partition="1"}': 1 });
});

test('topics and groups that are not selected are not asked for; patterns match whole names', async () => {
  const cluster = fakeCluster({
    topics: { 'orders': [{ end: 5 }], 'orders.eu': [{ end: 5 }], 'orders.tmp': [{ end: 5 }], 'x': [{ end: 5 }] },
    groups: {
      'app': { commits: { orders: [1], x: [1] } },
      'app-2': { commits: { 'orders.eu': [2] } },
      'console-consumer-1': { commits: { orders: [0] } },
    },
  }); // prettier-ignore
  const values = await new Collected(cluster, {
    topics: { include: ['orders', 'orders\\..*'], exclude: ['.*\\.tmp'] },
    groups: { exclude: ['console-.*', 'pp-2'] },
  }).next();
  assert.deepEqual([...cluster.askedFor.topics].sort(), ['orders', 'orders.eu']);
  assert.deepEqual([...cluster.askedFor.groups].sort(), ['app', 'app-2']);
  assert.deepEqual(of(values, 'kafka_consumergroup_lag_sum'), {
    '{consumergroup="app",topic="orders"}': 4,
    '{consumergroup="app-2",topic="orders.eu"}': 3,
  });
  assert.deepEqual(Object.keys(of(values, 'kafka_consumergroup_info')).length, 2);
});

test('while the brokers do not tell of the time before the first look, the time since then is no age', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 9, past: [[0, 'REQUEST_TIMED_OUT']] }] },
    groups: { g: { commits: { t: [3] } } },
  });
  const collected = new Collected(cluster);
  for (let sweeps = 0; sweeps < 3; sweeps += 1) {
    const values = await collected.next();
    assert.deepEqual(Object.values(of(values, 'kafka_consumergroup_lag')), [6]);
    assert.deepEqual(of(values, 'kafka_consumergroup_lag_seconds'), {});
  }
  cluster.topics = { t: [{ end: 9, past: [[collected.nowMs - 3_600_000, 3], [collected.nowMs - 3_000_000, 9]] }] }; // prettier-ignore
  const [seconds = 0] = Object.values(of(await collected.next(), 'kafka_consumergroup_lag_seconds'));
  assert.ok(seconds >= 3_000 && seconds <= 3_700, String(seconds));
});

test('a pattern of alternatives binds each of them, and a dot stands for a line break too', async () => {
  const cluster = fakeCluster({ topics: {}, groups: { 'a': {}, 'b': {}, 'xb': {}, 'ay': {}, 'c\nd': {} } }); // prettier-ignore
  await new Collected(cluster, { groups: { include: ['a|b', 'c.*'] } }).next();
  assert.deepEqual([...cluster.askedFor.groups].sort(), ['a', 'b', 'c\nd']);
});

test('a pattern that is none is refused, and said', () => {
  assert.throws(() => new Collected(fakeCluster({ topics: {}, groups: {} }), { groups: { exclude: ['a)|(b'] } }), /a regular expression; this is none: unexpected \)/); // prettier-ignore
  assert.throws(() => new Collected(fakeCluster({ topics: {}, groups: {} }), { topics: { include: ['('] } }), /a regular expression; this is none: missing closing \)/); // prettier-ignore
  assert.throws(() => new Collected(fakeCluster({ topics: {}, groups: {} }), { topics: { include: [] } }));
});

test('granularity topic: the sums that a query makes of partitions are the same, and ages are the largest', async () => {
  const cluster = fakeCluster({
    topics: {
      t: [{ begin: 1, end: 9, stable: 7 }, { end: 12, replicas: [1, 2] }, { end: 3 }],
      u: [{ end: 4 }],
    },
    groups: { g: { commits: { t: [0, 12, 3], u: [1] } }, h: { commits: { u: [4] } } },
  }); // prettier-ignore
  const fine = new Collected(cluster);
  const coarse = new Collected(cluster, { granularity: 'topic' });
  await Promise.all([fine.next(), coarse.next()]);
  const [byPartition, byTopic] = [await fine.next(), await coarse.next()];
  for (const name of [
    'kafka_topic_partition_current_offset',
    'kafka_topic_partition_oldest_offset',
    'kafka_topic_partition_replicas',
    'kafka_topic_partition_in_sync_replica',
    'kafka_topic_partition_under_replicated_partition',
    'kafka_topic_partition_last_stable_offset',
    'kafka_topic_partition_last_stable_offset_gap',
    'kafka_consumergroup_current_offset',
    'kafka_consumergroup_lag',
    'kafka_consumergroup_lost_records',
  ]) {
    const total = (values: typeof byTopic): Record<string, number> => {
      const found: Record<string, number> = {};
      for (const [labels, value] of Object.entries(of(values, name))) {
        const key = labels.replace(/,partition="\d*"/, '');
        found[key] = (found[key] ?? 0) + value;
      }
      return found;
    };
    assert.deepEqual(total(byTopic), total(byPartition), name);
    assert.ok(
      Object.keys(of(byTopic, name)).every((labels) => labels.includes('partition=""')),
      name,
    );
  }
  const oldest = Math.max(...Object.entries(of(byPartition, 'kafka_consumergroup_lag_seconds')).filter(([l]) => l.includes('topic="t"')).map(([, v]) => v)); // prettier-ignore
  assert.ok(oldest > 0);
  assert.equal(byTopic.get('kafka_consumergroup_lag_seconds{consumergroup="g",topic="t",partition=""}'), oldest);
  for (const [key, value] of byPartition) {
    if (!key.includes('partition=')) assert.equal(byTopic.get(key), value, key);
  }
  assert.ok(byTopic.size < byPartition.size);
});

test('granularity topic: with a partition unknown there is no sum, and an age only as a lower bound', async () => {
  const cluster = fakeCluster({
    topics: { t: [{ end: 'NOT_LEADER_OR_FOLLOWER' }, { end: 9 }] },
    groups: { g: { commits: { t: [1, 9] } } },
  });
  const sweeps = new Collected(cluster, { granularity: 'topic' });
  const values = await sweeps.next();
  for (const name of [
    'kafka_consumergroup_lag',
    'kafka_consumergroup_lag_seconds',
    'kafka_topic_partition_current_offset',
  ]) {
    assert.deepEqual(of(values, name), {}, name);
  }
  cluster.topics = { t: [{ end: 'NOT_LEADER_OR_FOLLOWER' }, { end: 20 }] };
  assert.deepEqual(Object.values(of(await sweeps.next(), 'kafka_consumergroup_lag_seconds')), [10]);
});

test('a topic that was made anew between two sweeps has another history, though it has grown beyond the old one', async () => {
  const cluster = fakeCluster({ topics: { t: [{ end: 10 }] }, groups: { g: { commits: { t: [4] } } } });
  const sweeps = new Collected(cluster);
  const seconds = async (): Promise<unknown> => {
    const values = await sweeps.next(100_000);
    return [
      values.get('kafka_consumergroup_lag_seconds{consumergroup="g",topic="t",partition="0"}'),
      values.get('kafka_consumergroup_commit_unmoved_seconds{consumergroup="g",topic="t"}'),
    ];
  };
  const startMs = sweeps.nowMs;
  cluster.topics = { t: [{ end: 10, past: [[startMs - 7_200_000, 10]] }] };
  await seconds();
  const [old, unmoved] = (await seconds()) as number[];
  assert.ok(old !== undefined && old > 7_000 && unmoved === 100, `${old} ${unmoved}`);
  cluster.ids = { t: 'second' };
  cluster.topics = { t: [{ end: 30, past: [[startMs + 250_000, 30]] }] };
  const [young, moved] = (await seconds()) as number[];
  assert.ok(young !== undefined && young < 100 && moved === 0, `${young} ${moved}`);
});

test('a cluster that does not answer: every part is unknown, and so are the groups seen lately', async () => {
  const sweeps = new Collected(fakeCluster({ topics: { t: [{ end: 9 }] }, groups: { g: { commits: { t: [3] } } } }));
  await sweeps.next();
  const values = await sweeps.failed();
  assert.deepEqual([...new Set(Object.values(of(values, 'kafka_sweep_complete')))], [0]);
  assert.equal(values.get('kafka_consumergroup_state{consumergroup="g",state="unknown"}'), 1);
  assert.ok([...values.keys()].every((key) => /^kafka_(sweep_complete|consumergroup_state)/.test(key)));
  assert.deepEqual(of(await sweeps.failed(groupGraceMs + 1), 'kafka_consumergroup_state'), {});
});
