// What a canary measures of a pipeline, and whether data is seen to move.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import type { Sample } from '../../../exporter/families.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { canaryFact, type CanaryView, type SeenView } from '../../../exporter/systems/canary/facts-track.ts';
import { kafkaLagFact, type KafkaLag } from '../../../exporter/systems/kafka/facts-lag.ts';
import { collectPipelines } from '../../../exporter/systems/pipeline/collector-pipeline.ts';
import { FlowMemory, flowOf, type Flow } from '../../../exporter/systems/pipeline/facts-flow.ts';
import { endsOf, measuredLagOf } from '../../../exporter/systems/pipeline/facts-measured.ts';
import type { Pipeline, Stage } from '../../../exporter/systems/pipeline/facts-pipeline.ts';
import { flowStates, type StageState } from '../../../exporter/systems/pipeline/families.ts';

const bare: Pipeline = { name: 'p', objective: 30_000, source: 'db', replicas: ['db2'], consumers: [] };
const withBus: Pipeline = {
  ...bare,
  cdc: 'm',
  bus: { target: 'k', topics: ['t'] },
  consumers: [{ group: 'g' }, { group: 'h' }],
};
const whole: Pipeline = { ...withBus, cache: { primary: 'r1', replicas: ['r2'] }, canary: 'c' };

interface Seen {
  readonly lag?: number;
  readonly outstanding?: number;
  readonly since?: number | undefined;
}

function seen(seenAt: string, { lag, outstanding, since }: Seen): SeenView {
  const number = (value: number | undefined): Known<number> =>
    value === undefined ? unknown('not seen') : known(value, 1_000);
  return {
    seenAt,
    state: 'ok',
    why: undefined,
    latencySeconds: number(lag),
    outstandingSeconds: number(outstanding),
    lagSeconds: number(lag),
    sinceSeenSeconds: since,
    seenTotal: 1,
    lostTotal: 0,
  };
}

function canaryOf(...ends: readonly SeenView[]): FactBoard {
  const board = new FactBoard();
  const view: CanaryView = {
    writtenTo: 'db',
    state: 'ok',
    why: undefined,
    everySeconds: 10,
    lateAfterSeconds: 10,
    ends,
  };
  board.publish('c', canaryFact, known(view, 1_000));
  return board;
}

test('the end is the cache; without one all that lies behind the source; only then its replicas', () => {
  const view = { ends: ['db2', 'k', 'r1', 'r2', 'r3'].map((name) => seen(name, {})) } as unknown as CanaryView;
  const names = (pipeline: Pipeline): string[] => endsOf(pipeline, view).map(({ seenAt }) => seenAt);
  assert.deepEqual(names(whole), ['r1', 'r2']);
  assert.deepEqual(names(withBus), ['k', 'r1', 'r2', 'r3']);
  assert.deepEqual(names({ ...bare, replicas: ['db2', 'k', 'r1', 'r2', 'r3'] }), ['db2', 'k', 'r1', 'r2', 'r3']);
});

test('measured: the latest end; unknown while one of them is, never the other alone', () => {
  const board = canaryOf(
    seen('k', { lag: 900, since: 1 }),
    seen('r1', { lag: 2, since: 1 }),
    seen('r2', { lag: 7, since: 1 }),
  );
  assert.deepEqual(measuredLagOf(whole, board), known(7, 1_000));
  const half = measuredLagOf(whole, canaryOf(seen('r1', { lag: 2, since: 1 }), seen('r2', {})));
  assert.deepEqual(half, unknown('r2: not seen'));
  assert.equal(measuredLagOf(whole, canaryOf(seen('k', { lag: 2 })))?.known, false);
  assert.equal(measuredLagOf(whole, new FactBoard())?.known, false);
  assert.equal(measuredLagOf(bare, board), undefined);
});

test('measured: before the first token has arrived its age is a bound, told once it is above the objective', () => {
  const young = canaryOf(seen('r1', { lag: 2, since: 1 }), seen('r2', { lag: 30 }));
  assert.deepEqual(measuredLagOf(whole, young), unknown('r2: no token was seen yet'));
  const old = canaryOf(seen('r1', { lag: 2, since: 1 }), seen('r2', { lag: 31 }));
  assert.deepEqual(measuredLagOf(whole, old), known(31, 1_000));
});

/** `groups` hold what was committed of the one partition. */
function cluster(end: number | undefined, groups: Readonly<Record<string, number | undefined>>): Known<KafkaLag> {
  const number = (value: number | undefined): Known<number> =>
    value === undefined ? unknown('no') : known(value, 1_000);
  const found = Object.entries(groups).map(([group, committed]) => {
    const partitions = new Map([[0, { committed: number(committed) }]]);
    return [group, { group, topics: known(new Map([['t', { topic: 't', partitions }]]), 1_000) }] as const;
  });
  const offsets = new Map([['t', new Map([[0, { begin: known(0, 1_000), end: number(end) }]])]]);
  return known({ offsets, groups: new Map(found) } as unknown as KafkaLag, 1_000);
}

function stageOf(stage: Stage['stage'], target: string, state: StageState): Stage {
  const none = known(0, 1_000);
  return {
    stage,
    target,
    consumergroup: '',
    state,
    why: state,
    lagSeconds: none,
    atLeastSeconds: none,
    counts: undefined,
  };
}

const stages = (state: StageState): readonly Stage[] => [
  stageOf('cdc_publish', 'm', 'unsplit'),
  stageOf('consume', 'k', state),
  // leads elsewhere
  stageOf('replicate', 'db2', 'down'),
];

type Step = readonly [atSeconds: number, end: number | undefined, g: number | undefined, h: number | undefined];

function flowAfter(steps: readonly Step[], state: StageState = 'ok', pipeline = withBus): Flow {
  const memory = new FlowMemory();
  let flow: Flow | undefined;
  for (const [atSeconds, end, g, h] of steps) {
    const board = new FactBoard();
    board.publish('k', kafkaLagFact, cluster(end, { g, h }));
    flow = flowOf(pipeline, stages(state), board, memory, atSeconds * 1000);
  }
  assert.ok(flow);
  return flow;
}

for (const [what, steps, state, expected] of [
  ['the first look', [[0, 5, 5, 5]], 'ok', 'unknown'],
  ['all move', [[0, 5, 5, 5], [15, 9, 9, 8]], 'ok', 'flowing'],
  ['one group does not move, for too short a time to be stuck', [[0, 5, 5, 5], [15, 9, 9, 5]], 'ok', 'unknown'],
  ['one group is stalled', [[0, 5, 5, 5], [15, 9, 9, 5]], 'stalled', 'stuck'],
  ['the stage is down', [[0, 5, 5, 5]], 'down', 'stuck'],
  ['it moved within the window', [[0, 5, 5, 5], [15, 9, 9, 9], [75, 9, 9, 9]], 'ok', 'flowing'],
  ['nothing moved for longer', [[0, 5, 5, 5], [15, 9, 9, 9], [76, 9, 9, 9]], 'ok', 'idle'],
  ['nothing moved, and a stage is not known', [[0, 5, 5, 5], [61, 5, 5, 5]], 'unknown', 'unknown'],
  ['nothing moved, watched for too short a time', [[0, 5, 5, 5], [60, 5, 5, 5]], 'ok', 'unknown'],
  ['nothing ever moved', [[0, 5, 5, 5], [61, 5, 5, 5]], 'ok', 'idle'],
  ['an offset that is not known is no move', [[0, 5, 5, 5], [15, undefined, 5, 5], [30, 5, 5, 5]], 'ok', 'unknown'],
] as const satisfies readonly (readonly [string, readonly Step[], StageState, string])[]) {
  test(`${what}: ${expected}`, () => {
    assert.equal(flowAfter(steps, state).state, expected);
  });
} // prettier-ignore

test('without a CDC process in the inventory a bus that nothing is written to proves no idleness', () => {
  const { cdc: _cdc, ...unseen } = withBus;
  const quiet: readonly Step[] = [[0, 5, 5, 5], [61, 5, 5, 5]]; // prettier-ignore
  assert.deepEqual(flowAfter(quiet, 'ok', unseen), {
    state: 'unknown',
    why: 'without `cdc` nothing tells what waits between db and k',
  });
  const moving: readonly Step[] = [[0, 5, 5, 5], [15, 9, 9, 9]]; // prettier-ignore
  assert.equal(flowAfter(moving, 'ok', unseen).state, 'flowing');
});

/** As flowAfter, with the lag of stages: `consume` by group. */
function flowOfLate(steps: readonly Step[], lags: Readonly<Record<string, number>>): Flow | undefined {
  const memory = new FlowMemory();
  const late: readonly Stage[] = Object.entries(lags).map(([name, lag]) => {
    const [stage, consumergroup = ''] = name.split(' ') as [Stage['stage'], string?];
    return { ...stageOf(stage, stage === 'consume' ? 'k' : 'm', 'ok'), consumergroup, lagSeconds: known(lag, 1_000) };
  });
  let flow: Flow | undefined;
  for (const [atSeconds, end, g, h] of steps) {
    const board = new FactBoard();
    board.publish('k', kafkaLagFact, cluster(end, { g, h }));
    flow = flowOf(withBus, late, board, memory, atSeconds * 1000);
  }
  return flow;
}

test('while something waits a pipeline is not idle', () => {
  const quiet: readonly Step[] = [[0, 5, 5, 5], [61, 5, 5, 5]]; // prettier-ignore
  assert.equal(flowOfLate(quiet, { 'cdc_read': 50, 'consume g': 0, 'consume h': 0 })?.state, 'idle'); // prettier-ignore
  assert.deepEqual(flowOfLate(quiet, { 'cdc_read': 600, 'consume g': 0, 'consume h': 0 }), { state: 'unknown', why: 'nothing was written to the topics, and cdc_read of m is late' }); // prettier-ignore
  // A backlog that is worked off, while nothing new is written
  const draining: readonly Step[] = [[0, 99, 5, 5], [61, 99, 50, 50]]; // prettier-ignore
  assert.equal(flowOfLate(draining, { 'cdc_read': 1, 'consume g': 600, 'consume h': 600 })?.state, 'flowing'); // prettier-ignore
  assert.equal(flowOfLate(draining, { 'cdc_read': 600, 'consume g': 600, 'consume h': 600 })?.state, 'unknown'); // prettier-ignore
});

test('a group whose topics are not written to stops no flow; one that lets records wait does', () => {
  const steps: readonly Step[] = [[0, 5, 5, 5], [61, 9, 9, 5], [70, 12, 12, 5]]; // prettier-ignore
  assert.equal(flowOfLate(steps, { 'consume g': 1, 'consume h': 0 })?.state, 'flowing');
  assert.deepEqual(flowOfLate(steps, { 'consume g': 1, 'consume h': 9 }), { state: 'unknown', why: 'records are written, and a consumer group does not move' }); // prettier-ignore
  // Written to a topic that no group reads
  const unread: readonly Step[] = [[0, 5, 5, 5], [61, 9, 5, 5]]; // prettier-ignore
  assert.equal(flowOfLate(unread, { 'consume g': 0, 'consume h': 0 })?.state, 'unknown');
});

test('the window is the objective where that is longer', () => {
  const slow = { ...withBus, objective: 300_000 };
  const steps: readonly Step[] = [[0, 5, 5, 5], [15, 9, 9, 9], [300, 9, 9, 9]]; // prettier-ignore
  assert.equal(flowAfter(steps, 'ok', slow).state, 'flowing');
});

test('the canary decides, while it can be seen', () => {
  const of = (...ends: readonly SeenView[]): string =>
    flowOf({ ...bare, cache: { primary: 'r1', replicas: [] }, canary: 'c' }, [], canaryOf(...ends), new FlowMemory(), 0)
      .state;
  assert.equal(of(seen('r1', { outstanding: 0, since: 60 })), 'flowing');
  assert.equal(of(seen('r1', { outstanding: 0, since: 61 })), 'unknown');
  assert.equal(of(seen('r1', { outstanding: 61, since: 61 })), 'stuck');
  assert.equal(of(seen('r1', { outstanding: 61, since: undefined })), 'stuck');
  // late, and still one arrives after the other
  assert.equal(of(seen('r1', { outstanding: 120, since: 2 })), 'flowing');
  assert.equal(of(seen('r1', {})), 'unknown');
  assert.equal(of(seen('k', { outstanding: 0, since: 1 })), 'unknown');
});

test('a stage that is stopped does not make a canary that arrives stuck; without one it does', () => {
  const board = canaryOf(seen('r1', { outstanding: 0, since: 1 }));
  const pipeline = { ...bare, cache: { primary: 'r1', replicas: [] } };
  assert.equal(flowOf({ ...pipeline, canary: 'c' }, stages('stalled'), board, new FlowMemory(), 0).state, 'flowing');
  assert.equal(flowOf(pipeline, stages('stalled'), board, new FlowMemory(), 0).state, 'stuck');
});

test('series: both lags, the flow and its state; unknown has no number', () => {
  const series = (pipeline: Pipeline, board: FactBoard): Sample[] => {
    const samples: Sample[] = [];
    const clock = { wallMs: () => 2_000, monoMs: () => 0 };
    collectPipelines([pipeline], board, (sample) => void samples.push(sample), clock);
    return samples;
  };
  const told = (samples: readonly Sample[], name: string): unknown[] =>
    samples.filter(({ family }) => family.name === name).map(({ labels, value }) => [labels['method'], value]);
  const measured = series(whole, canaryOf(seen('r1', { lag: 2, outstanding: 0, since: 1 })));
  assert.deepEqual(told(measured, 'pipeline_lag_seconds'), [['canary', 2]]);
  assert.deepEqual(told(measured, 'pipeline_data_flowing'), [[undefined, 1]]);
  const nothing = series(whole, new FactBoard());
  assert.deepEqual(told(nothing, 'pipeline_data_flowing'), []);
  const states = nothing.filter(({ family }) => family.name === 'pipeline_data_flowing_state');
  assert.deepEqual(
    [states.length, states.find(({ value }) => value === 1)?.labels['state']],
    [flowStates.length, 'unknown'],
  );
});
