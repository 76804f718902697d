// The conditions of both repairs of a Redis replica: one fact changed at a time, and the verdict that it must change.
// Whoever lets a condition always allow fails its row here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import {
  parseInfo,
  redisReplicationOf,
  type RedisReplication,
} from '../../../exporter/systems/redis/facts-replication.ts';
import { observersOf, reconnectPreconditions, symptom } from '../../../remediator/actions/redis/reconnect-verdicts.ts';
import { resyncObservers } from '../../../remediator/actions/redis/resync-observers.ts';
import { divergence, resyncPreconditions } from '../../../remediator/actions/redis/resync-verdicts.ts';
import { sentinelVerdict } from '../../../remediator/actions/redis/verdicts.ts';
import type { PairFacts } from '../../../remediator/actions/redis/facts.ts';
import type { Verdict } from '../../../remediator/guard.ts';

const id = 'a'.repeat(40);
const other = 'b'.repeat(40);

type Fields = Readonly<Record<string, string | number | undefined>>;

/** As Redis 7.0.15 tells it, shortened. */
const replicaFields: Fields = {
  redis_version: '7.0.15',
  redis_mode: 'standalone',
  tcp_port: 6380,
  run_id: 'r1',
  uptime_in_seconds: 5000,
  used_memory: 50_000_000,
  used_memory_dataset: 40_000_000,
  total_system_memory: 8_000_000_000,
  maxmemory: 0,
  loading: 0,
  rdb_bgsave_in_progress: 0,
  aof_rewrite_in_progress: 0,
  role: 'slave',
  master_host: '10.0.0.1',
  master_port: 6379,
  master_link_status: 'up',
  master_last_io_seconds_ago: 30,
  master_sync_in_progress: 0,
  slave_read_repl_offset: 10_000,
  slave_repl_offset: 10_000,
  slave_read_only: 1,
  connected_slaves: 0,
  master_failover_state: 'no-failover',
  master_replid: id,
  master_replid2: '0'.repeat(40),
  master_repl_offset: 10_000,
  second_repl_offset: -1,
  repl_backlog_active: 1,
  repl_backlog_size: 1_048_576,
  repl_backlog_first_byte_offset: 1,
  repl_backlog_histlen: 10_000,
  cluster_enabled: 0,
  '# Keyspace': undefined,
  db0: 'keys=5000,expires=0,avg_ttl=0',
};
const primaryFields: Fields = {
  ...replicaFields,
  tcp_port: 6379,
  run_id: 'p1',
  role: 'master',
  used_memory_rss: 60_000_000,
  rdb_last_bgsave_status: 'ok',
  rdb_saves: 3,
  module_fork_in_progress: 0,
  aof_last_bgrewrite_status: 'ok',
  aof_last_write_status: 'ok',
  connected_slaves: 2,
  slave0: 'ip=10.0.0.2,port=6380,state=online,offset=10000,lag=30',
  slave1: 'ip=10.0.0.3,port=6381,state=online,offset=11000,lag=0',
  master_repl_offset: 11_000,
  repl_backlog_histlen: 11_000,
};

function infoOf(fields: Fields): RedisReplication {
  const lines = Object.entries(fields).flatMap(([k, v]) =>
    k.startsWith('# ') ? [k] : v === undefined ? [] : [`${k}:${String(v)}`],
  );
  return redisReplicationOf(parseInfo(lines.join('\r\n')), { nowMs: 1, monoMs: 1 });
}

const replicaSettings = { 'repl-diskless-load': 'disabled', 'replica-ignore-maxmemory': 'yes' };
const primarySettings = {
  'repl-diskless-sync': 'no',
  'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
  'min-replicas-to-write': '0',
  'min-replicas-max-lag': '10',
};

interface Change {
  readonly replica?: Fields;
  readonly primary?: Fields;
  readonly facts?: Partial<PairFacts>;
  readonly primarySettings?: Readonly<Record<string, string>>;
  readonly replicaSettings?: Readonly<Record<string, string>>;
}

function facts(change: Change = {}): PairFacts {
  return {
    primaryTarget: known('cache', 1),
    replica: known(infoOf({ ...replicaFields, ...change.replica }), 1),
    primary: known(infoOf({ ...primaryFields, ...change.primary }), 1),
    link: known({ id: '3', addr: '10.0.0.1:6379', laddr: '10.0.0.2:40088', name: '' }, 1),
    fed: known([], 1),
    settings: {
      replica: known({ ...replicaSettings, ...change.replicaSettings }, 1),
      primary: known({ ...primarySettings, ...change.primarySettings }, 1),
    },
    sentinel: known({ watches: false, said: [] }, 1),
    ...change.facts,
  };
}

const reconnectParams = { silentSeconds: 20, backlogShare: 0.1 };
const resyncParams = {
  silentSeconds: 20,
  divergence: 'visible',
  divergenceShare: 0.01,
  primaryUpSeconds: 300,
  copyOnWriteShare: 0.5,
  lastReplica: false,
  diskConfirmed: false,
} as const;
const good = { primaryRunId: 'p1', replId: id, atMs: 1 };

function against(verdicts: Readonly<Record<string, Verdict>>): string[] {
  return Object.entries(verdicts).flatMap(([name, v]) => (v.is === 'allow' ? [] : [`${name}: ${v.is} ${v.code}`]));
}

/** What both ask. */
const shared: readonly (readonly [what: string, change: Change, expected: string])[] = [
  ['no pipeline names a primary', { facts: { primaryTarget: unknown('none') } }, 'reachable: deny no_primary'],
  ['the replica does not answer', { facts: { replica: unknown('gone') } }, 'reachable: unknown replica_unknown'],
  ['its primary does not answer', { facts: { primary: unknown('gone') } }, 'reachable: unknown primary_unknown'],
  ['a node of a cluster', { replica: { cluster_enabled: 1 } }, 'roles: deny cluster'],
  ['its primary is a node of a cluster', { primary: { cluster_enabled: 1 } }, 'roles: deny cluster'],
  ['it was promoted', { replica: { role: 'master' } }, 'roles: deny not_a_replica'],
  ['its primary is a replica', { primary: { role: 'slave' } }, 'roles: deny primary_is_replica'],
  ['it is fed by another replica', { facts: { link: known({ id: '3', addr: '10.0.0.3:6381', laddr: '10.0.0.2:40088', name: '' }, 1) } }, 'roles: deny chained'],
  ['it is pointed at another replica', { replica: { master_host: '10.0.0.3', master_port: 6381 } }, 'roles: deny chained'],
  ['its primary loads', { primary: { loading: 1 } }, 'roles: unknown primary_loading'],
  ['a planned swap', { primary: { master_failover_state: 'waiting-for-sync' } }, 'failover: deny failover_running'],
  ['its primary came back empty', { primary: { db0: undefined } }, 'primary_data: deny primary_empty'],
  ['its primary lost much', { primary: { db0: 'keys=3000' } }, 'primary_data: deny primary_shrank'],
  ['its primary has small values now', { primary: { used_memory_dataset: 20_000_000 } }, 'primary_data: deny primary_shrank'],
  ['one less stops the writes', { primarySettings: { 'min-replicas-to-write': '2' }, primary: { min_slaves_good_slaves: 2 } }, 'min_replicas: deny writes_would_stop'],
  ['writes are refused already', { primarySettings: { 'min-replicas-to-write': '3' }, primary: { min_slaves_good_slaves: 2 } }, ''],
  ['enough others', { primarySettings: { 'min-replicas-to-write': '1' }, primary: { min_slaves_good_slaves: 2 } }, ''],
  ['how many are wanted is not told', { primary: {}, primarySettings: { 'min-replicas-to-write': 'x' } }, 'min_replicas: unknown min_replicas_unknown'],
]; // prettier-ignore

for (const [what, change, expected] of shared) {
  test(`both: ${what}`, () => {
    const of = (verdicts: Record<string, Verdict>) => against(verdicts).filter((line) => line === expected);
    const wanted = expected === '' ? [] : [expected];
    assert.deepEqual(of(reconnectPreconditions(facts(change), reconnectParams, good)), wanted);
    assert.deepEqual(of(resyncPreconditions(facts(change), resyncParams, good)), wanted);
    if (expected === '') assert.deepEqual(against(reconnectPreconditions(facts(change), reconnectParams, good)), []);
  });
}

const noLink = { facts: { link: known(null, 1) } };
const reconnects: readonly (readonly [what: string, change: Change, expected: string])[] = [
  ['silent, within the backlog', {}, ''],
  ['the link is down', { replica: { master_link_status: 'down' } }, 'link: deny nothing_to_end'],
  ['no connection is listed', noLink, 'link: deny nothing_to_end'],
  ['the list is refused', { facts: { link: unknown('NOPERM') } }, 'link: unknown link_unknown'],
  ['a copy is under way', { replica: { master_link_status: 'down', master_sync_in_progress: 1 } }, 'link: deny copying'],
  ['an old server', { facts: { link: known({ id: '3', addr: 'x', laddr: undefined, name: '' }, 1) } }, 'link: deny too_old'],
  ['an address that is none', { facts: { link: known({ id: '3', addr: 'x', laddr: '1.2.3.4:1 ID 5', name: '' }, 1) } }, 'link: deny no_address'],
  ['another replication id', { replica: { master_replid: other } }, 'partial: deny full_copy'],
  ['it has fallen out of the backlog', { primary: { repl_backlog_first_byte_offset: 10_500, repl_backlog_histlen: 501 } }, 'partial: deny full_copy'],
  ['it is further than its primary', { replica: { slave_repl_offset: 20_000 } }, 'partial: deny full_copy'],
  ['the backlog is nearly over', { primary: { repl_backlog_size: 1_050 } }, 'partial: deny backlog_short'],
  ['there is no backlog', { primary: { repl_backlog_active: 0 } }, 'partial: deny full_copy'],
  ['its settings are refused', { facts: { settings: { replica: unknown('x'), primary: unknown('NOPERM') } } }, 'min_replicas: unknown settings_unknown'],
]; // prettier-ignore

for (const [what, change, expected] of reconnects) {
  test(`reconnect: ${what}`, () => {
    assert.deepEqual(
      against(reconnectPreconditions(facts(change), reconnectParams, good)),
      expected === '' ? [] : [expected],
    );
  });
}

test('the connection is named by the address that the replica lists, and whether its primary lists the same is told', () => {
  const fed = (addr: string) => known([{ id: '9', addr, laddr: '10.0.0.1:6379', name: '' }], 1);
  const inputs = (change: Change) => reconnectPreconditions(facts(change), reconnectParams, good)['link']?.inputs;
  const told = { laddr: '10.0.0.2:40088', addr: '10.0.0.1:6379' };
  assert.deepEqual(inputs({ facts: { fed: fed('10.0.0.2:40088') } }), { ...told, listedByPrimary: true });
  assert.deepEqual(inputs({ facts: { fed: fed('10.0.0.99:1') } }), { ...told, listedByPrimary: false });
  assert.deepEqual(inputs({ facts: { fed: unknown('NOPERM') } }), { ...told, listedByPrimary: null });
});

test('a full copy is never to be got by a reconnect, whatever the primary tells of itself after a restart', () => {
  const restarted = facts({ primary: { run_id: 'p2', master_replid: other, db0: undefined, uptime_in_seconds: 3 } });
  assert.deepEqual(against(reconnectPreconditions(restarted, reconnectParams, good)), [
    'primary_data: deny primary_empty',
    'partial: deny full_copy',
  ]);
  const { primary_data: verdict } = reconnectPreconditions(restarted, reconnectParams, good);
  assert.match(verdict?.because ?? '', /started anew since the link was last seen well/);
});

const resyncs: readonly (readonly [what: string, change: Change, expected: string])[] = [
  ['nothing against it', {}, ''],
  ['its primary has just been started', { primary: { uptime_in_seconds: 20 } }, 'primary_life: unknown primary_young'],
  ['data of another stream', { replica: { master_replid: other } }, 'same_primary: deny other_stream'],
  ['its primary saves', { primary: { rdb_bgsave_in_progress: 1 } }, 'primary_busy: unknown primary_forks'],
  ['its primary rewrites its file', { primary: { aof_rewrite_in_progress: 1 } }, 'primary_busy: unknown primary_forks'],
  ['a module forks', { primary: { module_fork_in_progress: 1 } }, 'primary_busy: unknown primary_forks'],
  ['another one is copied to', { primary: { slave2: 'ip=10.0.0.4,port=6382,state=send_bulk,offset=0,lag=0' } }, 'primary_busy: unknown another_copies'],
  ['another one loads its copy', { primary: { slave2: 'ip=10.0.0.4,port=6382,state=online,offset=0,lag=0' } }, 'primary_busy: unknown another_copies'],
  ['what is left of its own connection before', { primary: { slave2: 'ip=10.0.0.2,port=6380,state=online,offset=0,lag=40' } }, ''],
  ['the last save failed', { primary: { rdb_last_bgsave_status: 'err' } }, 'primary_persistence: deny save_failed'],
  ['the append only file cannot be written', { primary: { aof_last_write_status: 'err' } }, 'primary_persistence: deny aof_failed'],
  ['whether it saved is not told', { primary: { rdb_last_bgsave_status: 'unknown' } }, 'primary_persistence: unknown saves_unknown'],
  ['no memory to fork', { primary: { total_system_memory: 80_000_000 } }, 'primary_memory: deny no_memory_to_fork'],
  ['memory is not told', { primary: { total_system_memory: 0 } }, 'primary_memory: unknown memory_unknown'],
  ['never saved, and copies by a file', { primary: { rdb_saves: 0 } }, 'primary_disk: unknown disk_unknown'],
  ['never saved, and copies without a file', { primary: { rdb_saves: 0 }, primarySettings: { 'repl-diskless-sync': 'yes' } }, ''],
  ['a small output buffer', { primarySettings: { 'client-output-buffer-limit': 'slave 1000000 500000 60' } }, 'output_buffer: deny buffer_small'],
  ['no limit of the output buffer', { primarySettings: { 'client-output-buffer-limit': 'replica 0 0 0' } }, ''],
  ['the replica has no memory for it', { replica: { total_system_memory: 20_000_000 } }, 'replica_room: deny no_memory_to_load'],
  ['both data sets at once are too much', { replica: { total_system_memory: 80_000_000 }, replicaSettings: { 'repl-diskless-load': 'swapdb' } }, 'replica_room: deny no_memory_to_load'],
  ['it may not hold that much', { replica: { maxmemory: 10_000_000 }, replicaSettings: { 'replica-ignore-maxmemory': 'no' } }, 'replica_room: deny maxmemory'],
  ['the replica saves', { replica: { rdb_bgsave_in_progress: 1 } }, 'replica_busy: unknown replica_forks'],
  ['it is the last one', { primary: { slave1: 'ip=10.0.0.3,port=6381,state=online,offset=9000,lag=90' } }, 'other_replicas: deny last_replica'],
  ['a connection that hangs is no second replica', { primary: { slave0: 'ip=10.0.0.2,port=6380,state=online,offset=11000,lag=0', slave1: 'ip=10.0.0.2,port=6380,state=online,offset=11000,lag=9' } }, 'other_replicas: deny last_replica'],
  ['somebody replicates from it', { replica: { slave0: 'ip=10.0.0.9,port=6390,state=online,offset=1,lag=0' } }, 'sub_replicas: deny sub_replicas'],
  ['an address that could say more', { replica: { master_host: 'a b' } }, 'address: deny no_address'],
  ['the address NO', { replica: { master_host: 'NO' } }, 'address: deny no_address'],
]; // prettier-ignore

for (const [what, change, expected] of resyncs) {
  test(`full copy: ${what}`, () => {
    assert.deepEqual(
      against(resyncPreconditions(facts(change), resyncParams, good)),
      expected === '' ? [] : [expected],
    );
  });
}

test('every condition has a row in which it does not allow', () => {
  const seen = new Set(
    [...shared, ...reconnects, ...resyncs].map(([, , expected]) => expected.split(':')[0] ?? '').filter(Boolean),
  );
  const all = new Set([
    ...Object.keys(reconnectPreconditions(facts(), reconnectParams, good)),
    ...Object.keys(resyncPreconditions(facts(), resyncParams, good)),
  ]);
  assert.deepEqual([...all].filter((name) => !seen.has(name)), []); // prettier-ignore
});

test('symptom and its observers: silent, healthy, down', () => {
  const of = (change: Change): string => symptom(facts(change), reconnectParams).code;
  assert.equal(of({}), 'link_silent');
  assert.equal(of({ replica: { master_last_io_seconds_ago: 3 } }), 'healthy');
  assert.equal(of({ replica: { master_link_status: 'down' } }), 'link_down');
  assert.equal(symptom(facts({ replica: { master_last_io_seconds_ago: 'x' } }), reconnectParams).is, 'unknown');
  const says = (change: Change): string[] => observersOf(facts(change), reconnectParams).map((o) => o.says);
  assert.deepEqual(says({}), ['broken', 'broken']);
  const idle = { slave0: 'ip=10.0.0.2,port=6380,state=online,offset=10000,lag=1', master_repl_offset: 10_000 };
  assert.deepEqual(says({ primary: idle }), ['broken', 'healthy']);
  assert.deepEqual(says({ primary: { ...idle, slave0: undefined } }), ['broken', 'broken']);
  assert.deepEqual(says({ facts: { primary: unknown('gone') } }), ['broken', 'unknown']);
  // Replicas on hosts of their own have one port all the same: the other one is not it
  const well = 'ip=10.0.0.3,port=6380,state=online,offset=10000,lag=0';
  const silent = 'ip=10.0.0.2,port=6380,state=online,offset=10000,lag=30';
  const ofTwo = (first: string, second: string): string[] =>
    says({ primary: { ...idle, slave0: first, slave1: second } });
  assert.deepEqual(ofTwo(well, silent), ['broken', 'broken']);
  assert.deepEqual(ofTwo(silent.replace('lag=30', 'lag=1'), well.replace('lag=0', 'lag=40')), ['broken', 'healthy']);
  // From one machine, or behind one address, both are listed alike (seen on Redis 7.0.15)
  assert.deepEqual(ofTwo(silent, well.replace('10.0.0.3', '10.0.0.2')), ['broken', 'unknown']);
  // Behind a translation of addresses nobody can tell which of them it is
  assert.deepEqual(ofTwo(well.replace('10.0.0.3', '10.9.9.1'), silent.replace('10.0.0.2', '10.9.9.2')), [
    'broken',
    'unknown',
  ]);
});

test('a difference: seen in the numbers, told by the alert, or a copy that is the only way', () => {
  const of = (change: Change, more: object = {}): string =>
    divergence(facts(change), { ...resyncParams, ...more }).code;
  const fresh = { master_last_io_seconds_ago: 1 };
  assert.equal(of({ replica: fresh }), 'healthy');
  assert.equal(of({ replica: { ...fresh, db0: 'keys=4950' } }), 'healthy');
  assert.equal(of({ replica: { ...fresh, db0: 'keys=4800' } }), 'keys_differ');
  assert.equal(of({ replica: fresh }, { divergence: 'alert' }), 'by_alert');
  assert.equal(of({ replica: { master_sync_in_progress: 1, master_link_status: 'down' } }), 'copying');
  assert.equal(of({ replica: { master_link_status: 'down' } }, { divergence: 'alert' }), 'link_down');
  assert.equal(of({ replica: { master_replid: other } }), 'full_only');
});

test('who sees that a full copy is wanted: both sides, each by its own numbers', () => {
  const says = (change: Change, more: object = {}): string => {
    const params = { ...resyncParams, ...more };
    const seen = facts(change);
    const { observers } = resyncObservers(seen, divergence(seen, params).code, params);
    return observers === undefined ? 'one way only' : observers.map((o) => o.says).join(' ');
  };
  const fresh = { master_last_io_seconds_ago: 1 };
  const served = { slave0: 'ip=10.0.0.2,port=6380,state=online,offset=10900,lag=1' };
  const differs = { replica: { ...fresh, db0: 'keys=4800' } };
  assert.equal(says({ ...differs, primary: served }), 'broken broken');
  assert.equal(says(differs), 'broken unknown', 'the primary has not heard of it for 30 s');
  const behind = { ...served, master_repl_offset: 11_000_000 };
  assert.equal(says({ ...differs, primary: behind }), 'broken unknown', 'what differs may be on its way');
  const lagging = 'ip=10.0.0.2,port=6380,state=online,offset=10000,lag=1';
  const caughtUp = 'ip=10.0.0.3,port=6380,state=online,offset=11000000,lag=0';
  const busy = { slave0: caughtUp, slave1: lagging, master_repl_offset: 11_000_000 };
  assert.equal(says({ ...differs, primary: busy }), 'broken unknown', 'another replica of that port has caught up');
  const alike = { ...busy, slave0: caughtUp.replace('10.0.0.3', '10.0.0.2') };
  assert.equal(says({ ...differs, primary: alike }), 'broken unknown', 'one of the two that are listed alike lags');
  const hangs = 'ip=10.0.0.2,port=6380,state=online,offset=900,lag=50';
  assert.equal(
    says({ ...differs, primary: { slave0: hangs, slave1: served.slave0 } }),
    'broken broken',
    'one of before',
  );
  assert.equal(says({ replica: { master_replid: other } }), 'broken broken', 'silent on both sides');
  assert.equal(says({ replica: { role: 'master' }, primary: served }), 'broken healthy');
  assert.equal(says({ replica: { role: 'master' } }), 'broken broken');
  assert.equal(says({ replica: fresh }, { divergence: 'alert' }), 'one way only');
  assert.equal(says({ facts: { primary: unknown('gone') } }), '', 'nobody');
});

test('a Sentinel is yielded to', () => {
  const said = (flags: string) => known({ watches: true, said: [{ sentinel: 's', name: 'shop', flags }] }, 1);
  const none = known({ watches: false, said: [] }, 1);
  const silent = known({ watches: true, said: [] }, 1);
  assert.equal(sentinelVerdict(none, 'full-resync').is, 'allow');
  assert.equal(sentinelVerdict(unknown('x'), 'reconnect').is, 'unknown');
  assert.equal(sentinelVerdict(said('master'), 'full-resync').code, 'sentinel_owns');
  assert.equal(sentinelVerdict(silent, 'reconnect').code, 'sentinel_not_asked');
  assert.equal(sentinelVerdict(said('master'), 'reconnect').code, 'sentinel_calm');
  for (const flags of ['master,failover_in_progress', 's_down,master', 'master,o_down']) {
    assert.equal(sentinelVerdict(said(flags), 'reconnect').code, 'sentinel_at_work', flags);
  }
});
