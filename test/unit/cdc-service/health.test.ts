import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import {
  judgeCdc,
  watchReader,
  type CdcReading,
  type CdcServiceHealth,
  type ReaderMark,
} from '../../../exporter/systems/cdc-service/facts-health.ts';

const no = unknown('not seen');
const well: CdcReading = {
  process: known('alive', 0),
  port: known(true, 0),
  works: known(true, 0),
  worksWhy: 'it says so',
  lagSeconds: known(0, 0),
  queueDepth: known(3, 0),
  progress: known('1', 0),
};

interface Look {
  readonly at: number;
  readonly source?: string;
  readonly progress?: string;
  readonly lag?: number;
  /** Seconds before the look at which the source was read. */
  readonly sourceAge?: number;
}

/** A series of looks; `at` in seconds. The health after the last. */
function watch(looks: readonly Look[]): CdcServiceHealth & { readonly aheadSeconds: number } {
  let mark: ReaderMark | undefined;
  let last: (CdcServiceHealth & { readonly aheadSeconds: number }) | undefined;
  for (const { at, source, progress, lag, sourceAge = 0 } of looks) {
    const reading: CdcReading = {
      ...well,
      progress: progress === undefined ? no : known(progress, 0),
      lagSeconds: lag === undefined ? no : known(lag, 0),
    };
    const monoMs = at * 1000;
    const end = source === undefined ? no : known(source, monoMs - sourceAge * 1000);
    const reader = watchReader(reading, end, mark, { monoMs, wallMs: monoMs });
    mark = reader.mark;
    last = { ...judgeCdc(reading, reader, monoMs), aheadSeconds: reader.aheadSeconds };
  }
  assert.ok(last !== undefined);
  return last;
}

test('idle: neither the source nor the reader moves, however long', () => {
  const looks = Array.from({ length: 20 }, (_, i) => ({ at: i * 15, source: 'b:1', progress: '1', lag: 0 }));
  const { state, layers, lagSeconds } = watch(looks);
  assert.equal(state, 'running');
  assert.equal(layers.data_flow, 'unknown');
  assert.deepEqual(lagSeconds, known(0, 0));
});

test('busy: both move', () => {
  const looks = Array.from({ length: 20 }, (_, i) => ({ at: i * 15, source: `b:${String(i)}`, progress: String(i), lag: 1 }));
  const { state, layers } = watch(looks);
  assert.deepEqual([state, layers.data_flow], ['running', 'ok']);
}); // prettier-ignore

test('stuck: the source goes on and the reader does not; what it says of its lag is from before', () => {
  const looks = (n: number): Look[] =>
    Array.from({ length: n }, (_, i) => ({ at: i * 15, source: `b:${String(i)}`, progress: '1', lag: 0 }));
  const before = watch(looks(6)); // seen ahead from the third look on: 30 s; now 75 s
  assert.deepEqual([before.state, before.aheadSeconds], ['running', 45]);
  assert.deepEqual(before.lagSeconds, known(0, 0));
  const after = watch(looks(7));
  assert.deepEqual([after.state, after.aheadSeconds], ['stalled', 60]);
  assert.equal(after.lagSeconds.known, false);
  assert.deepEqual(after.lagAtLeastSeconds, known(60, 90_000));
  assert.equal(after.layers.data_flow, 'failed');
});

test('the source wrote once, the reader took it a moment later', () => {
  const { state, aheadSeconds } = watch([
    { at: 0, source: 'b:1', progress: '1' },
    { at: 15, source: 'b:1', progress: '1' },
    { at: 30, source: 'b:2', progress: '1' },
    { at: 45, source: 'b:2', progress: '2' },
    { at: 400, source: 'b:2', progress: '2' },
    { at: 415, source: 'b:2', progress: '2' },
    { at: 500, source: 'b:2', progress: '2' },
  ]);
  assert.deepEqual([state, aheadSeconds], ['running', 0]);
});

test('a position of the source from before the last look proves nothing', () => {
  const looks: Look[] = [
    { at: 0, source: 'b:2', progress: '1' },
    { at: 15, source: 'b:1', progress: '2', sourceAge: 20 },
    { at: 30, source: 'b:1', progress: '2', sourceAge: 20 },
    { at: 45, source: 'b:2', progress: '2' },
    { at: 60, source: 'b:2', progress: '2' },
    { at: 150, source: 'b:2', progress: '2' },
  ];
  assert.equal(watch(looks).aheadSeconds, 0);
});

test('time in which nobody looked is no time of standing still', () => {
  const { state, aheadSeconds } = watch([
    { at: 0, source: 'b:1', progress: '1' },
    { at: 15, source: 'b:1', progress: '1' },
    { at: 30, source: 'b:2', progress: '1' },
    { at: 151, source: 'b:3', progress: '1' },
  ]);
  assert.deepEqual([state, aheadSeconds], ['running', 0]);
});

test('without a position the lag must do: growing with the clock while the source goes on is a stall', () => {
  const grows = (source: (i: number) => string | undefined): CdcServiceHealth =>
    watch(
      Array.from({ length: 8 }, (_, i) => {
        const end = source(i);
        return { at: i * 15, lag: 10 + i * 15, ...(end === undefined ? {} : { source: end }) };
      }),
    );
  const stuck = grows((i) => `b:${String(i)}`);
  assert.equal(stuck.state, 'stalled');
  assert.deepEqual(stuck.lagSeconds, known(115, 0), 'its own lag goes on with the clock: it is right');
  assert.equal(grows(() => 'b:1').state, 'running', 'an idle source');
  assert.equal(grows(() => undefined).state, 'running', 'a source that is not seen');
  const catchesUp = Array.from({ length: 8 }, (_, i) => ({ at: i * 15, lag: 500 - i, source: `b:${String(i)}` }));
  assert.equal(watch(catchesUp).state, 'running');
});

for (const [what, parts, state, why] of [
  ['nobody listens', { process: known('gone', 0) }, 'down', /gone/],
  ['nothing is known', { process: no, works: no, lagSeconds: no }, 'unknown', /not seen/],
  ['it says that it does not work', { works: known(false, 0), worksWhy: 'it says no' }, 'stalled', /says no/],
  ['it works', {}, 'running', /says so/],
  ['it has no health check, but a lag', { works: no }, 'running', /tells its lag/],
  ['it has neither', { works: no, lagSeconds: no }, 'unknown', /not seen/],
] as const) {
  test(`state: ${what}`, () => {
    const health = judgeCdc({ ...well, ...parts } as CdcReading, { isMoving: false, aheadSeconds: 0 }, 0);
    assert.equal(health.state, state);
    assert.match(health.why, why);
  });
}
