// How late changes are that go through Maxwell, and which half holds them up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { MaxwellHealth } from '../../../exporter/systems/maxwell/facts-health.ts';
import type { MaxwellHttp } from '../../../exporter/systems/maxwell/facts-http.ts';
import {
  HalvesMemory,
  passingOf,
  placeOf,
  type MaxwellHalves,
  type MaxwellPlace,
} from '../../../exporter/systems/maxwell/facts-passing.ts';
import type { MaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import type { BinlogAges, PlaceAge } from '../../../exporter/systems/mysql/facts-binlog-history.ts';

const no = unknown('not seen');
const seconds = (value: number): Known<number> => known(value, 1_000);

interface Case {
  readonly health?: Partial<MaxwellHealth>;
  /** As the log of its source proves it; undefined: that was not read. */
  readonly age?: PlaceAge | 'another log';
  readonly sinceRead?: Known<number>;
  /** Undefined: its HTTP metrics were not read. */
  readonly halves?: Partial<MaxwellHalves>;
}

function passing({ health, age, sinceRead = seconds(1), halves }: Case): ReturnType<typeof passingOf> {
  const whole = {
    state: 'running',
    lagSeconds: seconds(0.5),
    heartbeatAgeSeconds: seconds(1),
    behindBytes: seconds(9_000),
    ...health,
  } as MaxwellHealth;
  const at: MaxwellPlace = { place: { file: 'b.000001', position: 4 }, sinceReadSeconds: sinceRead, ownBytes: 1024 };
  const ages: Known<BinlogAges> =
    age === undefined
      ? no
      : known({ serverId: 1, serverUuid: undefined, ageOf: () => (age === 'another log' ? no : known(age, 1_000)) }, 0);
  const none: MaxwellHalves = { inflight: seconds(0), waiting: { seconds: 0, atLeast: false }, readLagSeconds: no };
  return passingOf(whole, known(at, 0), halves === undefined ? no : known({ ...none, ...halves }, 1_000), ages);
}

function short({ lagSeconds, lagAtLeastSeconds, parts }: ReturnType<typeof passingOf>): unknown[] {
  const number = (fact: Known<number>): number | string => (fact.known ? fact.value : '?');
  const { readSeconds, publishing } = parts.known ? parts.value : { readSeconds: undefined, publishing: undefined };
  const halves = publishing === undefined ? 'unsplit' : `${number(readSeconds)} ${publishing.atLeast ? '>= ' : ''}${publishing.seconds}`;
  return [number(lagSeconds), number(lagAtLeastSeconds), halves];
} // prettier-ignore

const at = (least: number, most: number | undefined, estimate = (least + (most ?? least)) / 2): PlaceAge => ({ least, most, estimate }); // prettier-ignore
const sent = (inflight: number, waiting: number, readLag: Known<number>, atLeast = false): Partial<MaxwellHalves> => ({
  inflight: seconds(inflight),
  waiting: { seconds: waiting, atLeast },
  readLagSeconds: readLag,
});

const cases: readonly [string, Case, readonly [number | string, number | string, string]][] = [
  ['it keeps up: its heartbeats tell more than two looks far apart', { age: at(0, 15), sinceRead: seconds(1.2), halves: {} }, [1.2, 0, '1.2 0']],
  ['a heartbeat tells too much: the log proves less', { age: at(0, 2), sinceRead: seconds(9) }, [2, 0, 'unsplit']],
  ['a heartbeat tells too little: the log proves more', { age: at(14, 15), sinceRead: seconds(3) }, [14, 14, 'unsplit']],
  ['its clock is ahead: between two looks', { age: at(10, 12), sinceRead: no }, [11, 10, 'unsplit']],
  ['stopped for 15 s, its heartbeat still fresh: its own number would be 0', { health: { lagSeconds: seconds(0) }, age: at(14.5, 15.5), sinceRead: seconds(15.2) }, [15.2, 14.5, 'unsplit']],
  ['at rest: what is behind it is its own', { health: { behindBytes: seconds(510) }, age: at(9, 10), sinceRead: seconds(10), halves: {} }, [0, 0, '0 0']],
  ['a little is behind it, and its producer has it', { health: { behindBytes: seconds(510) }, age: at(9, 10), sinceRead: seconds(10), halves: sent(1, 9, seconds(0.2)) }, [10, 9, '0.2 9']],
  ['a little is behind it, and no heartbeat came when one was due', { health: { behindBytes: seconds(510), heartbeatAgeSeconds: seconds(13) }, age: at(9, 10), sinceRead: seconds(13) }, [10, 9, 'unsplit']],
  ['a little is behind it for longer than between two heartbeats', { health: { behindBytes: seconds(510) }, age: at(12.5, 14), sinceRead: seconds(13) }, [13, 12.5, 'unsplit']],
  ['nothing was sent that is not acknowledged: it has not read the rest', { age: at(59, 60), sinceRead: seconds(60), halves: sent(0, 0, no) }, [60, 59, '60 0']],
  ['Kafka is away: read and not acknowledged', { age: at(59, 60), sinceRead: seconds(60), halves: sent(400, 59.5, seconds(0.4)) }, [60, 59, '0.4 59.5']],
  ['Kafka is away for so long that its reader has stopped too', { age: at(300, 301), sinceRead: seconds(300), halves: sent(9_000, 300, seconds(240)) }, [300, 300, '240 300']],
  ['it catches up: all is in its reader, what was read goes at once', { age: at(3600, 3615), sinceRead: seconds(3605), halves: sent(80, 0.3, seconds(3604)) }, [3605, 3600, '3604 0.3']],
  ['no half is later than both', { age: at(4, 6), sinceRead: seconds(5), halves: sent(3, 7, seconds(8)) }, [5, 4, '5 5']],
  ['its reader was not seen to go on yet', { age: at(4, 6), sinceRead: seconds(5), halves: sent(3, 0, no, true) }, [5, 4, 'unsplit']],
  ['its producer waits for each message', { age: at(4, 6), sinceRead: seconds(5), halves: { inflight: no } }, [5, 4, 'unsplit']],
  ['the exporter has just begun: its heartbeat bounds it from above', { age: at(0, undefined, 0), sinceRead: seconds(130) }, [130, 0, 'unsplit']],
  ['the exporter has just begun, and clocks differ: only a bound', { age: at(7, undefined, 7), sinceRead: no }, ['?', 7, 'unsplit']],
  ['the exporter begins now', { age: at(0, undefined, 0), sinceRead: no }, ['?', '?', 'unsplit']],
  ['the log of its source was not read', { sinceRead: seconds(9) }, [0.5, 0.5, 'unsplit']],
  ['its position is of another log', { age: 'another log', sinceRead: seconds(9) }, [0.5, 0.5, 'unsplit']],
  ['what it needs is gone: its place tells nothing', { health: { state: 'position_lost' }, age: at(0, 1) }, [0.5, 0.5, 'unsplit']],
]; // prettier-ignore
for (const [what, given, expected] of cases) {
  test(what, () => {
    assert.deepEqual(short(passing(given)), expected);
  });
}

test('without a position there is no age', () => {
  const health = { state: 'unknown', lagSeconds: no } as unknown as MaxwellHealth;
  assert.deepEqual(short(passingOf(health, no, no, no)), ['?', '?', 'unsplit']);
});

function position(parts: { read?: number; written?: number; now?: number; gtidSet?: string }): MaxwellPosition {
  const { read, written, now = 100_000, gtidSet } = parts;
  return {
    found: true,
    serverId: 1,
    binlogFile: 'b.000001',
    binlogPosition: 4,
    gtidSet,
    lastHeartbeatReadMs: read === undefined ? no : seconds(read),
    heartbeatMs: written === undefined ? no : seconds(written),
    databaseNowMs: now,
  };
}

test('the time since the heartbeat that it has read, unless the clocks differ', () => {
  const since = (p: MaxwellPosition): Known<number> => placeOf(p, 1).sinceReadSeconds;
  assert.deepEqual(since(position({ read: 88_000, written: 99_000 })), known(12, 1));
  assert.equal(since(position({ written: 99_000 })).known, false);
  assert.equal(since(position({ read: 99_500, written: 101_000 })).known, false, 'it is ahead by a second at least');
  assert.equal(since(position({ read: 101_000 })).known, false);
  assert.ok(placeOf(position({ gtidSet: 'x'.repeat(4000) }), 1).ownBytes > 16_000);
});

const http = (lagMs: number, rows: number, done: number, inflight: number): MaxwellHttp =>
  ({
    replicationLagMs: seconds(lagMs),
    rowCount: seconds(rows),
    messagesSucceeded: seconds(done),
    messagesFailed: seconds(0),
    inflight: seconds(inflight),
  }) as MaxwellHttp;

test('the reader is as late as it says only while it goes on; then later by each second', () => {
  const memory = new HalvesMemory();
  const lag = (atMs: number, ...of: Parameters<typeof http>): unknown => {
    const found = memory.look(http(...of), { monoMs: atMs, wallMs: 0 }).readLagSeconds;
    return found.known ? found.value : '?';
  };
  assert.equal(lag(0, 400, 10, 10, 0), '?', 'it may be an old number');
  assert.equal(lag(10_000, 400, 10, 10, 0), '?');
  assert.equal(lag(20_000, 450, 15, 15, 0), 0.45);
  assert.equal(lag(30_000, 450, 15, 15, 0), 10.45);
  assert.equal(lag(40_000, 450, 16, 15, 0), 0.45, 'another row by the same number');
  assert.equal(lag(50_000, -3, 17, 15, 0), 0, 'clocks differ');
  assert.equal(memory.look({ ...http(1, 1, 1, 1), replicationLagMs: no }, { monoMs: 1, wallMs: 0 }).readLagSeconds.known, false);
}); // prettier-ignore

test('a message waits since the number of those that were sent passed the number of those that are done', () => {
  const memory = new HalvesMemory();
  const waiting = (atMs: number, done: number, inflight: number): unknown =>
    memory.look(http(1, 1, done, inflight), { monoMs: atMs, wallMs: 0 }).waiting;
  assert.deepEqual(waiting(0, 100, 0), { seconds: 0, atLeast: false });
  assert.deepEqual(waiting(10_000, 110, 10), { seconds: 5, atLeast: false });
  assert.deepEqual(waiting(20_000, 110, 30), { seconds: 15, atLeast: false }, 'the first of them was sent 5 s into it');
  assert.deepEqual(waiting(30_000, 140, 0), { seconds: 0, atLeast: false });
  assert.deepEqual(waiting(40_000, 3, 2), { seconds: 0, atLeast: true }, 'another process, seen for the first time');
  const silent = memory.look({ ...http(1, 1, 1, 1), inflight: no }, { monoMs: 50_000, wallMs: 0 });
  assert.deepEqual(silent.waiting, { seconds: 0, atLeast: true });
});
