import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisCluster } from '../../../exporter/systems/redis/collector-cluster.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { redisSentinel } from '../../../exporter/systems/redis/collector-sentinel.ts';
import { examineGroup } from '../../../exporter/systems/redis/facts-doctor-group.ts';
import { play, playedClient, player, redisFixture, repliesOf, type Replies } from '../../support/redis-replies.ts';

const info = redisFixture('info-all-redis-7.0.15-sentinel.txt');
const replies = repliesOf('replies-redis-7.0.15.json');
const shop = '{master_address="127.0.0.1:16379",master_name="shop"}';
const gone = '{master_address="127.0.0.1:1",master_name="gone"}';

/** A flat list of names and values. */
function node(flags: string): string[] {
  return ['name', 'x', 'flags', flags];
}

async function sentinel(changes: Replies = {}, text = info): Promise<ReadonlyMap<string, number>> {
  return (await play(redisSentinel, { info: text, server: 'sentinel', replies: { ...replies, ...changes } })).series;
}

test('what a Sentinel says, under the names of redis_exporter', async () => {
  const series = await sentinel();
  assert.equal(series.get('redis_sentinel_masters'), 2);
  assert.equal(series.get('redis_sentinel_tilt'), 0);
  assert.equal(series.get('redis_sentinel_running_scripts'), 0);
  assert.equal(series.get(`redis_sentinel_master_status{master_address="127.0.0.1:16379",master_name="shop",master_status="ok"}`), 1); // prettier-ignore
  assert.equal(series.get(`redis_sentinel_master_status{master_address="127.0.0.1:1",master_name="gone",master_status="sdown"}`), 0); // prettier-ignore
  assert.equal(series.get(`redis_sentinel_master_slaves${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_sentinels${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_ok_slaves${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_ok_sentinels${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_ok_slaves${gone}`), 0);
  assert.equal(series.get(`redis_sentinel_master_setting_ckquorum${gone}`), 2);
  assert.equal(series.get(`redis_sentinel_master_setting_failover_timeout${shop}`), 180_000);
  assert.equal(series.get(`redis_sentinel_master_setting_parallel_syncs${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_setting_down_after_milliseconds${shop}`), 60_000);
  assert.equal(series.get(`redis_sentinel_master_config_epoch${shop}`), 0);
  const [master] = replies['sentinel SENTINEL MASTERS'] as [string[]];
  const pingMs = Number(master[master.indexOf('last-ok-ping-reply') + 1]);
  assert.equal(series.get(`redis_sentinel_master_last_ok_ping_reply_seconds${shop}`), pingMs / 1e3);
  const quorum = [...series].filter(([key]) => key.startsWith('redis_sentinel_master_ckquorum_status'));
  assert.deepEqual(quorum, [
    ['redis_sentinel_master_ckquorum_status{master_name="shop",message="OK 1 usable Sentinels. Quorum and failover authorization can be reached"}', 1],
    ['redis_sentinel_master_ckquorum_status{master_name="gone",message="NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master"}', 0],
  ]); // prettier-ignore
  assert.equal(series.get('redis_sentinel_state{state="read"}'), 1);
});

test('those that are down are not counted as ok', async () => {
  const series = await sentinel({
    'sentinel SENTINEL SLAVES shop': [
      node('slave'),
      node('s_down,slave,disconnected'),
      node('slave,o_down'),
      ['name', 'y'],
    ],
    'sentinel SENTINEL SENTINELS shop': [node('sentinel'), node('sentinel,s_down')],
  });
  assert.equal(series.get(`redis_sentinel_master_ok_slaves${shop}`), 1);
  assert.equal(series.get(`redis_sentinel_master_ok_sentinels${shop}`), 2);
});

test('Sentinels of Redis 8 and of Valkey', async () => {
  for (const name of ['redis-8.0.6', 'valkey-9.1.2']) {
    const series = await sentinel({}, redisFixture(`info-all-${name}-sentinel.txt`));
    assert.equal(series.get('redis_sentinel_masters'), 2, name);
    assert.equal(series.get('redis_sentinel_state{state="read"}'), 1, name);
  }
});

test('what this user may not ask has no sample; INFO alone says much', async () => {
  const refused = { error: "NOPERM User watcher has no permissions to run the 'sentinel|masters' command" };
  const none = await sentinel({ 'sentinel SENTINEL MASTERS': refused });
  assert.equal(none.get('redis_sentinel_state{state="refused"}'), 1);
  assert.equal(none.get(`redis_sentinel_master_slaves${shop}`), 1);
  assert.equal(none.has(`redis_sentinel_master_ok_slaves${shop}`), false);
  const some = await sentinel({ 'sentinel SENTINEL SLAVES shop': refused, 'sentinel SENTINEL CKQUORUM shop': refused });
  assert.equal(some.get('redis_sentinel_state{state="read"}'), 1);
  assert.equal(some.has(`redis_sentinel_master_ok_slaves${shop}`), false);
  assert.equal(
    [...some.keys()].some((key) => key.includes('ckquorum_status{master_name="shop"')),
    false,
  );
  assert.equal(some.get(`redis_sentinel_master_ok_sentinels${shop}`), 1);
});

test('a target that is no Sentinel is asked nothing, and one that cannot be reached is unknown', async () => {
  const other = await play(redisSentinel, { info: redisFixture('info-all-redis-7.0.15-primary.txt') });
  assert.deepEqual(other.sent, []);
  assert.deepEqual(
    [...other.series].filter(([, v]) => v === 1),
    [['redis_sentinel_state{state="no_sentinel"}', 1]],
  );
  assert.equal(player(redisSentinel, {}).unknown().series.get('redis_sentinel_state{state="unknown"}'), 1);
});

test('a reply that makes no sense is a failure', async () => {
  await assert.rejects(sentinel({ 'sentinel SENTINEL MASTERS': 'OK' }), /not a list/);
  await assert.rejects(sentinel({ 'sentinel SENTINEL CKQUORUM shop': { error: 'ERR No such master' } }), /No such master/); // prettier-ignore
});

test('a node of a cluster: CLUSTER INFO, all gauges; other fields under their own names', async () => {
  const text = redisFixture('info-all-redis-7.0.15-cluster.txt');
  const { series } = await play(redisCluster, {
    info: text,
    server: 'cluster',
    replies: {
      'cluster CLUSTER INFO':
        'cluster_enabled:1\r\ncluster_state:fail\r\ncluster_slots_fail:5461\r\ncluster_stats_messages_sent:12\r\ncluster_stats_messages_ping_sent:7\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\ncluster_word:x\r\n',
    },
  });
  assert.deepEqual(Object.fromEntries([...series].filter(([key]) => !key.includes('info_state'))), {
    redis_cluster_state: 0,
    redis_cluster_slots_fail: 5_461,
    redis_cluster_messages_sent_total: 12,
    redis_cluster_stats_messages_ping_sent: 7,
  });
  const whole = await play(redisCluster, { info: text, server: 'cluster', replies });
  assert.equal(whole.series.get('redis_cluster_state'), 1);
  assert.equal(whole.series.get('redis_cluster_slots_assigned'), 16_384);
});

test('no cluster, and one that may not be asked', async () => {
  const none = await play(redisCluster, { info: redisFixture('info-all-redis-7.0.15-primary.txt') });
  assert.deepEqual(none.sent, []);
  assert.equal(none.series.get('redis_cluster_info_state{state="no_cluster"}'), 1);
  const refused = await play(redisCluster, { info: redisFixture('info-all-redis-7.0.15-cluster.txt') });
  assert.equal(refused.series.get('redis_cluster_info_state{state="refused"}'), 1);
  assert.equal(refused.series.has('redis_cluster_state'), false);
  assert.equal(player(redisCluster, {}).unknown().series.get('redis_cluster_info_state{state="unknown"}'), 1);
});

/** What doctor finds, check by check; `!` in front of what is wrong. */
async function found(text: string, server: string, of: Replies = replies): Promise<readonly string[]> {
  const call = { signal: new AbortController().signal, clock: systemClock };
  const findings = await examineGroup(playedClient({ info: text, server, replies: of }), call);
  for (const { ok, fix } of findings) assert.equal(fix === undefined, ok !== false);
  return findings.map(({ check, ok }) => `${ok === true ? '' : ok === false ? '!' : '?'}${check}`);
}

test('doctor: each primary of a Sentinel, and whether it could be failed over', async () => {
  assert.deepEqual(await found(info, 'sentinel'), [
    'redis_sentinel_master_status',
    'redis_sentinel_master_ckquorum_status',
    '!redis_sentinel_master_status',
    '!redis_sentinel_master_ckquorum_status',
  ]);
  const [tilt, , quorum] = await found(info.replace('sentinel_tilt:0', 'sentinel_tilt:1'), 'sentinel', {});
  assert.deepEqual([tilt, quorum], ['!redis_sentinel_tilt', '?redis_sentinel_master_ckquorum_status']);
});

test('doctor: what is kept on disk, and the cluster', async () => {
  const text = redisFixture('info-all-redis-7.0.15-cluster.txt');
  const disk = ['redis_rdb_last_bgsave_status', 'redis_aof_last_write_status', 'redis_aof_last_bgrewrite_status'];
  assert.deepEqual(await found(text, 'cluster'), [...disk, 'redis_cluster_state']);
  assert.equal((await found(text, 'cluster', {})).at(-1), '?redis_cluster_state');
  const down = { 'cluster CLUSTER INFO': 'cluster_state:fail\r\ncluster_slots_assigned:10000\r\n' };
  assert.equal((await found(text, 'cluster', down)).at(-1), '!redis_cluster_state');
  const failed = redisFixture('info-all-redis-7.0.15-primary.txt').replace('rdb_last_bgsave_status:ok', 'rdb_last_bgsave_status:err'); // prettier-ignore
  assert.deepEqual(await found(failed, 'primary'), [`!${disk[0] ?? ''}`, ...disk.slice(1)]);
});
