import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorCall } from '../../../exporter/collector.ts';
import { FactBoard, SharedFacts } from '../../../exporter/facts.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { gtidCollector } from '../../../exporter/systems/mysql/collector-gtid.ts';
import { gtidFact, type GtidReading } from '../../../exporter/systems/mysql/facts-gtid.ts';
import { mariadbErrant, type MariadbGtids } from '../../../exporter/systems/mysql/facts-gtid-mariadb.ts';
import { compareGtids, type GtidChannel } from '../../../exporter/systems/mysql/facts-gtid-replica.ts';
import { parseGtidSet } from '../../../exporter/systems/mysql/facts-gtid-sets.ts';
import { replicationFact, type ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { parseMariadbGtids } from '../../../exporter/systems/mysql/facts-values.ts';
import { fakeClient, runner, statesOf, testCall, type Answers } from './fake-client.ts';

const a = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const b = '4350f323-7565-4e59-8763-4b1b83a0ce0e';
const r = 'ffffffff-0000-4e59-8763-4b1b83a0ce0e';

function mysql(
  uuid: string,
  atMs: number,
  executed: string,
  parts: { purged?: string; owned?: string; on?: boolean } = {},
): GtidReading {
  const gtids = {
    flavour: 'mysql',
    on: parts.on ?? true,
    executed: parseGtidSet(executed),
    owned: parseGtidSet(parts.owned ?? ''),
    purged: parseGtidSet(parts.purged ?? ''),
  } as const;
  return { serverId: 0, serverUuid: uuid, gtids, fromMs: atMs, toMs: atMs + 1 };
}

function channel(uuid: string, parts: Partial<GtidChannel> = {}): GtidChannel {
  return { channelName: '', connectionName: '', sourceServerId: 0, sourceUuid: uuid, columns: new Map(), ...parts };
}

const as = (...readings: readonly GtidReading[]): Known<GtidReading>[] => readings.map((reading) => known(reading, 0));

/** [state, errant, missing by channel, missing and purged by channel] */
function seen(
  channels: readonly GtidChannel[],
  sources: readonly Known<GtidReading>[],
  now: GtidReading,
  earlier: readonly GtidReading[],
): readonly [string, unknown, ...unknown[]] {
  const found = compareGtids({ channels, sources, now, earlier, observedAtMs: 0 });
  const of = (fact: Known<number>): number | undefined => (fact.known ? fact.value : undefined);
  return [found.state, of(found.errant), ...found.channels.map((c) => [of(c.missing), of(c.missingPurged)])];
}

test('MySQL: missing by the source that was read before, errant by the replica that was read before', () => {
  const source = as(mysql(a, 10, `${a}:1-100`));
  const before = mysql(r, 0, `${a}:1-90`);
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, `${a}:1-95`), [before]), ['ok', 0, [5, 0]]);
  // what the replica has executed since the source was read is neither errant nor missing
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, `${a}:1-105`), [before]), ['ok', 0, [0, 0]]);
  const errant = mysql(r, 0, `${a}:1-90,${r}:1-3`);
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, `${a}:1-90,${r}:1-7`), [errant]), ['ok', 3, [10, 0]]);
  // the source waits for replicas to acknowledge what they have executed by now
  const waits = as(mysql(a, 10, `${a}:1-100`, { owned: `${a}:101-102` }));
  const ahead = mysql(r, 0, `${a}:1-102`);
  assert.deepEqual(seen([channel(a)], waits, mysql(r, 20, `${a}:1-102`), [ahead]), ['ok', 0, [0, 0]]);
  // of several earlier readings the newest that is early enough
  const readings = [before, mysql(r, 5, `${a}:1-90,${r}:1`), mysql(r, 15, `${a}:1-90,${r}:1-2`)];
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, `${a}:1-100`), readings), ['ok', 1, [0, 0]]);
});

test('what another server had under the same address before is not errant on this one', () => {
  const source = as(mysql(a, 10, `${a}:1-100`));
  const failedOver = mysql('99999999-0000-0000-0000-000000000009', 0, `${a}:1-90,${r}:1-3`);
  const found = seen([channel(a)], source, mysql(r, 20, `${a}:1-100`), [failedOver]);
  assert.deepEqual(found, ['unknown', undefined, [0, 0]]);
});

test('a replica is not compared with itself: the address of its source may have followed a failover', () => {
  const not = ['not_paired', undefined];
  for (const channels of [[], [channel(a)]]) {
    assert.deepEqual(
      seen(channels, as(mysql(r, 10, `${a}:1-100`)), mysql(r, 20, `${a}:1-100`), [mysql(r, 0, '')]),
      not,
    );
    const own = { pos: '0-1-100', slave: '0-1-100' };
    assert.deepEqual(seen(channels, as(mariadb(2, 10, own)), mariadb(2, 20, own), [mariadb(2, 0, own)]), not);
  }
});

test('MySQL: no number where the order of the readings is the wrong one', () => {
  const source = as(mysql(a, 10, `${a}:1-100`));
  const now = mysql(r, 20, `${a}:1-100`);
  assert.deepEqual(seen([channel(a)], source, now, []), ['unknown', undefined, [0, 0]]);
  assert.deepEqual(seen([channel(a)], source, now, [mysql(r, 10, `${a}:1`)])[1], undefined, 'at the same time');
  assert.deepEqual(seen([channel(a)], source, mysql(r, 10, `${a}:1-90`), [mysql(r, 0, `${a}:1`)]), [
    'unknown',
    undefined,
    [undefined, undefined],
  ]);
});

test('MySQL: what the source has purged and the replica neither executed nor received can never be had', () => {
  const source = as(mysql(a, 10, `${a}:1-100`, { purged: `${a}:1-50` }));
  const before = mysql(r, 0, `${a}:1-20`);
  const now = mysql(r, 20, `${a}:1-20`);
  assert.deepEqual(seen([channel(a)], source, now, [before]), ['ok', 0, [80, 30]]);
  const received = channel(a, { columns: new Map([['retrieved_gtid_set', `${a}:21-45`]]) });
  assert.deepEqual(seen([received], source, now, [before]), ['ok', 0, [80, 5]]);
});

test('MySQL: off, unrelated, and an empty replica', () => {
  const before = mysql(r, 0, `${r}:1-4`);
  const source = as(mysql(a, 10, `${a}:1-100`));
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, `${r}:1-4`), [before]), [
    'unrelated',
    undefined,
    [undefined, undefined],
  ]);
  assert.deepEqual(seen([channel(a)], source, mysql(r, 20, ''), [mysql(r, 0, '')]), ['ok', 0, [100, 0]]);
  const off = as(mysql(a, 10, '', { on: false }));
  assert.deepEqual(seen([channel(a)], off, mysql(r, 20, ''), [before]), ['off', undefined, [undefined, undefined]]);
});

test('several sources: each channel by its own, errant only when all are known', () => {
  const channels = [channel(a, { channelName: 'east' }), channel(b, { channelName: 'west' })];
  const before = mysql(r, 0, `${a}:1-10,${b}:1-5,${r}:1`);
  const now = mysql(r, 20, `${a}:1-10,${b}:1-5,${r}:1`);
  const [east, west] = [mysql(a, 10, `${a}:1-12`), mysql(b, 11, `${b}:1-6`)];
  assert.deepEqual(seen(channels, as(west, east), now, [before]), ['ok', 1, [1, 0], [2, 0]]);
  assert.deepEqual(seen(channels, [...as(east), unknown('down')], now, [before]), ['unknown', undefined, [2, 0]]);
  assert.deepEqual(seen(channels, as(east), now, [before]), ['not_paired', undefined, [2, 0]]);
});

test('one source and one channel belong together though another server stands between', () => {
  const now = mysql(r, 20, `${a}:1-10`);
  const source = as(mysql(a, 10, `${a}:1-12`));
  assert.deepEqual(seen([channel(b)], source, now, [mysql(r, 0, `${a}:1`)]), ['ok', 0, [2, 0]]);
  assert.deepEqual(seen([], source, now, [mysql(r, 0, `${a}:1`)]), ['ok', 0, [2, 0]], 'replication was taken away');
});

function mariadb(
  serverId: number,
  atMs: number,
  parts: { pos?: string; state?: string; slave?: string; oldest?: string; logBin?: boolean },
): GtidReading {
  const gtids: MariadbGtids = {
    flavour: 'mariadb',
    logBin: parts.logBin ?? true,
    binlogPos: parseMariadbGtids(parts.pos ?? ''),
    binlogState: parseMariadbGtids(parts.state ?? parts.pos ?? ''),
    slavePos: parseMariadbGtids(parts.slave ?? ''),
    oldest: parts.oldest === undefined ? undefined : parseMariadbGtids(parts.oldest),
  };
  return { serverId, serverUuid: undefined, gtids, fromMs: atMs, toMs: atMs + 1 };
}

/** A replica with server id 2 that did not change between its two readings. */
function seenMariadb(
  source: Parameters<typeof mariadb>[2],
  replica: Parameters<typeof mariadb>[2],
  columns: Record<string, string> = {},
): readonly unknown[] {
  const one = channel('', { sourceServerId: 1, columns: new Map(Object.entries(columns)) });
  return seen([one], as(mariadb(1, 10, source)), mariadb(2, 20, replica), [mariadb(2, 0, replica)]);
}

test('MariaDB: missing is the difference within each domain', () => {
  assert.deepEqual(seenMariadb({ pos: '0-1-100', oldest: '' }, { slave: '0-1-100', pos: '0-1-100' }), [
    'ok',
    0,
    [0, 0],
  ]);
  assert.deepEqual(seenMariadb({ pos: '0-1-100,1-1-9', oldest: '0-1-99' }, { slave: '0-1-90,1-1-9', pos: '0-1-90' }), [
    'ok',
    0,
    [10, 9],
  ]);
  assert.deepEqual(seenMariadb({ pos: '0-1-100' }, { slave: '0-1-90', pos: '0-1-90' }), ['ok', 0, [10, undefined]]);
  // a domain that the replica has never seen, and one that it does not take
  const domains = { pos: '0-1-100,7-1-30', oldest: '' };
  assert.deepEqual(seenMariadb(domains, { slave: '0-1-100' }), ['ok', 0, [30, 0]]);
  assert.deepEqual(seenMariadb(domains, { slave: '0-1-100' }, { replicate_ignore_domain_ids: '7,8' })[2], [0, 0]);
  assert.deepEqual(seenMariadb(domains, { slave: '0-1-100' }, { replicate_do_domain_ids: '0' })[2], [0, 0]);
  // what the replica wrote itself does not hide what it lacks
  assert.deepEqual(seenMariadb({ pos: '0-1-100' }, { slave: '0-1-97', pos: '0-2-103', state: '0-1-97,0-2-103' })[2], [
    3,
    undefined,
  ]);
  // a former source, which has applied nothing, and its former replica, with and without log_slave_updates
  const turned = { pos: '0-2-80' };
  assert.deepEqual(seenMariadb({ pos: '0-2-80', slave: '0-2-80', oldest: '0-2-70' }, turned), ['ok', 0, [0, 0]]);
  const goneOn = { pos: '0-1-85', state: '0-2-80,0-1-85', slave: '0-2-80', oldest: '0-1-82' };
  assert.deepEqual(seenMariadb(goneOn, turned), ['ok', 0, [5, 2]]);
  assert.deepEqual(seenMariadb({ ...goneOn, state: '0-1-85' }, turned), ['ok', 0, [5, 2]]);
  // what it had not sent before it was turned is errant, and hides nothing
  assert.deepEqual(seenMariadb(goneOn, { pos: '0-2-83' }).slice(0, 3), ['ok', 3, [5, 2]]);
  assert.deepEqual(seenMariadb({ pos: '0-1-100', logBin: false }, { slave: '0-1-97' })[0], 'off');
  assert.deepEqual(seenMariadb({ pos: '0-1-100' }, { slave: '3-9-97' })[0], 'unrelated');
});

test('MariaDB: errant is what no source can have sent', () => {
  const errant = (source: Parameters<typeof mariadb>[2], replica: Parameters<typeof mariadb>[2]): unknown =>
    seenMariadb(source, replica).slice(0, 2);
  // written on the replica after the last one it applied; it stays errant when the source goes on
  const own = { slave: '0-1-100', state: '0-1-100,0-2-103' };
  assert.deepEqual(errant({ pos: '0-1-100' }, own), ['ok', 3]);
  assert.deepEqual(errant({ pos: '0-1-150' }, own), ['ok', 3]);
  assert.deepEqual(errant({ pos: '0-1-150' }, { slave: '0-1-150', state: '0-1-150,0-2-103' }), ['ok', 1], 'at least');
  // a domain of its own
  assert.deepEqual(errant({ pos: '0-1-100' }, { slave: '0-1-100', state: '0-1-100,9-2-4' }), ['ok', 4]);
  // the source was a replica of this one: it has all of it, though its own log need not
  const turned = { slave: '0-1-120', state: '0-1-120,0-2-80' };
  assert.deepEqual(errant({ pos: '0-1-120', state: '0-2-80,0-1-120' }, turned), ['ok', 0]);
  assert.deepEqual(errant({ pos: '0-1-120', state: '0-2-79,0-1-120' }, turned), ['ok', 1]);
  assert.deepEqual(errant({ pos: '0-1-120', slave: '0-2-80' }, turned), ['ok', 0]);
  // from a third server: beyond the source, or not to be decided
  assert.deepEqual(errant({ pos: '0-1-100' }, { slave: '0-9-110', state: '0-1-100,0-9-110' }), ['ok', 10]);
  assert.deepEqual(errant({ pos: '0-1-100' }, { slave: '0-1-100', state: '0-9-50,0-1-100' }), ['ambiguous', undefined]);
  assert.deepEqual(errant({ pos: '0-1-100' }, { ...own, state: '0-9-50,0-1-100,0-2-103' }), ['ok', 3]);
  assert.deepEqual(errant({ pos: '0-1-100' }, { slave: '0-1-100', logBin: false }), ['ambiguous', undefined]);
});

test('of different flavours nothing is compared', () => {
  const now = mariadb(2, 20, { slave: '0-1-1' });
  assert.equal(seen([channel(a)], as(mysql(a, 10, `${a}:1`)), now, [now])[0], 'unknown');
});

const answer = (executed: string, mode = 'ON'): Answers => ({
  'SELECT @@GLOBAL.gtid_mode': [{ mode, owned: '', executed, purged: '', id: '2', uuid: r }],
});

function callOf(facts: SharedFacts, clock: { monoMs: number }): CollectorCall {
  const call = testCall(clock);
  const sinceMs = clock.monoMs;
  return {
    ...call,
    target: 'replica',
    peers: {
      sources: ['source'],
      fact: (target, key) => facts.newest(target, key, { sinceMs, waitMs: 10, signal: call.signal }),
    },
  };
}

test('in a round the source is read first; the first round has an earlier reading too', async () => {
  const clock = { monoMs: 1000 };
  const facts = new SharedFacts();
  const share = (fact: Known<GtidReading>): void => {
    const board = new FactBoard();
    board.publish('source', gtidFact, fact);
    board.publish('replica', replicationFact, known([channel(a) as ReplicaChannel], 0));
    facts.share(board, clock.monoMs);
  };
  const run = runner(gtidCollector);
  const numbers = async (executed: string): Promise<unknown> => {
    const { samples, error } = await run(fakeClient('9.7.4', answer(executed)), callOf(facts, clock));
    assert.equal(error, undefined);
    const labels = '{channel_name="",connection_name=""}';
    return [
      samples.get(`mysql_gtid_missing_transactions${labels}`),
      samples.get(`mysql_gtid_missing_purged_transactions${labels}`),
      samples.get('mysql_gtid_errant_transactions{}'),
      ...statesOf(samples, 'mysql_gtid_state').map((key) => /state="(\w+)"/.exec(key)?.[1]),
    ];
  };
  // read a moment before the replica, whose first reading is as late: errant is not known yet
  share(known(mysql(a, 990, `${a}:1-10`), 0));
  assert.deepEqual(await numbers(`${a}:1-9,${r}:1`), [1, 0, undefined, 'unknown']);
  clock.monoMs = 2000;
  share(known(mysql(a, 1990, `${a}:1-20`), 0));
  assert.deepEqual(await numbers(`${a}:1-25,${r}:1-2`), [0, 0, 1, 'ok'], 'the second errant one is seen next time');
  clock.monoMs = 3000;
  share(known(mysql(a, 2990, `${a}:1-30`), 0));
  assert.deepEqual(await numbers(`${a}:1-25,${r}:1-2`), [5, 0, 2, 'ok']);
  clock.monoMs = 4000;
  share(unknown('down'));
  assert.deepEqual(await numbers(`${a}:1-25,${r}:1-2`), [undefined, undefined, undefined, 'unknown']);
  clock.monoMs = 400_000;
  share(known(mysql(a, 2990, `${a}:1-30`), 0));
  assert.deepEqual(await numbers(`${a}:1-30`), [undefined, undefined, undefined, 'unknown'], 'read long ago');
});

test('the state of a server that is paired with none, has no GTIDs, or is down', async () => {
  const run = runner(gtidCollector);
  const state = async (given: Parameters<typeof run>[0]): Promise<unknown> => {
    const { samples } = await run(given, testCall());
    assert.equal(samples.size, 6);
    return statesOf(samples, 'mysql_gtid_state');
  };
  assert.deepEqual(await state(fakeClient('9.7.4', answer(`${a}:1`))), ['mysql_gtid_state{state="not_paired"}']);
  assert.deepEqual(await state(fakeClient('9.7.4', answer('', 'OFF'))), ['mysql_gtid_state{state="off"}']);
  assert.deepEqual(await state(fakeClient('5.5.62', {})), ['mysql_gtid_state{state="off"}']);
  assert.deepEqual(await state(fakeClient('9.7.4', answer('garbage'))), ['mysql_gtid_state{state="unknown"}']);
  assert.deepEqual(await state(new Error('down')), ['mysql_gtid_state{state="unknown"}']);
});

test('a set that is too long to be compared: unknown with its size, never a zero', async () => {
  const run = runner(gtidCollector);
  const { samples, error } = await run(fakeClient('9.7.4', answer(`${a}:1`.padEnd(1_048_577, ' '))), testCall());
  assert.match(String(error), /mysql 192\.0\.2\.1:3306: gtid_executed: a GTID set of 1048577 characters/);
  assert.deepEqual(statesOf(samples, 'mysql_gtid_state'), ['mysql_gtid_state{state="unknown"}']);
  assert.equal(samples.size, 6, 'the states alone');
  const position = '1-1-1'.padEnd(1_048_577, ' ');
  const maria = [{ binlog_pos: '', binlog_state: position, slave_pos: '', id: '2' }];
  const other = await run(fakeClient('10.11.6-MariaDB', { 'SELECT @@GLOBAL.gtid_binlog_pos': maria }), testCall());
  assert.match(String(other.error), /gtid_binlog_state: a GTID set of 1048577 characters/);
  assert.equal(other.samples.size, 6);
});

test('what was received is too long: whether purged transactions are lost is unknown, the rest is known', () => {
  const source = as(mysql(a, 10, `${a}:1-100`, { purged: `${a}:1-50` }));
  const [before, now] = [mysql(r, 0, `${a}:1-20`), mysql(r, 20, `${a}:1-20`)];
  const received = channel(a, { columns: new Map([['retrieved_gtid_set', `${a}:21-45`.padEnd(1_048_577, ' ')]]) });
  assert.deepEqual(seen([received], source, now, [before]), ['ok', 0, [80, undefined]]);
  const found = compareGtids({ channels: [received], sources: source, now, earlier: [before], observedAtMs: 0 });
  assert.deepEqual(found.channels[0]?.missingPurged, {
    known: false,
    why: 'Retrieved_Gtid_Set: a GTID set of 1048577 characters; more than 1048576 are not compared',
  });
  // nothing of what was purged is missing: what was received does not matter
  assert.deepEqual(seen([received], source, mysql(r, 20, `${a}:1-60`), [before]), ['ok', 0, [40, 0]]);
});

test('between two sets the event loop has its turn', async () => {
  let nowMs = 0;
  const call = { ...testCall(), clock: { wallMs: () => 0, monoMs: () => (nowMs += 20) } };
  for (const [client, sets] of [
    [fakeClient('9.7.4', answer(`${a}:1`)), 2],
    [
      fakeClient('10.11.6-MariaDB', {
        'SELECT @@GLOBAL.gtid_binlog_pos': [{ binlog_pos: '', binlog_state: '', slave_pos: '', id: '2' }],
      }),
      3,
    ],
  ] as const) {
    let turns = 0;
    let over = false;
    const count = (): void => {
      turns += 1;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    const { error } = await runner(gtidCollector)(client, call);
    over = true;
    assert.equal(error, undefined);
    assert.ok(turns >= sets, `${turns} turns`);
  }
});

test('MariaDB: more errant origins than a call may have arguments', () => {
  const origins = Array.from({ length: 130_000 }, (_, i) => {
    return { domainId: '0', serverId: String(i + 10), sequence: i + 1000 };
  });
  const none = { flavour: 'mariadb', logBin: true, binlogPos: [], binlogState: [], slavePos: [], oldest: [] } as const;
  const applied = [{ domainId: '0', serverId: '1', sequence: 100 }];
  const replica = { ...none, binlogState: [...applied, ...origins], slavePos: applied };
  assert.equal(mariadbErrant([{ ...none, binlogPos: applied }], replica, 2), 130_899);
});
