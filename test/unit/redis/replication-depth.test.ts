// The stream in seconds, the topology and the data set, from facts of real replies that were changed where it matters.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import {
  DatasetMemory,
  type Dataset,
  type DatasetOptions,
} from '../../../exporter/systems/redis/facts-replication-dataset.ts';
import { headroomSeconds, StreamRateMemory } from '../../../exporter/systems/redis/facts-replication-rate.ts';
import { nextSyncOf, primaryAtMostMs, topologyOf } from '../../../exporter/systems/redis/facts-replication-topology.ts';
import {
  parseInfo,
  redisReplicationOf,
  type RedisReplication,
} from '../../../exporter/systems/redis/facts-replication.ts';

type Fields = Readonly<Record<string, string | number | undefined>>;

/** @param changes fields with other values, or without when undefined */
function facts(name: string, changes: Fields = {}): RedisReplication {
  const fields = new Map(parseInfo(readFileSync(join(import.meta.dirname, 'fixtures', `info-${name}.txt`), 'utf8')));
  for (const [field, value] of Object.entries(changes)) {
    if (value === undefined) fields.delete(field);
    else fields.set(field, String(value));
  }
  return redisReplicationOf(fields, { nowMs: 0, monoMs: 0 });
}

const primary = (changes?: Fields): RedisReplication => facts('7.0.15-primary', changes);
const up = (changes?: Fields): RedisReplication => facts('7.0.15-replica-up', changes);
const down = (changes?: Fields): RedisReplication => facts('7.0.15-replica-down', changes);
const value = <T>(fact: Known<T>): T | undefined => (fact.known ? fact.value : undefined);

for (const server of ['redis-8.0.6', 'valkey-9.1.2']) {
  test(`${server}: role, offsets, version and data set are read`, () => {
    const of = facts(`${server}-primary`);
    assert.equal(of.state, 'primary');
    assert.equal(of.replicas.length, 1);
    // Captured from Valkey before the first acknowledgement of its replica, from Redis before anything was written
    assert.equal(of.replicas[0]?.behindBytes.known, of.offset === 0);
    assert.equal(of.server.version, server.split('-')[1]);
    assert.equal(of.server.mode, 'standalone');
    assert.equal(of.server.keys.known, true);
    const replica = facts(`${server}-replica`);
    assert.equal(replica.state, 'replica_up');
    assert.equal(replica.replId, of.replId);
    assert.notEqual(replica.link?.readOffset, undefined);
  });
}

test('write rate: two looks, a window, and none without a stream', () => {
  const memory = new StreamRateMemory();
  const see = (atMs: number, changes: Fields): ReturnType<StreamRateMemory['see']> =>
    memory.see(primary(changes), atMs, 0);
  assert.equal(see(0, { master_repl_offset: 1_000 }).state, 'unknown');
  assert.equal(see(100, { master_repl_offset: 1_500 }).state, 'unknown', 'two scrapes at once');
  const measured = see(10_000, { master_repl_offset: 11_000 });
  assert.equal(measured.state, 'measured');
  assert.equal(value(measured.bytesPerSecond), 1_000);
  assert.equal(value(measured.backlogSeconds), 16_777_216 / 1_000);
  assert.equal(value(headroomSeconds(known(500, 0), measured)), 0.5);
  assert.equal(headroomSeconds(unknown('not online'), measured).known, false);
  see(70_000, { master_repl_offset: 11_000 });
  const idle = see(130_000, { master_repl_offset: 11_000 });
  assert.equal(idle.state, 'idle');
  assert.equal(value(idle.bytesPerSecond), 0);
  assert.equal(idle.backlogSeconds.known, false);
  assert.equal(headroomSeconds(known(500, 0), idle).known, false);
  assert.equal(see(140_000, { master_repl_offset: 5 }).state, 'unknown', 'a stream that begins anew');
  assert.equal(see(150_000, { repl_backlog_active: 0 }).state, 'no_stream');
  assert.equal(see(160_000, { loading: 1 }).state, 'unknown');
});

test('write rate on a replica: of its link, and not of its catching up', () => {
  const memory = new StreamRateMemory();
  memory.see(up({ master_repl_offset: 1_000 }), 0, 0);
  assert.equal(value(memory.see(up({ master_repl_offset: 2_000 }), 1_000, 0).bytesPerSecond), 1_000);
  assert.equal(memory.see(down(), 2_000, 0).state, 'no_stream');
  const { replId } = up();
  assert.equal(memory.see(up({ master_replid: replId, master_repl_offset: 900_000 }), 3_000, 0).state, 'unknown');
});

const id = primary().replId;
const other = 'f'.repeat(40);
/** As far as its primary, link down. */
const behind = (changes: Fields = {}): RedisReplication =>
  down({ master_replid: id, slave_repl_offset: 60_000, ...changes });

const next: readonly (readonly [string, RedisReplication, RedisReplication, string])[] = [
  ['its bytes are in the backlog', behind(), primary(), 'partial'],
  ['exactly the first byte of the backlog is next', behind(), primary({ repl_backlog_first_byte_offset: 60_001 }), 'partial'], // prettier-ignore
  ['one byte has left the backlog', behind(), primary({ repl_backlog_first_byte_offset: 60_002 }), 'full'],
  ['exactly at the end', behind({ slave_repl_offset: 65_413 }), primary(), 'partial'],
  ['further than its primary: that one lost something', behind({ slave_repl_offset: 65_414 }), primary(), 'full'],
  ['another replication id', behind({ master_replid: other }), primary(), 'full'],
  ['the id of before the failover, not beyond it', behind(), primary({ master_replid: other, master_replid2: id, second_repl_offset: 60_001 }), 'partial'], // prettier-ignore
  ['the id of before the failover, beyond it', behind(), primary({ master_replid: other, master_replid2: id, second_repl_offset: 60_000 }), 'full'], // prettier-ignore
  ['no backlog', behind(), primary({ repl_backlog_active: 0 }), 'full'],
  ['a primary that loads', behind(), primary({ loading: 1 }), 'unknown'],
  ['a copy that runs', behind({ master_sync_in_progress: 1 }), primary(), 'syncing'],
  ['a link that is up', up({ master_replid: id }), primary(), 'linked'],
];
for (const [what, own, of, wanted] of next) {
  test(`next connection, ${what}: ${wanted}`, () => {
    assert.equal(nextSyncOf(own, of).state, wanted);
  });
}

type States = readonly [role: string, primary: string, id: string, chain: string, next: string];
const seen = (own: RedisReplication, of: Known<RedisReplication> | undefined, nowMs = 0): States => {
  const { checks, nextSync } = topologyOf(own, of, { nowMs });
  return [checks.role.state, checks.primary.state, checks.replication_id.state, checks.chain.state, nextSync.state];
};
const fact = (of: RedisReplication): Known<RedisReplication> => known(of, 0);

test('topology', () => {
  const healthy = up({ master_replid: id });
  assert.deepEqual(seen(primary(), undefined), ['none', 'none', 'none', 'none', 'none']);
  assert.deepEqual(seen(healthy, undefined), ['none', 'none', 'none', 'ok', 'linked']);
  assert.deepEqual(seen(healthy, fact(primary())), ['ok', 'ok', 'ok', 'ok', 'linked']);
  assert.deepEqual(seen(primary(), fact(primary())), ['wrong', 'none', 'none', 'none', 'none'], 'a replica that is a primary'); // prettier-ignore
  assert.deepEqual(seen(up({ master_replid: other }), fact(primary())), ['ok', 'wrong', 'wrong', 'ok', 'linked']);
  assert.deepEqual(seen(healthy, fact(up({ master_replid: id }))), ['wrong', 'ok', 'ok', 'ok', 'linked']);
  assert.deepEqual(seen(behind({ master_replid: other }), fact(primary())), ['ok', 'unknown', 'wrong', 'ok', 'full']);
  assert.deepEqual(seen(behind({ master_sync_in_progress: 1, master_replid: other }), fact(primary())), ['ok', 'unknown', 'unknown', 'ok', 'syncing']); // prettier-ignore
  const promoted = primary({ master_replid: other, master_replid2: id, second_repl_offset: 60_001 });
  assert.deepEqual(seen(healthy, fact(promoted)), ['ok', 'wrong', 'wrong', 'ok', 'linked'], 'it stays with the server that was replaced'); // prettier-ignore
  assert.deepEqual(seen(behind(), fact(promoted)), ['ok', 'ok', 'ok', 'ok', 'partial']);
  const middle = up({ master_replid: id, connected_slaves: 1, slave0: 'ip=10.0.0.1,port=6380,state=online,offset=1,lag=0' }); // prettier-ignore
  assert.equal(seen(middle, fact(primary()))[3], 'wrong');
  assert.equal(topologyOf(middle, fact(primary()), { nowMs: 0, isChainMeant: true }).checks.chain.state, 'none');
});

const sizes: readonly (readonly [own: number, of: number, changes: Fields, wanted: string])[] = [
  [5_000, 5_000, {}, 'ok'],
  [5_000, 4_000, {}, 'ok'],
  [5_000, 3_999, {}, 'wrong'],
  [5_000, 0, {}, 'wrong'],
  [999, 0, {}, 'none'],
  [5_000, 0, { loading: 1 }, 'unknown'],
  [5_000, 0, { '# keyspace': undefined }, 'unknown'],
];
for (const [own, of, changes, wanted] of sizes) {
  test(`a replica without a link has ${String(own)} keys, its primary ${String(of)}: ${wanted}`, () => {
    const keys = (count: number): Fields => ({ db0: `keys=${String(count)},expires=0,avg_ttl=0` });
    const its = primary({ ...keys(of), ...changes });
    assert.equal(topologyOf(behind(keys(own)), fact(its), { nowMs: 0 }).checks.dataset.state, wanted);
    assert.equal(topologyOf(up(keys(own)), fact(its), { nowMs: 0 }).checks.dataset.state, 'ok', 'linked');
  });
}

test('topology: a primary that is away, or was not read lately, is no reason to call anything wrong', () => {
  assert.deepEqual(seen(behind(), unknown('refused')), ['ok', 'unknown', 'unknown', 'ok', 'unknown']);
  assert.deepEqual(seen(behind(), fact(primary()), primaryAtMostMs + 1), ['ok', 'unknown', 'unknown', 'ok', 'unknown']);
  assert.deepEqual(seen(up({ master_replid: other }), unknown('refused')), [
    'ok',
    'unknown',
    'unknown',
    'ok',
    'linked',
  ]);
});

const options: DatasetOptions = { windowMs: 600_000, share: 0.5, leastKeys: 1_000, leastBytes: 1_000_000 };
const sized = (keys: number, changes: Fields = {}): RedisReplication =>
  primary({ db0: `keys=${keys},expires=0,avg_ttl=0`, used_memory_dataset: 1_000, ...changes });

test('data set: a loss at once is told as long as the window, with its cause, and counted once', () => {
  const memory = new DatasetMemory();
  const see = (atMs: number, found: RedisReplication): Dataset =>
    memory.see(found, { monoMs: atMs, wallMs: 0 }, options);
  assert.equal(see(0, sized(10_000)).state, 'steady');
  assert.equal(value(see(15_000, sized(6_000)).kept), 0.6);
  const lost = see(30_000, sized(0, { cmdstat_flushall: 'calls=1,usec=1' }));
  assert.equal(lost.state, 'shrank');
  assert.match(lost.why, /FLUSHALL/);
  assert.equal(see(45_000, sized(10, { cmdstat_flushall: 'calls=1,usec=1' })).state, 'shrank');
  assert.deepEqual(memory.shrinks, { flush: 1, restart: 0, copy: 0, other: 0 });
  assert.equal(see(400_000, sized(10, { cmdstat_flushall: 'calls=1,usec=1' })).state, 'shrank');
  assert.equal(see(700_000, sized(10, { cmdstat_flushall: 'calls=1,usec=1' })).state, 'steady');
  assert.equal(see(700_001, sized(10, { loading: 1 })).state, 'loading');
  assert.equal(see(700_002, sized(10, { '# keyspace': undefined })).state, 'unknown');
});

test('data set: a server that was away for longer than the window and comes back empty', () => {
  const memory = new DatasetMemory();
  const see = (atMs: number, found: RedisReplication): Dataset =>
    memory.see(found, { monoMs: atMs, wallMs: 0 }, options);
  see(0, sized(10_000));
  see(15_000, sized(10_000));
  const hourMs = 3_600_000;
  assert.equal(see(hourMs, sized(0, { run_id: 'another' })).state, 'shrank');
  assert.deepEqual(memory.shrinks, { flush: 0, restart: 1, copy: 0, other: 0 });
  assert.equal(see(hourMs + 15_000, sized(0, { run_id: 'another' })).state, 'shrank', 'not for one look alone');
  see(hourMs + 200_000, sized(0, { run_id: 'another' }));
  assert.equal(see(hourMs + 400_000, sized(0, { run_id: 'another' })).state, 'steady');
});

const losses: readonly (readonly [string, RedisReplication, RedisReplication])[] = [
  ['restart', sized(5_000), sized(0, { run_id: 'another' })],
  ['copy', up({ db0: 'keys=5000,expires=0' }), up({ db0: 'keys=1,expires=0', master_replid: other })],
  ['other', sized(5_000), sized(100)],
  ['other', sized(5_000, { used_memory: 10_000_000, used_memory_dataset: 9_000_000 }), sized(5_000, { used_memory_dataset: 1_000 })], // prettier-ignore
];
for (const [cause, before, after] of losses) {
  test(`data set: a loss by ${cause}`, () => {
    const memory = new DatasetMemory();
    memory.see(before, { monoMs: 0, wallMs: 0 }, options);
    assert.equal(memory.see(after, { monoMs: 60_000, wallMs: 0 }, options).state, 'shrank');
    assert.equal(memory.shrinks[cause as 'other'], 1);
  });
}

test('data set: bytes that are a difference below zero, in unsigned numbers, are none', () => {
  const memory = new DatasetMemory();
  memory.see(sized(5_000, { used_memory_dataset: '18446744073709540000' }), { monoMs: 0, wallMs: 0 }, options);
  assert.equal(memory.see(sized(5_000), { monoMs: 60_000, wallMs: 0 }, options).state, 'steady');
});

test('data set: small ones are not judged', () => {
  const memory = new DatasetMemory();
  memory.see(sized(900), { monoMs: 0, wallMs: 0 }, options);
  const found = memory.see(sized(0), { monoMs: 60_000, wallMs: 0 }, options);
  assert.equal(found.state, 'steady');
  assert.equal(found.kept.known, false);
});
