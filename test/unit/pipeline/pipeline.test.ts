import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import {
  kafkaLagFact,
  type GroupLag,
  type KafkaLag,
  type PartitionLag,
} from '../../../exporter/systems/kafka/facts-lag.ts';
import { maxwellHealthFact, type MaxwellHealth } from '../../../exporter/systems/maxwell/facts-health.ts';
import { replicationFact, type ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { collectPipelines } from '../../../exporter/systems/pipeline/collector-pipeline.ts';
import { ChainMemory } from '../../../exporter/systems/pipeline/facts-chain.ts';
import { FlowMemory } from '../../../exporter/systems/pipeline/facts-flow.ts';
import {
  pipelineLagOf,
  type Pipeline,
  type PipelineLag,
  type Stage,
} from '../../../exporter/systems/pipeline/facts-pipeline.ts';
import { cacheStage } from '../../../exporter/systems/pipeline/facts-stages-cache.ts';
import { consumeStage, cdcStages, replicaStage } from '../../../exporter/systems/pipeline/facts-stages.ts';
import { stageStates } from '../../../exporter/systems/pipeline/families.ts';
import { redisReplicationFact, type RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';

const seconds = (value: number): Known<number> => known(value, 1_000);
const no = unknown('not seen');

// Facts with what the pipeline looks at; the rest is of no interest to it.
const cdc = (state: MaxwellHealth['state'], lagSeconds: Known<number>): Known<MaxwellHealth> =>
  known({ state, why: `it is ${state}`, lagSeconds } as MaxwellHealth, 1_000);
const channel = (state: ReplicaChannel['state'], lagSeconds: Known<number>): ReplicaChannel =>
  ({ state, why: `it is ${state}`, lagSeconds }) as ReplicaChannel;

interface Partition {
  readonly end?: number;
  readonly committed?: number | 'none';
  readonly age?: number | 'unknown';
  readonly atLeast?: boolean;
  readonly unmoved?: number;
}

function partition({ committed = 0, age = 0, atLeast = false, unmoved = 0, end = 10 }: Partition): PartitionLag {
  return {
    committed: known(committed, 1_000),
    begin: seconds(0),
    end: seconds(end),
    lag: committed === 'none' ? no : seconds(end - committed),
    lost: seconds(0),
    truncated: false,
    lagAge: age === 'unknown' || committed === 'none' ? no : known({ seconds: age, atLeast }, 1_000),
    unmovedSeconds: seconds(unmoved),
  };
}

interface Group {
  readonly state?: GroupLag['state'];
  readonly managed?: boolean;
  readonly topics?: Readonly<Record<string, readonly Partition[]>> | 'unknown';
}

/** The cluster has the topics `a` and `b` with the partitions of the first group that reads them. */
function cluster(groups: Readonly<Record<string, Group>>, empty: readonly string[] = []): Known<KafkaLag> {
  const offsets = new Map<string, Map<number, { begin: Known<number>; end: Known<number> }>>();
  const found = new Map<string, GroupLag>();
  for (const [group, { state = 'stable', managed = true, topics = {} }] of Object.entries(groups)) {
    const lags = Object.entries(topics === 'unknown' ? {} : topics).map(([topic, partitions]) => {
      const of = new Map(partitions.map((p, i) => [i, partition(p)]));
      offsets.set(topic, new Map([...of].map(([i, { begin, end }]) => [i, { begin, end }])));
      return [topic, { topic, partitions: of }] as const;
    });
    found.set(group, {
      group,
      state,
      why: undefined,
      members: seconds(1),
      managed,
      topics: topics === 'unknown' ? no : known(new Map(lags), 1_000),
    });
  }
  for (const topic of empty) offsets.set(topic, new Map([[0, { begin: seconds(5), end: seconds(5) }]]));
  return known({ cluster: { id: 'k', brokers: [], topics: new Map() }, offsets, groups: found }, 1_000);
}

function redis(parts: object): Known<RedisReplication> {
  const server = { host: '10.0.0.1', port: 6379 };
  return known({ role: 'primary', state: 'primary', replId: 'id', server, replicas: [], ...parts } as unknown as RedisReplication, 1_000); // prettier-ignore
}
const replicaSeen = (lag: Known<{ seconds: number; atLeast: boolean }>, ip = '10.0.0.2', port = '6380'): object => ({ ip, port, lag, behindBytes: seconds(200) }); // prettier-ignore
const primaryOf = (...replicas: object[]): Known<RedisReplication> => redis({ replicas });
const replicaOf = (parts: object = {}): Known<RedisReplication> =>
  redis({ role: 'replica', state: 'replica_up', server: { host: '10.0.0.2', port: 6380 }, ...parts });
const lagging = (s: number, atLeast = false): Known<{ seconds: number; atLeast: boolean }> =>
  known({ seconds: s, atLeast }, 1_000);

/** A bound in the place of the lag is told as `>= 7`. */
const short = ({ state, lagSeconds, atLeastSeconds }: Pick<Stage, 'state' | 'lagSeconds' | 'atLeastSeconds'>): unknown[] => {
  const bound = atLeastSeconds.known ? `>= ${String(atLeastSeconds.value)}` : 'unknown';
  return [state, lagSeconds.known ? lagSeconds.value : bound];
}; // prettier-ignore

for (const [fact, expected] of [
  [cdc('running', seconds(3)), ['ok', 3]],
  [cdc('running', no), ['unknown', 'unknown']],
  [cdc('stalled', seconds(90)), ['stalled', 90]],
  [cdc('stalled', no), ['stalled', 'unknown']],
  [cdc('down', seconds(90)), ['down', 90]],
  [cdc('position_lost', no), ['down', 'unknown']],
  [cdc('unknown', seconds(4)), ['unknown', 4]],
  [no, ['unknown', 'unknown']],
] as const) {
  test(`cdc_read of ${JSON.stringify(fact)}`, () => {
    const { read, publish, whole } = cdcStages(fact, 30);
    assert.deepEqual(short(read), expected);
    assert.deepEqual(read, whole, 'nothing tells the two halves apart');
    assert.equal(publish.state, fact.known ? 'unsplit' : 'unknown');
    assert.equal(publish.lagSeconds.known, false);
  });
}

for (const [channels, expected] of [
  [known([channel('running', seconds(2))], 0), ['ok', 2]],
  [known([channel('running', no)], 0), ['unknown', 'unknown']],
  [known([channel('running', seconds(2)), channel('stopped', no)], 0), ['down', '>= 2']],
  [known([channel('connecting', no), channel('running', seconds(2))], 0), ['stalled', '>= 2']],
  [known([channel('running', seconds(2)), channel('running', seconds(9))], 0), ['ok', 9]],
  [known([], 0), ['down', 'unknown']],
  [no, ['unknown', 'unknown']],
] as const) {
  test(`replicate of ${JSON.stringify(channels)}`, () => {
    assert.deepEqual(short(replicaStage(channels, no)), expected);
  });
}

const read = { committed: 10, age: 0 };
const waits = { committed: 4, age: 7 };
const consume: readonly [string, Known<KafkaLag>, readonly [Stage['state'], number | string]][] = [
  ['all read', cluster({ g: { topics: { a: [read, read] } } }), ['ok', 0]],
  ['the slowest partition counts', cluster({ g: { topics: { a: [waits, read, { committed: 1, age: 30 }] } } }), ['ok', 30]],
  ['the slowest topic counts', cluster({ g: { topics: { a: [read], b: [waits] } } }, []), ['ok', 7]],
  ['one partition unknown', cluster({ g: { topics: { a: [waits, { committed: 4, age: 'unknown' }] } } }), ['unknown', '>= 7']],
  ['one partition unknown, another beyond the objective', cluster({ g: { topics: { a: [{ committed: 1, age: 31 }, { committed: 4, age: 'unknown' }] } } }), ['behind', '>= 31']],
  ['no commit, with data', cluster({ g: { topics: { a: [read, { committed: 'none' }] } } }), ['unknown', 'unknown']],
  ['no commit, without data', cluster({ g: { topics: { a: [read, { committed: 'none', end: 0 }] } } }), ['ok', 0]],
  ['commits unknown', cluster({ g: { topics: 'unknown' } }), ['unknown', 'unknown']],
  ['topic not read, empty', cluster({ g: { topics: { a: [read] } } }, ['b']), ['ok', 0]],
  ['topic not read, with data', cluster({ other: { topics: { b: [read] } }, g: { topics: { a: [read] } } }), ['unknown', 'unknown']],
  ['group not there', cluster({ other: {} }), ['unknown', 'unknown']],
  ['no facts', no, ['unknown', 'unknown']],
  ['dead, nothing known', cluster({ g: { state: 'dead', topics: { a: [{ committed: 'none' }] } } }), ['down', 'unknown']],
  ['no members, records wait', cluster({ g: { state: 'empty', topics: { a: [waits] } } }), ['down', 7]],
  ['no members, nothing waits', cluster({ g: { state: 'empty', topics: { a: [read] } } }), ['ok', 0]],
  ['consumers without a group protocol look empty', cluster({ g: { state: 'empty', managed: false, topics: { a: [waits] } } }), ['ok', 7]],
  ['a commit stands still', cluster({ g: { topics: { a: [{ ...waits, unmoved: 61 }] } } }), ['stalled', 7]],
  ['a commit stands still for a moment', cluster({ g: { topics: { a: [{ ...waits, unmoved: 59 }] } } }), ['ok', 7]],
  ['at least 7 s is no lag of 7 s', cluster({ g: { topics: { a: [{ ...waits, atLeast: true }] } } }), ['unknown', '>= 7']],
  ['at least the objective does not miss it', cluster({ g: { topics: { a: [{ ...waits, age: 30, atLeast: true }] } } }), ['unknown', '>= 30']],
  ['at least 99 s misses the objective', cluster({ g: { topics: { a: [{ committed: 1, age: 99, atLeast: true }] } } }), ['behind', '>= 99']],
  ['at least 99 s, and a commit stands still', cluster({ g: { topics: { a: [{ committed: 1, age: 99, atLeast: true, unmoved: 70 }] } } }), ['stalled', '>= 99']],
  ['at least 99 s, and no members', cluster({ g: { state: 'empty', topics: { a: [{ committed: 1, age: 99, atLeast: true }] } } }), ['down', '>= 99']],
  ['older than the history by nothing yet', cluster({ g: { topics: { a: [{ committed: 1, age: 0, atLeast: true }] } } }), ['unknown', 'unknown']],
]; // prettier-ignore
for (const [what, fact, expected] of consume) {
  test(`consume: ${what}`, () => {
    const topics = what.includes('topic') ? ['a', 'b'] : ['a'];
    assert.deepEqual(short(consumeStage(fact, 'g', topics, 30)), expected);
  });
}

const cache: readonly [string, Known<RedisReplication>, Known<RedisReplication>, readonly [Stage['state'], number | string]][] = [
  ['found by address and port', primaryOf(replicaSeen(lagging(1)), replicaSeen(lagging(50), '10.0.0.3')), replicaOf(), ['ok', 1]],
  ['found by port alone', primaryOf(replicaSeen(lagging(2), '172.17.0.1')), replicaOf(), ['ok', 2]],
  ['two with its port and neither its address', primaryOf(replicaSeen(lagging(2), '172.17.0.1'), replicaSeen(lagging(3), '172.17.0.2')), replicaOf(), ['unknown', 'unknown']],
  ['not seen by the primary', primaryOf(), replicaOf(), ['unknown', 'unknown']],
  ['seen, lag unknown', primaryOf(replicaSeen(no)), replicaOf(), ['unknown', 'unknown']],
  ['at least 5 s is no lag of 5 s', primaryOf(replicaSeen(lagging(5, true))), replicaOf(), ['unknown', '>= 5']],
  ['at least 99 s misses the objective', primaryOf(replicaSeen(lagging(99, true))), replicaOf(), ['behind', '>= 99']],
  ['it follows another primary', primaryOf(replicaSeen(lagging(1))), replicaOf({ replId: 'other' }), ['down', 'unknown']],
  ['the primary is unknown, the link up', no, replicaOf(), ['unknown', 'unknown']],
  ['the primary is unknown, the link down', no, replicaOf({ state: 'replica_down' }), ['down', 'unknown']],
  ['the link is down', primaryOf(), replicaOf({ state: 'replica_down' }), ['down', 'unknown']],
  ['it is being copied', primaryOf(replicaSeen(no)), replicaOf({ state: 'replica_syncing' }), ['stalled', 'unknown']],
  ['it is a primary itself', primaryOf(), redis({}), ['down', 'unknown']],
  ['the primary has become a replica', replicaOf(), replicaOf(), ['unknown', 'unknown']],
  ['the replica is unknown', primaryOf(replicaSeen(lagging(1))), no, ['unknown', 'unknown']],
  ['both are unknown', no, no, ['unknown', 'unknown']],
]; // prettier-ignore
for (const [what, primary, replica, expected] of cache) {
  test(`cache_replicate: ${what}`, () => {
    assert.deepEqual(short(cacheStage(primary, replica, 30)), expected);
  });
}

const whole: Pipeline = {
  name: 'orders',
  objective: 60_000,
  source: 'db',
  replicas: ['db-2'],
  cdc: 'maxwell',
  bus: { target: 'kafka', topics: ['a'] },
  consumers: [{ group: 'g' }, { group: 'h', topics: ['b'] }],
  cache: { primary: 'r1', replicas: ['r2'] },
};

/** As it is after a while in which nothing has changed. */
function lagOf(pipeline: Pipeline, board: FactBoard): PipelineLag {
  const memory = new ChainMemory();
  for (const nowMs of [-900_000, -600_000, -300_000]) pipelineLagOf(pipeline, board, memory, nowMs);
  return pipelineLagOf(pipeline, board, memory, 2_000);
}

/** Every stage is well: 1 s in the CDC process, 7 and 20 s in the groups, 2 s in the cache, 40 s in the replica. */
function healthy(): FactBoard {
  const board = new FactBoard();
  board.publish('maxwell', maxwellHealthFact, cdc('running', seconds(1)));
  const h = { topics: { b: [{ committed: 1, age: 20 }] } };
  board.publish('kafka', kafkaLagFact, cluster({ g: { topics: { a: [waits] } }, h }));
  board.publish('r1', redisReplicationFact, primaryOf(replicaSeen(lagging(2))));
  board.publish('r2', redisReplicationFact, replicaOf());
  board.publish('db-2', replicationFact, known([channel('running', seconds(40))], 1_000));
  return board;
}

test('while nothing changes the lag is the sum of the chain, of stages side by side the slowest; the replica is no part of it', () => {
  const { lagSeconds, stages, objectiveSeconds } = lagOf(whole, healthy());
  assert.deepEqual(lagSeconds, { known: true, value: 1 + 20 + 2, observedAtMs: 1_000 });
  assert.equal(objectiveSeconds, 60);
  assert.deepEqual(
    stages.map((s) => [s.stage, s.target, s.consumergroup, ...short(s)]),
    [
      ['replicate', 'db-2', '', 'ok', 40],
      ['cdc_read', 'maxwell', '', 'ok', 1],
      ['cdc_publish', 'maxwell', '', 'unsplit', 'unknown'],
      ['consume', 'kafka', 'g', 'ok', 7],
      ['consume', 'kafka', 'h', 'ok', 20],
      ['cache_replicate', 'r2', '', 'ok', 2],
    ],
  );
});

// All combinations of what may be unknown: the lag is known only when no stage of the chain is.
const breakers: Readonly<Record<string, (board: FactBoard) => void>> = {
  cdc: (b) => {
    b.publish('maxwell', maxwellHealthFact, no);
  },
  bus: (b) => {
    b.publish('kafka', kafkaLagFact, no);
  },
  group: (b) => {
    const h = { topics: { b: [{ committed: 1, age: 'unknown' as const }] } };
    b.publish('kafka', kafkaLagFact, cluster({ g: { topics: { a: [waits] } }, h }));
  },
  primary: (b) => {
    b.publish('r1', redisReplicationFact, no);
  },
  cache: (b) => {
    b.publish('r2', redisReplicationFact, no);
  },
  replica: (b) => {
    b.publish('db-2', replicationFact, no);
  },
};
test('while any stage of the chain is unknown, so is the lag: every combination', () => {
  const names = Object.keys(breakers);
  for (let bits = 0; bits < 2 ** names.length; bits++) {
    const broken = names.filter((_, i) => (bits >> i) & 1);
    const board = healthy();
    for (const name of broken) breakers[name]?.(board);
    const { lagSeconds, stages } = lagOf(whole, board);
    assert.equal(
      lagSeconds.known,
      broken.every((name) => name === 'replica'),
      broken.join(),
    );
    assert.equal(stages.length, 6);
    assert.equal(stages.find((s) => s.stage === 'replicate')?.state, broken.includes('replica') ? 'unknown' : 'ok');
    if (!lagSeconds.known) assert.match(lagSeconds.why, /^(cdc_read|consume|cache_replicate) of /);
  }
});

test('only the stages that are configured count; without any there is no lag', () => {
  const { cache: _cache, ...middle } = whole;
  assert.deepEqual(lagOf(middle, healthy()).lagSeconds, known(21, 1_000));
  const none = { name: 'p', objective: 1, source: 'db', replicas: ['db-2'], consumers: [] };
  assert.equal(lagOf(none, healthy()).lagSeconds.known, false);
});

test('where the inventory names nothing that moves changes on there is no lag of the whole, only that of the stages', () => {
  const { cdc: _cdc, ...withoutCdc } = whole;
  const { bus: _bus, ...cacheAlone } = { ...withoutCdc, consumers: [] };
  for (const [pipeline, why, stages, atLeast] of [
    [withoutCdc, /`cdc`.* between db and kafka$/, 4, 20],
    [cacheAlone, /`cdc`.* between db and r1$/, 2, 2],
    [{ ...whole, consumers: [] }, /`consumers`.* between kafka and r1$/, 4, 2],
  ] as const) {
    const found = lagOf(pipeline, healthy());
    assert.ok(!found.lagSeconds.known);
    assert.match(found.lagSeconds.why, why);
    assert.equal(found.stages.length, stages);
    assert.deepEqual(found.atLeastSeconds, known(atLeast, 1_000));
  }
  const direct = { ...cacheAlone, cdc: 'maxwell' };
  assert.deepEqual(
    lagOf(direct, healthy()).lagSeconds,
    known(3, 1_000),
    'a CDC process that writes to the cache itself',
  );
});

function seriesOf(board: FactBoard): Sample[] {
  const memory = new FlowMemory();
  let samples: Sample[] = [];
  for (const nowMs of [-900_000, -600_000, -300_000, 0]) {
    samples = [];
    const clock = { wallMs: () => 2_000, monoMs: () => nowMs };
    collectPipelines([whole], board, (sample) => void samples.push(sample), clock, memory);
  }
  return samples;
}

test('series: objective and states are always there, the lag only while it is known', () => {
  for (const [board, lag] of [
    [healthy(), [23]],
    [new FactBoard(), []],
  ] as const) {
    const samples = seriesOf(board);
    const values = (name: string): number[] => samples.filter((s) => s.family.name === name).map((s) => s.value);
    assert.deepEqual(values('pipeline_lag_seconds'), lag);
    assert.deepEqual(values('pipeline_stage_lag_at_least_seconds'), []);
    assert.deepEqual(values('pipeline_lag_objective_seconds'), [60]);
    assert.equal(values('pipeline_stage_state').length, 6 * stageStates.length);
    assert.equal(values('pipeline_stage_state').filter((v) => v === 1).length, 6);
    assert.equal(values('pipeline_stage_lag_seconds').length, lag.length * 5);
    assert.ok(samples.every((s) => Number.isFinite(s.value)));
  }
});

test('the pipeline is at least as late as its latest stage, whatever is unknown of the others', () => {
  const board = healthy();
  const late = { topics: { b: [{ committed: 1, age: 61, atLeast: true }] } };
  const g = { topics: { a: [waits] } };
  board.publish('kafka', kafkaLagFact, cluster({ g, h: late }));
  board.publish('r1', redisReplicationFact, no);
  const { lagSeconds, atLeastSeconds } = lagOf(whole, board);
  assert.equal(lagSeconds.known, false);
  assert.deepEqual(atLeastSeconds, known(61, 1_000));

  const found = seriesOf(board);
  const of = (name: string): unknown[] => found.filter((s) => s.family.name === name).map((s) => [s.labels['method'] ?? s.labels['consumergroup'], s.value]); // prettier-ignore
  assert.deepEqual(of('pipeline_lag_seconds'), [['at_least', 61]]);
  assert.deepEqual(of('pipeline_stage_lag_at_least_seconds'), [['h', 61]]);
  const states = found.filter((s) => s.family.name === 'pipeline_stage_state' && s.value === 1);
  assert.deepEqual(
    states.map((s) => s.labels['state']),
    ['ok', 'ok', 'unsplit', 'ok', 'behind', 'unknown'],
  );
  for (const { value, labels } of found.filter((s) => s.family.name === 'pipeline_stage_lag_seconds')) {
    assert.ok(labels['consumergroup'] !== 'h', `a bound served as a lag: ${String(value)}`);
  }
});

test('a bound that is within the objective, and the lag of a replica, say nothing about the pipeline', () => {
  const board = healthy();
  board.publish('kafka', kafkaLagFact, cluster({ g: { topics: { a: [{ committed: 1, age: 60, atLeast: true }] } }, h: {} }));
  board.publish('db-2', replicationFact, known([channel('running', seconds(400))], 1_000));
  assert.deepEqual(lagOf(whole, board).atLeastSeconds, known(60, 1_000));
  assert.equal(seriesOf(board).some((s) => s.family.name === 'pipeline_lag_seconds'), false);
}); // prettier-ignore

test('a CDC process that knows only what its lag is at least', () => {
  const of = (state: MaxwellHealth['state'], bound: Known<number>): unknown[] =>
    short(cdcStages(known({ state, why: state, lagSeconds: no, lagAtLeastSeconds: bound }, 0), 30).read);
  assert.deepEqual(of('running', seconds(31)), ['behind', '>= 31']);
  assert.deepEqual(of('running', seconds(30)), ['unknown', '>= 30']);
  assert.deepEqual(of('running', no), ['unknown', 'unknown']);
  assert.deepEqual(of('stalled', seconds(90)), ['stalled', '>= 90']);
});
