import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { redisAddress } from '../../../exporter/systems/redis/address.ts';
import {
  parseInfo,
  redisReplicationOf,
  StreamMemory,
  type RedisReplication,
} from '../../../exporter/systems/redis/facts-replication.ts';

/** As Redis 7.0.15 wrote it; addresses, paths and kernel made plain. */
function captured(name: string): string {
  return readFileSync(join(import.meta.dirname, 'fixtures', `info-7.0.15-${name}.txt`), 'utf8');
}

function factsOf(text: string, memory?: StreamMemory, monoMs = 0): RedisReplication {
  return redisReplicationOf(parseInfo(text), { nowMs: 1_000, monoMs, host: '127.0.0.1', memory });
}

test('a primary with one replica', () => {
  const facts = factsOf(captured('primary'));
  assert.equal(facts.role, 'primary');
  assert.equal(facts.state, 'primary');
  assert.equal(facts.offset, 65_413);
  assert.equal(facts.replId.length, 40);
  assert.equal(facts.replId2, undefined);
  assert.equal(facts.secondReplOffset, undefined);
  assert.deepEqual(facts.backlog, { active: true, sizeBytes: 16_777_216, firstByteOffset: 1, historyBytes: 65_413 });
  assert.equal(facts.server.version, '7.0.15');
  assert.equal(facts.server.port, 16_379);
  assert.equal(facts.server.host, '127.0.0.1');
  assert.deepEqual(facts.server.keys, { known: true, value: 500, observedAtMs: 1_000 });
  assert.equal(facts.link, undefined);
  assert.deepEqual(
    facts.replicas.map(({ ip, port, state, offset, behindBytes, backlogHeadroomBytes, lag }) => ({
      ip,
      port,
      state,
      offset,
      behindBytes,
      backlogHeadroomBytes,
      lag, // prettier-ignore
    })),
    [
      {
        ip: '127.0.0.1',
        port: '16380',
        state: 'online',
        offset: 65_413,
        behindBytes: { known: true, value: 0, observedAtMs: 1_000 },
        backlogHeadroomBytes: { known: true, value: 16_777_216, observedAtMs: 1_000 },
        lag: { known: true, value: { seconds: 0, atLeast: false }, observedAtMs: 1_000 },
      },
    ],
  );
});

test('a replica whose link is up', () => {
  const facts = factsOf(captured('replica-up'));
  assert.equal(facts.role, 'replica');
  assert.equal(facts.state, 'replica_up');
  assert.deepEqual(facts.link, {
    host: '127.0.0.1',
    port: '16389',
    up: true,
    lastIoSecondsAgo: facts.link?.lastIoSecondsAgo,
    syncInProgress: false,
    offset: 65_413,
    readOffset: 65_413,
    downSinceSeconds: undefined,
    readOnly: true,
  });
  assert.ok((facts.link.lastIoSecondsAgo ?? -1) >= 0);
});

test('a replica whose link is down: -1 is kept, and since when it is down is known', () => {
  const { state, link } = factsOf(captured('replica-down'));
  assert.equal(state, 'replica_down');
  assert.equal(link?.up, false);
  assert.equal(link.lastIoSecondsAgo, -1);
  assert.equal(link.downSinceSeconds, 2);
});

test('a replica that never was connected: since when is not known', () => {
  const text = captured('replica-down').replace(
    'master_link_down_since_seconds:2',
    'master_link_down_since_seconds:-1',
  );
  assert.equal(factsOf(text).link?.downSinceSeconds, undefined);
});

test('a replica that is being copied anew', () => {
  const text = captured('replica-down').replace('master_sync_in_progress:0', 'master_sync_in_progress:1');
  assert.equal(factsOf(text).state, 'replica_syncing');
});

test('a server that loads: a primary is unknown, a replica is syncing, and its offset goes into no history', () => {
  const loading = (name: string): string => captured(name).replace('loading:0', 'loading:1');
  const memory = new StreamMemory();
  const primary = factsOf(loading('primary'), memory);
  assert.equal(primary.state, 'unknown');
  assert.match(primary.why ?? '', /loading/);
  assert.equal(memory.of(primary.replId).ageAt(0, 0), undefined);
  assert.equal(factsOf(loading('replica-down')).state, 'replica_syncing');
});

test('bytes behind and headroom come from the offsets of the same reply', () => {
  const text = captured('primary').replace('state=online,offset=65413', 'state=online,offset=60413');
  const [replica] = factsOf(text).replicas;
  assert.deepEqual(replica?.behindBytes, { known: true, value: 5_000, observedAtMs: 1_000 });
  assert.deepEqual(replica.backlogHeadroomBytes, { known: true, value: 16_777_216 - 5_000, observedAtMs: 1_000 });
});

test('a replica further behind than the backlog reaches has less than no headroom', () => {
  const text = captured('primary')
    .replace('state=online,offset=65413', 'state=online,offset=100')
    .replace('repl_backlog_first_byte_offset:1', 'repl_backlog_first_byte_offset:1001');
  assert.deepEqual(factsOf(text).replicas[0]?.backlogHeadroomBytes, {
    known: true,
    value: -900,
    observedAtMs: 1_000,
  });
});

// The last one: it loads the copy that it was sent, and has not acknowledged anything
for (const state of ['wait_bgsave', 'send_bulk', 'online']) {
  test(`a replica in ${state} says offset 0 and lag 0: both are unknown`, () => {
    const text = captured('primary').replace('state=online,offset=65413,lag=1', `state=${state},offset=0,lag=0`);
    const [replica] = factsOf(text).replicas;
    assert.equal(replica?.behindBytes.known, false);
    assert.equal(replica.backlogHeadroomBytes.known, false);
    assert.equal(replica.lag.known, false);
  });
}

test('no replica, no backlog: nothing is made up', () => {
  const facts = factsOf(captured('primary-alone'));
  assert.deepEqual(facts.replicas, []);
  const none = captured('primary').replace('repl_backlog_active:1', 'repl_backlog_active:0');
  assert.equal(factsOf(none).replicas[0]?.backlogHeadroomBytes.known, false);
});

test('lag in seconds: from when the stream passed the offset that the replica has acknowledged', () => {
  const memory = new StreamMemory();
  const at = (end: number, acknowledged: number): string =>
    captured('primary')
      .replace('master_repl_offset:65413', `master_repl_offset:${end}`)
      .replace('state=online,offset=65413', `state=online,offset=${acknowledged}`);
  // The first look can say nothing about what was written before it
  assert.equal(factsOf(at(1_000, 400), memory, 0).replicas[0]?.lag.known, false);
  factsOf(at(2_000, 400), memory, 10_000);
  const lagOf = (facts: RedisReplication): unknown => {
    const lag = facts.replicas[0]?.lag;
    return lag?.known === true ? lag.value : lag;
  };
  assert.deepEqual(lagOf(factsOf(at(3_000, 400), memory, 20_000)), { seconds: 20, atLeast: true });
  assert.deepEqual(lagOf(factsOf(at(3_000, 1_500), memory, 20_000)), { seconds: 15, atLeast: false });
  assert.deepEqual(lagOf(factsOf(at(3_000, 3_000), memory, 20_000)), { seconds: 0, atLeast: false });
});

test('another replication id is another stream: its history begins anew', () => {
  const memory = new StreamMemory();
  const first = captured('primary');
  const id = /master_replid:(\w+)/.exec(first)?.[1] ?? '';
  factsOf(first.replace('master_repl_offset:65413', 'master_repl_offset:60000'), memory, 0);
  const other = first.replace(id, 'f'.repeat(40)).replace('state=online,offset=65413', 'state=online,offset=61000');
  assert.equal(factsOf(other, memory, 10_000).replicas[0]?.lag.known, false);
});

test('the id of before a failover, and up to where it is valid', () => {
  const text = captured('primary')
    .replace(`master_replid2:${'0'.repeat(40)}`, `master_replid2:${'a'.repeat(40)}`)
    .replace('second_repl_offset:-1', 'second_repl_offset:500');
  const facts = factsOf(text);
  assert.equal(facts.replId2, 'a'.repeat(40));
  assert.equal(facts.secondReplOffset, 500);
});

test('a reply without a role is no Redis', () => {
  assert.throws(
    () => factsOf('# Server\r\nredis_version:7.0.15\r\n'),
    (error) => error instanceof TargetError && error.code === 'protocol',
  );
});

test('addresses', () => {
  assert.ok(redisAddress.safeParse({ host: 'redis-1', port: 6380 }).success);
  assert.ok(redisAddress.safeParse({ host: 'redis-1' }).success);
  assert.ok(redisAddress.safeParse({ socket: '/run/redis.sock' }).success);
  for (const wrong of [{}, { host: 'a', socket: '/s' }, { socket: '/s', port: 1 }, { socket: 's' }, { host: 'u@h' }]) {
    assert.equal(redisAddress.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});
