import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import {
  checkConfig,
  configOptions,
  pingPeriodSeconds,
  readSettings,
  recommended,
  wantedOf,
  type ConfigCheck,
  type ConfigFinding,
  type NoSettings,
  type Settings,
} from '../../../exporter/systems/redis/facts-config.ts';
import {
  parseInfo,
  redisReplicationOf,
  type RedisReplication,
} from '../../../exporter/systems/redis/facts-replication.ts';

type Fields = Readonly<Record<string, string>>;

function facts(name: string, changes: Fields = {}): RedisReplication {
  const text = readFileSync(join(import.meta.dirname, 'fixtures', `info-7.0.15-${name}.txt`), 'utf8');
  const fields = new Map([...parseInfo(text), ...Object.entries(changes)]);
  return redisReplicationOf(fields, { nowMs: 0, monoMs: 0 });
}

const good: Readonly<Record<string, string>> = {
  'repl-timeout': '60',
  'tcp-keepalive': '60',
  'client-output-buffer-limit': 'normal 0 0 0 slave 536870912 134217728 60 pubsub 33554432 8388608 60',
  'replica-serve-stale-data': 'yes',
  'replica-ignore-maxmemory': 'yes',
  'min-replicas-to-write': '0',
  'min-replicas-max-lag': '10',
  save: '3600 1',
};
const settings = (changes: Fields = {}): Settings => new Map(Object.entries({ ...good, ...changes }));

function check(
  of: RedisReplication,
  given: Settings | NoSettings,
  rate?: number,
): Readonly<Record<ConfigCheck, ConfigFinding>> {
  return checkConfig(of, given, rate, recommended);
}

const defaults = {
  'client-output-buffer-limit': 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
};
const cases: readonly (readonly [string, ConfigCheck, ConfigFinding['state'], RedisReplication, Settings, number?])[] =
  [
    ['16 MiB of backlog', 'backlog_size', 'ok', facts('primary'), settings()],
    ['1 MiB of backlog', 'backlog_size', 'wrong', facts('primary', { repl_backlog_size: '1048576' }), settings()],
    ['16 MiB are 16 seconds at this rate', 'backlog_size', 'wrong', facts('primary'), settings(), 1_048_576],
    ['a replica needs one as well', 'backlog_size', 'wrong', facts('replica-up', { repl_backlog_size: '1048576' }), settings()], // prettier-ignore
    ['60 s', 'repl_timeout', 'ok', facts('primary'), settings()],
    ['10 s', 'repl_timeout', 'wrong', facts('primary'), settings({ 'repl-timeout': '10' })],
    ['an hour', 'repl_timeout', 'wrong', facts('replica-up'), settings({ 'repl-timeout': '3600' })],
    ['no probes', 'tcp_keepalive', 'wrong', facts('primary'), settings({ 'tcp-keepalive': '0' })],
    ['5 minutes', 'tcp_keepalive', 'wrong', facts('primary'), settings({ 'tcp-keepalive': '300' })],
    ['the defaults of Redis', 'replica_output_buffer', 'wrong', facts('primary'), settings(defaults)],
    ['no limit', 'replica_output_buffer', 'ok', facts('primary'), settings({ 'client-output-buffer-limit': 'slave 0 0 0' })], // prettier-ignore
    ['less than the backlog', 'replica_output_buffer', 'wrong', facts('primary', { repl_backlog_size: '1073741824' }), settings()], // prettier-ignore
    ['takes no writes', 'replica_read_only', 'ok', facts('replica-up'), settings()],
    ['takes writes', 'replica_read_only', 'wrong', facts('replica-up', { slave_read_only: '0' }), settings()],
    ['a primary', 'replica_read_only', 'not_applicable', facts('primary'), settings()],
    ['refuses reads', 'replica_serve_stale_data', 'wrong', facts('replica-up'), settings({ 'replica-serve-stale-data': 'no' })], // prettier-ignore
    ['no limit of memory', 'replica_evicts', 'ok', facts('replica-up'), settings({ 'replica-ignore-maxmemory': 'no' })],
    ['evicts on its own', 'replica_evicts', 'wrong', facts('replica-up', { maxmemory: '1000', maxmemory_policy: 'allkeys-lru' }), settings({ 'replica-ignore-maxmemory': 'no' })], // prettier-ignore
    ['leaves it to its primary', 'replica_evicts', 'ok', facts('replica-up', { maxmemory: '1000', maxmemory_policy: 'allkeys-lru' }), settings()], // prettier-ignore
    ['none wanted', 'min_replicas', 'not_applicable', facts('primary'), settings()],
    ['enough', 'min_replicas', 'ok', facts('primary', { min_slaves_good_slaves: '1' }), settings({ 'min-replicas-to-write': '1' })], // prettier-ignore
    ['refuses writes', 'min_replicas', 'wrong', facts('primary', { min_slaves_good_slaves: '0' }), settings({ 'min-replicas-to-write': '1' })], // prettier-ignore
    [
      'a field that is not there',
      'min_replicas',
      'unknown',
      facts('primary'),
      settings({ 'min-replicas-to-write': '1' }),
    ],
    ['saves', 'empty_restart', 'ok', facts('primary'), settings()],
    ['keeps nothing', 'empty_restart', 'wrong', facts('primary'), settings({ save: '' })],
    ['appends', 'empty_restart', 'ok', facts('primary', { aof_enabled: '1' }), settings({ save: '' })],
    [
      'no replica to empty',
      'empty_restart',
      'not_applicable',
      facts('primary-alone', { repl_backlog_active: '0' }),
      settings({ save: '' }),
    ],
    ['a replica is copied anew', 'empty_restart', 'not_applicable', facts('replica-up'), settings({ save: '' })],
  ];
for (const [what, name, wanted, of, given, rate] of cases) {
  test(`${name}, ${what}: ${wanted}`, () => {
    const found = check(of, given, rate)[name];
    assert.equal(found.state, wanted, found.text);
    if (wanted === 'wrong') assert.notEqual(found.fix, undefined);
  });
}

test('options: other limits, and what is so on purpose', () => {
  const wanted = wantedOf(configOptions.parse({ min_backlog_bytes: 33_554_432, ignore: ['empty_restart'] }));
  const found = checkConfig(facts('primary'), settings({ save: '' }), undefined, wanted);
  assert.equal(found.backlog_size.state, 'wrong');
  assert.equal(found.empty_restart.state, 'not_applicable');
  assert.equal(configOptions.safeParse({ ignore: ['nonsense'] }).success, false);
});

test('without CONFIG GET, what INFO tells is known, and the rest says why it is not', () => {
  const denied = check(facts('primary'), { state: 'denied', why: 'NOPERM' });
  assert.equal(denied.backlog_size.state, 'ok');
  assert.deepEqual(denied.repl_timeout, { state: 'denied', text: 'NOPERM' });
  assert.equal(denied.empty_restart.state, 'denied');
  assert.equal(check(facts('primary', { aof_enabled: '1' }), { state: 'missing', why: '' }).empty_restart.state, 'ok');
  const none = check(facts('primary'), new Map());
  assert.equal(none.repl_timeout.state, 'unknown');
  assert.equal(none.replica_output_buffer.state, 'unknown');
});

test('the period of the pings: as told, and not known where nothing is told', () => {
  assert.equal(pingPeriodSeconds(settings({ 'repl-ping-replica-period': '60' })), 60);
  assert.equal(pingPeriodSeconds(settings({ 'repl-ping-replica-period': '' })), undefined);
  assert.equal(pingPeriodSeconds(new Map()), undefined);
  assert.equal(pingPeriodSeconds({ state: 'denied', why: 'NOPERM' }), undefined);
});

function clientOf(send: (names: readonly string[]) => unknown): RedisClient {
  return {
    send: (_call: unknown, ...[, , ...names]: string[]) => Promise.resolve(send(names)),
  } as unknown as RedisClient;
}
const call = { signal: AbortSignal.timeout(20_000), clock: { wallMs: () => 0, monoMs: () => 0 } };

test('one command where it takes several names, one each before 7.0; only what is needed, never a password', async () => {
  for (const [version, commands] of [
    ['7.0.15', 1],
    ['9.1.2', 1],
    ['6.2.6', 9],
  ] as const) {
    // prettier-ignore
    const asked: (readonly string[])[] = [];
    const found = await readSettings(
      clientOf((names) => {
        asked.push(names);
        return names.flatMap((name) => [name, good[name] ?? '']);
      }),
      call,
      version,
    );
    assert.equal(asked.length, commands, version);
    assert.equal((found as Settings).get('repl-timeout'), '60');
    assert.equal(
      asked.flat().some((name) => /pass|auth|\*/.test(name)),
      false,
    );
  }
});

test('a refusal is a fact; any other failure is not', async () => {
  const failing = (error: TargetError): RedisClient =>
    clientOf(() => {
      throw error;
    });
  const denied = await readSettings(failing(new TargetError('denied', 'NOPERM')), call, '7.0.0');
  assert.deepEqual(denied, { state: 'denied', why: 'NOPERM' });
  const missing = await readSettings(failing(new TargetError('unsupported', 'ERR unknown')), call, '7.0.0');
  assert.deepEqual(missing, { state: 'missing', why: 'ERR unknown' });
  await assert.rejects(readSettings(failing(new TargetError('deadline', 'late')), call, '7.0.0'));
});
