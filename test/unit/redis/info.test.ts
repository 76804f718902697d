import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { redisConfig } from '../../../exporter/systems/redis/collector-info-config.ts';
import { redisInfo } from '../../../exporter/systems/redis/collector-info.ts';
import { redisSlowlog } from '../../../exporter/systems/redis/collector-slowlog.ts';
import { outputLimitsOf } from '../../../exporter/systems/redis/facts-info-config.ts';
import { infoCounters, infoGauges } from '../../../exporter/systems/redis/facts-info-fields.ts';
import { infoNumber, redisInfoOf } from '../../../exporter/systems/redis/facts-info.ts';
import { play, player, redisFixture, repliesOf } from '../../support/redis-replies.ts';

const redis7 = redisFixture('info-all-redis-7.0.15-primary.txt');
const replies = repliesOf('replies-redis-7.0.15.json');

/** Values of the series that begin with the name. */
function of(series: ReadonlyMap<string, number>, name: string): Readonly<Record<string, number>> {
  return Object.fromEntries([...series].filter(([key]) => key === name || key.startsWith(`${name}{`)));
}

test('no name is there twice, and none is a gauge and a counter', () => {
  const all = [...Object.values(infoGauges), ...Object.values(infoCounters)];
  assert.equal(new Set(all).size, all.length);
  const both = Object.keys(infoGauges).filter((field) => Object.hasOwn(infoCounters, field));
  assert.deepEqual(both, []);
});

test('words and numbers of INFO become what redis_exporter makes of them; anything else is no number', () => {
  const cases = [
    ['ok', 1],
    ['true', 1],
    ['err', 0],
    ['fail', 0],
    ['false', 0],
    ['-1', -1],
    ['12.95', 12.95],
    ['1e3', 1000],
    ['', undefined],
    ['nan', undefined],
    ['-nan', undefined],
    ['inf', undefined],
    ['100.15%', undefined],
    ['0x10', undefined],
    ['10.2.1', undefined],
  ] as const;
  for (const [text, value] of cases) assert.equal(infoNumber(text), value, text);
});

test('Redis 7: fields, commands, errors and keys of one reply', async () => {
  const { series, sent } = await play(redisInfo, { info: redis7, replies });
  assert.deepEqual(sent, ['CONFIG GET databases']);
  assert.equal(series.get('redis_rdb_last_bgsave_status'), 1);
  assert.equal(series.get('redis_memory_max_bytes'), 0);
  assert.equal(series.get('redis_cluster_enabled'), 0);
  assert.equal(series.get('redis_expired_stale_percentage'), 0);
  assert.equal(series.get('redis_config_maxclients'), undefined);
  assert.equal(series.get('redis_max_clients'), 10_000);
  // those of replication are served by its own collector
  for (const name of ['redis_connected_slaves', 'redis_master_repl_offset', 'redis_replica_resyncs_full']) {
    assert.equal(series.has(name), false, name);
  }
  assert.deepEqual(of(series, 'redis_errors_total'), {
    'redis_errors_total{err="ERR"}': 3,
    'redis_errors_total{err="WRONGTYPE"}': 1,
  });
  assert.equal(series.get('redis_commands_total{cmd="lpush"}'), 1);
  assert.equal(series.get('redis_commands_failed_calls_total{cmd="lpush"}'), 1);
  assert.equal(series.get('redis_commands_rejected_calls_total{cmd="lpush"}'), 0);
  assert.equal(series.get('redis_commands_total{cmd="config|set"}'), 3);
  const usec = /^cmdstat_eval:calls=1,usec=(\d+),/m.exec(redis7)?.[1];
  assert.equal(series.get('redis_commands_duration_seconds_total{cmd="eval"}'), Number(usec) / 1e6);
  assert.equal(series.get('redis_latency_percentiles_usec_sum{cmd="eval"}'), Number(usec));
  assert.equal(series.get('redis_latency_percentiles_usec_count{cmd="eval"}'), 1);
  for (const quantile of ['50', '99', '99.9']) {
    assert.ok((series.get(`redis_latency_percentiles_usec{cmd="eval",quantile="${quantile}"}`) ?? 0) > 1_000);
  }
  assert.equal(series.get('redis_db_keys{db="db0"}'), 8);
  assert.equal(series.get('redis_db_keys_expiring{db="db0"}'), 1);
  assert.ok((series.get('redis_db_avg_ttl_seconds{db="db0"}') ?? 0) > 90);
  assert.equal(series.get('redis_db_keys{db="db3"}'), 1);
  assert.equal(series.get('redis_db_keys{db="db15"}'), 0);
  assert.equal(series.has('redis_db_keys{db="db16"}'), false);
  assert.equal(series.has('redis_db_avg_ttl_seconds{db="db15"}'), false);
});

test('microseconds of the last fork are served in seconds', async () => {
  const info = redis7.replace(/latest_fork_usec:\d+/, 'latest_fork_usec:1500');
  const { series } = await play(redisInfo, { info, replies });
  assert.equal(series.get('redis_latest_fork_seconds'), 0.0015);
});

test('Redis 8: keys with fields that expire; sizes of keys are no metric', async () => {
  const { series } = await play(redisInfo, { info: redisFixture('info-all-redis-8.0.6-primary.txt') });
  assert.equal(series.get('redis_db_keys_with_expiring_items{db="db0"}'), 0);
  assert.equal(series.has('redis_db_keys_cached{db="db0"}'), false);
  assert.equal(
    [...series.keys()].some((key) => key.includes('distrib')),
    false,
  );
  assert.ok(series.has('redis_eventloop_cycles_total'));
});

test('Valkey: its version is a label, its mode is under another name, and CLUSTER INFO within INFO is left alone', async () => {
  const one = await play(redisInfo, { info: redisFixture('info-all-valkey-9.1.2-primary.txt') });
  const [instance = ''] = Object.keys(of(one.series, 'redis_instance_info'));
  assert.match(instance, /redis_mode="standalone".*valkey_release_stage="ga",valkey_version="9\.1\.2"/);
  assert.equal(one.series.get('redis_db_keys_with_expiring_items{db="db0"}'), 0);
  const node = await play(redisInfo, { info: redisFixture('info-all-valkey-9.1.2-cluster.txt') });
  assert.equal(node.series.get('redis_cluster_enabled'), 1);
  assert.equal(node.series.has('redis_cluster_state'), false);
  assert.deepEqual(Object.keys(of(node.series, 'redis_db_keys')), ['redis_db_keys{db="db0"}']);
});

test('a Sentinel has no databases, and is not asked how many', async () => {
  for (const name of ['redis-7.0.15', 'redis-8.0.6', 'valkey-9.1.2']) {
    const { series, sent } = await play(redisInfo, { info: redisFixture(`info-all-${name}-sentinel.txt`) });
    assert.deepEqual(sent, [], name);
    assert.deepEqual(of(series, 'redis_db_keys'), {}, name);
    assert.match(Object.keys(of(series, 'redis_instance_info'))[0] ?? '', /redis_mode="sentinel"/, name);
  }
});

test('how many databases there are is asked once in the life of a server; 16 where that is refused', async () => {
  const asked = player(redisInfo, { info: redis7, replies: { 'primary CONFIG GET databases': ['databases', '4'] } });
  const first = await asked.run();
  assert.equal(Object.keys(of(first.series, 'redis_db_keys')).length, 4);
  assert.deepEqual((await asked.run()).sent, []);
  assert.deepEqual((await asked.run(redis7.replace(/run_id:\w+/, 'run_id:another'))).sent, ['CONFIG GET databases']);
  const { series } = await play(redisInfo, { info: redis7 });
  assert.equal(Object.keys(of(series, 'redis_db_keys')).length, 16);
});

test('a thousand databases are not listed', async () => {
  const { series } = await play(redisInfo, { info: redis7, replies: { 'primary CONFIG GET databases': ['databases', '1000'] } }); // prettier-ignore
  assert.equal(Object.keys(of(series, 'redis_db_keys')).length, 64);
});

test('commands and errors beyond the limit: those that occur most stay, the rest is counted', async () => {
  const errors = Array.from({ length: 30 }, (_, i) => `errorstat_E${String(i)}:count=${String(i)}`).join('\r\n');
  const info = redis7.replace('# Errorstats\r\n', `# Errorstats\r\n${errors}\r\n`);
  const { series } = await play(redisInfo, { info, config: { max_commands: 2, max_errors: 3 } });
  const all = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map((m) => Number(m[2])).sort((a, b) => b - a);
  assert.deepEqual(
    Object.values(of(series, 'redis_commands_total')).sort((a, b) => b - a),
    all.slice(0, 2),
  );
  assert.deepEqual(Object.keys(of(series, 'redis_errors_total')).sort(), [
    'redis_errors_total{err="E27"}',
    'redis_errors_total{err="E28"}',
    'redis_errors_total{err="E29"}',
  ]);
  assert.equal(series.get('redis_info_left_out{of="commands"}'), all.length - 2);
  assert.equal(series.get('redis_info_left_out{of="errors"}'), 29);
});

test('a server before 6.2 counts neither rejected nor failed calls, one before 3.2 has other commands', () => {
  const head = '# Server\r\nrun_id:x\r\nprocess_id:1\r\n';
  const { commands } = redisInfoOf(`${head}# Commandstats\r\ncmdstat_get:calls=21,usec=175,usec_per_call=8.33\r\n`);
  assert.deepEqual(commands, [
    {
      command: 'get',
      calls: 21,
      usec: 175,
      rejected: undefined,
      failed: undefined,
      slow: undefined,
      percentiles: new Map(),
    },
  ]);
});

test('lines that are not what they should be yield nothing', () => {
  const { commands, errors, keyspace } = redisInfoOf(
    [
      '# Server',
      'run_id:x',
      'process_id:1',
      'used_memory:many',
      '# Commandstats',
      'cmdstat_get:calls=ABC,usec=1',
      'cmdstat_set:',
      'other:calls=1,usec=1',
      '# Errorstats',
      'errorstat_ERR:count=x',
      'borked:count=4',
      '# Keyspace',
      'db0:keys=abcd,expires=0',
      'dbx:keys=1,expires=0',
      'db1:keys=1',
    ].join('\r\n'),
  );
  assert.deepEqual([commands, [...errors], [...(keyspace ?? [])]], [[], [], []]);
});

test('a hosted server that leaves out who it is is served all the same', async () => {
  const info = '# Server\r\nredis_version:6.2\r\nuptime_in_seconds:5\r\n# Keyspace\r\n';
  const { series, sent } = await play(redisInfo, { info, replies });
  assert.equal(series.get('redis_uptime_in_seconds'), 5);
  assert.deepEqual(sent, ['CONFIG GET databases']);
});

test('what is no INFO is refused', () => {
  for (const text of ['', 'ERR', '# Server\r\nredis_version:7\r\n']) {
    assert.throws(() => redisInfoOf(text), (error) => error instanceof TargetError && error.code === 'protocol'); // prettier-ignore
  }
});

test('settings: names and labels of redis_exporter', async () => {
  const { series, sent } = await play(redisConfig, { replies });
  assert.equal(series.get('redis_config_maxclients'), 10_000);
  assert.equal(series.get('redis_config_maxmemory'), 0);
  assert.equal(series.get('redis_config_io_threads'), 1);
  assert.equal(series.get('redis_config_repl_backlog_size'), 1_048_576);
  assert.deepEqual(of(series, 'redis_config_client_output_buffer_limit_bytes'), {
    'redis_config_client_output_buffer_limit_bytes{class="normal",limit="hard"}': 0,
    'redis_config_client_output_buffer_limit_bytes{class="normal",limit="soft"}': 0,
    'redis_config_client_output_buffer_limit_bytes{class="slave",limit="hard"}': 268_435_456,
    'redis_config_client_output_buffer_limit_bytes{class="slave",limit="soft"}': 67_108_864,
    'redis_config_client_output_buffer_limit_bytes{class="pubsub",limit="hard"}': 33_554_432,
    'redis_config_client_output_buffer_limit_bytes{class="pubsub",limit="soft"}': 8_388_608,
  });
  assert.equal(series.get('redis_config_client_output_buffer_limit_overcome_seconds{class="slave",limit="soft"}'), 60);
  assert.equal(series.get('redis_config_state{state="read"}'), 1);
  assert.ok(sent.every((words) => !words.includes('*') && !words.includes('pass')));
});

test('settings that may not be read: the state says so, and one command was tried', async () => {
  const { series, sent } = await play(redisConfig, {});
  assert.deepEqual(sent, ['CONFIG GET client-output-buffer-limit']);
  assert.deepEqual(
    [...series].filter(([, value]) => value === 1),
    [['redis_config_state{state="refused"}', 1]],
  );
  const renamed = await play(redisConfig, { server: 'sentinel', replies: { 'sentinel CONFIG GET client-output-buffer-limit': { error: "ERR unknown command 'CONFIG'" } } }); // prettier-ignore
  assert.equal(renamed.series.get('redis_config_state{state="refused"}'), 1);
});

test('a failure that is no refusal is one of the collector', async () => {
  const broken = { 'primary CONFIG GET client-output-buffer-limit': { error: 'ERR out of luck' } };
  await assert.rejects(play(redisConfig, { replies: broken }), /out of luck/);
  assert.equal(player(redisConfig, {}).unknown().series.get('redis_config_state{state="unknown"}'), 1);
});

test('limits that are written otherwise are left out', () => {
  assert.deepEqual(outputLimitsOf('normal 0 0'), []);
  assert.deepEqual(outputLimitsOf('normal a b c'), []);
  assert.equal(outputLimitsOf('replica 1 2 3')[0]?.class, 'replica');
});

test('slow log and latency', async () => {
  const { series } = await play(redisSlowlog, { replies });
  const [[id, , usec]] = replies['primary SLOWLOG GET 1'] as [[number, number, number]];
  assert.equal(series.get('redis_slowlog_length'), replies['primary SLOWLOG LEN']);
  assert.equal(series.get('redis_slowlog_last_id'), id);
  assert.equal(series.get('redis_last_slow_execution_duration_seconds'), usec / 1e6);
  const [[event, at, lastMs]] = replies['primary LATENCY LATEST'] as [[string, number, number]];
  assert.equal(series.get(`redis_latency_spike_last{event_name="${event}"}`), at);
  assert.equal(series.get(`redis_latency_spike_duration_seconds{event_name="${event}"}`), lastMs / 1e3);
  assert.equal(series.get('redis_slowlog_state{state="read"}'), 1);
});

test('an empty slow log is 0, as in redis_exporter; each of the two may be refused alone', async () => {
  const { series } = await play(redisSlowlog, { replies: { 'primary SLOWLOG LEN': 0, 'primary SLOWLOG GET 1': [] } });
  assert.equal(series.get('redis_slowlog_last_id'), 0);
  assert.equal(series.get('redis_last_slow_execution_duration_seconds'), 0);
  assert.equal(series.get('redis_slowlog_state{state="read"}'), 1);
  assert.equal(series.get('redis_latency_state{state="refused"}'), 1);
  const none = await play(redisSlowlog, { server: 'sentinel', replies });
  assert.equal(none.series.get('redis_slowlog_state{state="refused"}'), 1);
  assert.equal(none.series.has('redis_slowlog_length'), false);
});
