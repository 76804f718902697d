// The stages of a pipeline, each from its owner's facts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { OffsetAge } from '../../../exporter/runtime/offset-history.ts';
import { cdcServiceHealthFact, type CdcServiceHealth } from '../../../exporter/systems/cdc-service/facts-health.ts';
import { BinlogHistory, binlogAges, type BinlogAges } from '../../../exporter/systems/mysql/facts-binlog-history.ts';
import type { ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import type { CdcFacts, CdcParts } from '../../../exporter/systems/pipeline/facts-cdc.ts';
import { ChainMemory } from '../../../exporter/systems/pipeline/facts-chain.ts';
import { pipelineLagOf, type Pipeline } from '../../../exporter/systems/pipeline/facts-pipeline.ts';
import type { RedisReplication, RedisStream } from '../../../exporter/systems/redis/facts-replication.ts';
import { cacheStage } from '../../../exporter/systems/pipeline/facts-stages-cache.ts';
import { cdcStages, replicaStage, type StageFound } from '../../../exporter/systems/pipeline/facts-stages.ts';

const no = unknown('not seen');
const seconds = (value: number): Known<number> => known(value, 1_000);
const short = ({ state, lagSeconds, atLeastSeconds }: StageFound): string => {
  if (lagSeconds.known) return `${state} ${lagSeconds.value}`;
  return `${state} ${atLeastSeconds.known ? `>= ${atLeastSeconds.value}` : '?'}`;
};

const server = { serverId: 7, serverUuid: undefined };

test('the age of a place in a binary log, over its files', () => {
  const history = new BinlogHistory();
  const at = (file: string, position: number): ReturnType<BinlogHistory['ageOf']> => history.ageOf({ file, position }, 40_000); // prettier-ignore
  assert.equal(at('bin.000009', 4), undefined);
  history.add(10_000, { file: 'bin.000009', position: 1_000 }, server);
  history.add(20_000, { file: 'bin.000009', position: 2_000 }, server);
  history.add(30_000, { file: 'bin.000010', position: 500 }, server);
  assert.deepEqual(at('bin.000009', 1_500), { least: 20, most: 30, estimate: 25 });
  assert.deepEqual(at('bin.000009', 2_000), { least: 10, most: 20, estimate: 20 });
  assert.equal(at('bin.000010', 400)?.least, 10, 'the end of the file before it, or this one: one look');
  assert.deepEqual(at('bin.000010', 500), { least: 0, most: 10, estimate: 0 });
  assert.deepEqual(at('bin.000008', 9_999), { least: 30, most: undefined, estimate: 30 }, 'before it was watched');
  assert.equal(at('other.000009', 1_500), undefined);
  assert.equal(at('bin', 1_500), undefined);
});

test('a log that begins anew, and that of another server under the same address, have no history', () => {
  const history = new BinlogHistory();
  history.add(10_000, { file: 'bin.000009', position: 1_000 }, server);
  history.add(20_000, { file: 'bin.000001', position: 300 }, server); // RESET
  assert.deepEqual(history.ageOf({ file: 'bin.000001', position: 200 }, 30_000), { least: 10, most: undefined, estimate: 10 });
  history.add(30_000, { file: 'bin.000001', position: 400 }, { serverId: 8, serverUuid: undefined });
  assert.deepEqual(history.ageOf({ file: 'bin.000001', position: 300 }, 31_000), { least: 1, most: undefined, estimate: 1 });
}); // prettier-ignore

test('a file of any number, and a transaction of any size', () => {
  const history = new BinlogHistory();
  history.add(0, { file: 'a.b.999999', position: 5e9 }, server);
  history.add(1_000, { file: 'a.b.1000000', position: 9e9 }, server);
  history.add(2_000, { file: 'a.b.1000000', position: 9.5e9 }, server);
  assert.deepEqual(history.ageOf({ file: 'a.b.1000000', position: 9e9 }, 2_000), { least: 0, most: 1, estimate: 1 });
  assert.equal(history.ageOf({ file: 'a.b.999999', position: 4e9 }, 2_000)?.most, undefined);
});

/** The source's log grew by 100 a second, and was looked at every 10 s from 100 s ago until now. */
function grown(): Known<BinlogAges> {
  const history = new BinlogHistory();
  for (let s = 0; s <= 100; s += 10) history.add(s * 1000, { file: 'bin.000001', position: s * 100 }, server);
  return known(binlogAges(history, server, { monoMs: () => 100_000, wallMs: () => 1_000 }), 1_000);
}

function channel(state: ReplicaChannel['state'], lagSeconds: Known<number>, position: number, sourceServerId = 7): ReplicaChannel {
  const executed = { file: 'bin.000001', position };
  return { state, why: `it is ${state}`, lagSeconds, executed, sourceServerId, sourceUuid: '' } as ReplicaChannel;
} // prettier-ignore

for (const [what, channels, expected] of [
  ['it keeps up', [channel('running', seconds(0), 10_000)], 'ok 0'],
  ['what it says, within what the log proves', [channel('running', seconds(33), 6_700)], 'ok 33'],
  [
    'it says 0 and has not heard of its source: not within what the log proves',
    [channel('running', seconds(0), 6_700)],
    'ok 30',
  ],
  ['it says too much, as a long transaction began long ago', [channel('running', seconds(500), 6_700)], 'ok 40'],
  ['its applier is stopped: it says NULL', [channel('stopped', no, 6_700)], 'down 33'],
  ['its receiver is stalled', [channel('stalled', no, 2_000)], 'stalled 80'],
  ['it runs and says NULL', [channel('running', no, 6_700)], 'ok 33'],
  ['it stands still since before the source was watched', [channel('stopped', no, -5)], 'down >= 100'],
  ['it was that late before the source was watched', [channel('running', seconds(400), -5)], 'ok 400'],
  ['another source: what it says', [channel('running', seconds(3), 6_700, 8)], 'ok 3'],
  ['another source, and it is stopped', [channel('stopped', no, 6_700, 8)], 'down ?'],
  ['the worse of two', [channel('running', seconds(33), 6_700), channel('stopped', no, 5_000)], 'down 50'],
] as const) {
  test(`replicate: ${what}`, () => {
    assert.equal(short(replicaStage(known(channels, 0), grown())), expected);
  });
}

test('replicate: without the log of the source, what the replica says', () => {
  assert.equal(short(replicaStage(known([channel('running', seconds(3), 6_700)], 0), no)), 'ok 3');
  assert.equal(short(replicaStage(known([channel('stopped', no, 6_700)], 0), no)), 'down ?');
});

const parts = (read: Known<number>, publish: number, atLeast = false): Known<CdcParts> =>
  known({ readSeconds: read, publishing: { seconds: publish, atLeast } }, 1_000);

const objectiveSeconds = 30;
const facts = (state: CdcFacts['state'], lag: Known<number>, of: Known<CdcParts>, atLeast = lag): CdcFacts => {
  return { state, why: `it is ${state}`, lagSeconds: lag, lagAtLeastSeconds: atLeast, parts: of };
};
for (const [what, cdc, expected] of [
  ['in time', facts('running', seconds(1), parts(seconds(0.4), 0.2)), ['ok 0.4', 'ok 0.2', 'ok 1']],
  ['not told apart', facts('running', seconds(9), no), ['ok 9', 'unsplit ?', 'ok 9']],
  [
    'its producer is stuck',
    facts('stalled', seconds(90), parts(seconds(0.4), 89)),
    ['ok 0.4', 'stalled 89', 'stalled 90'],
  ],
  [
    'its producer is stuck, and so its reader is',
    facts('stalled', seconds(90), parts(seconds(60), 89)),
    ['ok 60', 'stalled 89', 'stalled 90'],
  ],
  ['its reader is stuck', facts('stalled', seconds(90), parts(seconds(90), 0)), ['stalled 90', 'ok 0', 'stalled 90']],
  ['stuck, not told apart', facts('stalled', seconds(90), no), ['stalled 90', 'unsplit ?', 'stalled 90']],
  [
    'stuck since before it was watched',
    facts('stalled', seconds(90), parts(seconds(0.4), 31, true)),
    ['ok 0.4', 'stalled >= 31', 'stalled 90'],
  ],
  [
    'behind by more than allowed, since before it was watched',
    facts('running', seconds(90), parts(seconds(0.4), 31, true)),
    ['ok 0.4', 'behind >= 31', 'ok 90'],
  ],
  [
    'stuck, or not: it is watched for too short a time',
    facts('unknown', seconds(90), parts(seconds(0.4), 3, true)),
    ['ok 0.4', 'unknown >= 3', 'unknown 90'],
  ],
  [
    'of unknown state, with nothing to publish',
    facts('unknown', seconds(90), parts(seconds(90), 0)),
    ['unknown 90', 'ok 0', 'unknown 90'],
  ],
  ['gone', facts('down', seconds(90), no), ['down 90', 'unsplit ?', 'down 90']],
  ['gone a moment ago', facts('down', seconds(90), parts(seconds(90), 0)), ['down 90', 'ok 0', 'down 90']],
  ['of unknown state', facts('unknown', no, no, seconds(4)), ['unknown >= 4', 'unsplit ?', 'unknown >= 4']],
  ['catching up', facts('running', seconds(3_600), parts(seconds(3_600), 0.3)), ['ok 3600', 'ok 0.3', 'ok 3600']],
] as const) {
  test(`cdc_read, cdc_publish and both: ${what}`, () => {
    const { read, publish, whole } = cdcStages(known(cdc, 1_000), objectiveSeconds);
    assert.deepEqual([read, publish, whole].map(short), expected);
  });
}

test('a number that is too large by its nature is no bound', () => {
  const { whole } = cdcStages(known(facts('running', seconds(40), no, seconds(2)), 1_000), objectiveSeconds);
  assert.deepEqual(whole.atLeastSeconds, seconds(2));
});

// Debezium tells how late its reader is, and how much is in its queue: two links of the chain, of which one came after the
// other.
function debezium(lag: Known<number>, queued: Known<OffsetAge> | undefined, state: CdcServiceHealth['state'] = 'running'): FactBoard {
  const board = new FactBoard();
  const health = { state, why: `it is ${state}`, lagSeconds: lag, lagAtLeastSeconds: seconds(70), queued };
  board.publish('cdc', cdcServiceHealthFact, known(health as CdcServiceHealth, 1_000));
  return board;
} // prettier-ignore

const withBus: Pipeline = {
  name: 'p',
  objective: 30_000,
  source: 'db',
  replicas: [],
  cdc: 'cdc',
  bus: { target: 'kafka', topics: ['t'] },
  consumers: [],
};
const queued = (s: number, atLeast = false): Known<OffsetAge> => known({ seconds: s, atLeast }, 1_000);

test('Debezium: what waits in its queue is as old as its reader was late when it was read', () => {
  const memory = new ChainMemory();
  const look = (board: FactBoard, nowMs: number): unknown[] => {
    const { stages, lagSeconds } = pipelineLagOf(withBus, board, memory, nowMs);
    return [...stages.map((s) => `${s.stage} ${short(s)}`), lagSeconds.known ? lagSeconds.value : '?'];
  };
  assert.deepEqual(look(debezium(seconds(40), queued(0)), 0), ['cdc_read ok 40', 'cdc_publish ok 0', 40]);
  assert.deepEqual(look(debezium(seconds(40), queued(0)), 10_000), ['cdc_read ok 40', 'cdc_publish ok 0', 40]);
  assert.deepEqual(look(debezium(seconds(1), queued(20)), 30_000), ['cdc_read ok 1', 'cdc_publish ok 20', 60]);
  assert.deepEqual(look(debezium(seconds(1), queued(20, true)), 31_000), ['cdc_read ok 1', 'cdc_publish unknown >= 20', '?']);
  // Its queue is full, so its reader has stopped, and tells nothing: the queue is to blame
  assert.deepEqual(look(debezium(no, queued(90), 'stalled'), 99_000), ['cdc_read behind >= 70', 'cdc_publish stalled 90', '?']);
  assert.deepEqual(look(debezium(no, queued(0), 'stalled'), 99_000), ['cdc_read stalled >= 70', 'cdc_publish ok 0', '?']);
  // Without the counts, and of a process whose lag is that of all of it
  assert.deepEqual(look(debezium(seconds(5), no), 100_000), ['cdc_read ok 5', 'cdc_publish unsplit ?', 5]);
  assert.deepEqual(look(debezium(seconds(5), undefined), 101_000), ['cdc_read ok 5', 'cdc_publish unsplit ?', 5]);
}); // prettier-ignore

test('without a bus there is nothing to publish to: reading carries all', () => {
  const { bus: _bus, ...direct } = withBus;
  const { stages } = pipelineLagOf(direct, debezium(seconds(5), undefined), new ChainMemory(), 0);
  assert.deepEqual(stages.map((s) => `${s.stage} ${short(s)}`), ['cdc_read ok 5']);
}); // prettier-ignore

test('cache_replicate: a replica whose link is down is as late as the stream says at which it broke off', () => {
  const stream = (replId: string): Known<RedisStream> =>
    known({ replId, ageOf: (offset) => (offset < 100 ? { seconds: 60, atLeast: true } : { seconds: 40, atLeast: false }) }, 1_000);
  const replica = (state: RedisReplication['state'], offset: number): Known<RedisReplication> =>
    known({ role: 'replica', state, replId: 'a', link: { offset, up: false } } as RedisReplication, 1_000);
  const found = (of: Known<RedisReplication>, at: Known<RedisStream>): string => short(cacheStage(no, of, objectiveSeconds, at));
  assert.equal(found(replica('replica_down', 200), stream('a')), 'down 40');
  assert.equal(found(replica('replica_down', 50), stream('a')), 'down >= 60');
  assert.equal(found(replica('replica_syncing', 200), stream('a')), 'stalled 40');
  assert.equal(found(replica('replica_down', 200), stream('b')), 'down ?');
  assert.equal(found(replica('replica_down', 200), no), 'down ?');
  assert.equal(found(known({ role: 'primary', state: 'primary', replId: 'a', link: undefined } as RedisReplication, 1), stream('a')), 'down ?');
}); // prettier-ignore
