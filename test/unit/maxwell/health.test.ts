import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import {
  judgeMaxwell,
  watchPosition,
  type MaxwellEvidence,
  type MaxwellHealth,
  type MaxwellState,
} from '../../../exporter/systems/maxwell/facts-health.ts';
import type { MaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import type { Binlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';

const now = 1_800_000_000_000;

function position(changes: Partial<MaxwellPosition> = {}): MaxwellPosition {
  return {
    found: true,
    serverId: 1,
    binlogFile: 'bin.000005',
    binlogPosition: 500,
    gtidSet: undefined,
    lastHeartbeatReadMs: known(now - 2000, now),
    heartbeatMs: known(now - 1000, now),
    databaseNowMs: now,
    ...changes,
  };
}

const binlogs: Binlogs = {
  files: [4, 5, 6].map((number) => ({ name: `bin.00000${number}`, number, sizeBytes: 1000 })),
  current: { file: 'bin.000006', position: 300 },
};

const read = (agoSeconds: number): Pick<MaxwellPosition, 'lastHeartbeatReadMs'> => ({
  lastHeartbeatReadMs: known(now - agoSeconds * 1000, now),
});
const wrote = (agoSeconds: number): Pick<MaxwellPosition, 'heartbeatMs'> => ({
  heartbeatMs: known(now - agoSeconds * 1000, now),
});
const at = (p: Partial<MaxwellPosition>): Pick<MaxwellEvidence, 'position'> => ({ position: known(position(p), now) });
const alive = { process: known('alive' as const, now) };
const gone = { process: known('gone' as const, now) };
const unseen = { process: unknown('no answer in time') };
const still = (stillSeconds: number, watchedSeconds: number): Pick<MaxwellEvidence, 'movement'> => ({
  movement: known({ stillSeconds, watchedSeconds }, now),
});

function judge(...evidence: readonly Partial<MaxwellEvidence>[]): MaxwellHealth {
  const base: MaxwellEvidence = {
    ...alive,
    ...at({}),
    binlogs: known(binlogs, now),
    gtidsPurged: unknown('its row holds no GTID set'),
    movement: unknown('seen for the first time'),
  };
  return judgeMaxwell(Object.assign({}, base, ...evidence) as MaxwellEvidence);
}

const cases: readonly (readonly [name: string, MaxwellState, ...evidence: readonly Partial<MaxwellEvidence>[]])[] = [
  ['keeps up', 'running'],
  ['keeps up, its process cannot be seen', 'running', unseen],
  ['idle, heartbeat every 10 s', 'running', at({ ...read(11), ...wrote(9) })],
  ['process gone, tables still fresh', 'down', gone],
  ['process gone, tables cannot be read', 'down', gone, { position: unknown('refused') }],
  ['process gone, no row', 'down', gone, { position: known({ found: false, why: 'no row', databaseNowMs: now }, now) }],
  ['both tables stale, process lives', 'stalled', at({ ...read(60), ...wrote(50) })],
  ['both tables stale, process unseen', 'unknown', unseen, at({ ...read(60), ...wrote(50) })],
  ['both tables stale, process gone', 'down', gone, at({ ...read(60), ...wrote(50) })],
  ['heartbeat fresh, position stale and watched to stand still', 'stalled', at(read(60)), still(20, 45)],
  ['the same, never seen to move', 'stalled', at(read(60)), still(30, 30)],
  ['the same without sight of the process', 'stalled', unseen, at(read(60)), still(30, 30)],
  ['heartbeat fresh, position stale but moving: it catches up', 'running', at(read(600)), still(0, 15)],
  ['catching up, a long transaction', 'running', at(read(600)), still(15, 300)],
  ['heartbeat fresh, position stale, first look', 'unknown', at(read(600))],
  ['heartbeat fresh, position stale, watched too briefly', 'unknown', at(read(600)), still(5, 5)],
  ['never read a heartbeat, position moves', 'running', at({ lastHeartbeatReadMs: unknown('never') }), still(0, 15)],
  ['never read a heartbeat, idle', 'unknown', at({ lastHeartbeatReadMs: unknown('never') }), still(60, 60)],
  ['never wrote a heartbeat', 'unknown', at({ ...read(60), heartbeatMs: unknown('never') }), still(60, 60)],
  ['tables cannot be read, process lives', 'unknown', { position: unknown('refused') }],
  ['nothing can be seen', 'unknown', unseen, { position: unknown('refused'), binlogs: unknown('refused') }],
  ['no row', 'unknown', { position: known({ found: false, why: 'no row', databaseNowMs: now }, now) }],
  ['its file was purged', 'position_lost', at({ binlogFile: 'bin.000003' })],
  ['its file was purged, process gone', 'position_lost', gone, at({ binlogFile: 'bin.000003' })],
  ['its file was purged, process unseen', 'position_lost', unseen, at({ binlogFile: 'bin.000003' })],
  ['the logs were reset: its file is yet to come', 'position_lost', at({ binlogFile: 'bin.000009' })],
  ['beyond the end of the current file', 'position_lost', at({ binlogFile: 'bin.000006', binlogPosition: 301 })],
  ['beyond the end of an old file', 'position_lost', at({ binlogPosition: 1001 })],
  ['at the very end', 'running', at({ binlogFile: 'bin.000006', binlogPosition: 300 })],
  ['other series of files', 'position_lost', at({ binlogFile: 'other.000005' })],
  ['binary logs cannot be listed', 'running', { binlogs: unknown('denied') }],
  ['binary logs cannot be listed, process gone', 'down', gone, { binlogs: unknown('denied') }],
  [
    'GTID mode, file purged but no transaction',
    'running',
    at({ serverId: 0, binlogFile: 'bin.000001' }),
    { gtidsPurged: known(false, now) },
  ],
  ['GTID mode, transactions purged', 'position_lost', at({ serverId: 0 }), { gtidsPurged: known(true, now) }],
  [
    'GTID mode, not told',
    'running',
    at({ serverId: 0, binlogFile: 'bin.000001' }),
    { gtidsPurged: unknown('MariaDB') },
  ],
];

for (const [name, state, ...evidence] of cases) {
  test(`${state}: ${name}`, () => {
    const found = judge(...evidence);
    assert.equal(found.state, state, found.why);
    assert.notEqual(found.why, '');
  });
}

function value(fact: MaxwellHealth['lagSeconds']): number | string {
  return fact.known ? fact.value : fact.why;
}

test('lag: by the clock of Maxwell while it writes heartbeats, by that of the database once it does not', () => {
  assert.equal(value(judge(at({ ...read(12), ...wrote(10) })).lagSeconds), 2);
  assert.equal(value(judge(at({ ...read(60), ...wrote(20) })).lagSeconds), 40, 'the producer is stuck');
  assert.equal(value(judge(at({ ...read(60), ...wrote(21) })).lagSeconds), 60, 'it is stopped');
  const gone = judge({ ...at({ ...read(7), ...wrote(7) }), process: known('gone', 0) });
  assert.equal(value(gone.lagSeconds), 7, 'a dead process left a fresh heartbeat behind');
  assert.equal(value(judge(at({ ...read(5), ...wrote(6) })).lagSeconds), 0);
  assert.equal(value(judge(at({ lastHeartbeatReadMs: unknown('never') })).lagSeconds), 'never');
  assert.equal(value(judge({ position: unknown('refused') }).lagSeconds), 'refused');
  assert.equal(value(judge(at(wrote(13))).heartbeatAgeSeconds), 13);
});

test('distance and headroom are summed over files; unknown, not 0, where they cannot be known', () => {
  const found = judge();
  assert.equal(value(found.behindBytes), 500 + 300);
  assert.deepEqual(found.purge.known && [found.purge.value.bytes, found.purge.value.files], [1500, 1]);
  const lost = judge(at({ binlogFile: 'bin.000003' }));
  assert.equal(lost.behindBytes.known, false);
  assert.deepEqual(lost.purge.known && [lost.purge.value.lost, lost.purge.value.bytes], [true, undefined]);
  const denied = judge({ binlogs: unknown('denied') });
  assert.equal(value(denied.behindBytes), 'denied');
  assert.equal(denied.purge.known, false);
  const off = judge({ binlogs: known({ files: [], current: undefined }, now) });
  assert.equal(value(off.behindBytes), 'the source writes no binary log');
  assert.equal(off.purge.known, false, 'a source without binary logs says nothing about the position');
});

test('a position is watched from look to look', () => {
  const first = watchPosition(position(), undefined, 1000);
  assert.deepEqual(first.movement, { watchedSeconds: 0, stillSeconds: 0 });
  const same = watchPosition(position(), first.mark, 16_000);
  assert.deepEqual(same.movement, { watchedSeconds: 15, stillSeconds: 15 });
  const moved = watchPosition(position({ binlogPosition: 501 }), same.mark, 31_000);
  assert.deepEqual(moved.movement, { watchedSeconds: 30, stillSeconds: 0 });
  const later = watchPosition(position({ binlogPosition: 501 }), moved.mark, 41_000);
  assert.deepEqual(later.movement, { watchedSeconds: 40, stillSeconds: 10 });
});
