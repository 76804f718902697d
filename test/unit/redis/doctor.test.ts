import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import type { Peers } from '../../../exporter/collector.ts';
import type { FactKey } from '../../../exporter/facts.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import { redisPingPeriodFact } from '../../../exporter/systems/redis/facts-config.ts';
import { examineGroup } from '../../../exporter/systems/redis/facts-doctor-group.ts';
import { examineRedis } from '../../../exporter/systems/redis/facts-doctor.ts';

test('doctor: a user without INFO is told what to grant, and nothing else', async () => {
  const why = "INFO: NOPERM this user has no permissions to run the 'info' command";
  const client: RedisClient = {
    host: '127.0.0.1',
    logFile: undefined,
    logTail: (open) => open(),
    user: 'lim',
    info: () => Promise.reject(new TargetError('denied', why)),
    commands: new Map([['info', { state: 'denied', why, askedAtMs: 0 }]]),
    send: () => Promise.reject(new TargetError('denied', why)),
    ping: () => Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const call = { clock: systemClock, signal: new AbortController().signal };
  const findings = [...(await examineRedis(client, call)), ...(await examineGroup(client, call))];
  assert.deepEqual(
    findings.map(({ check, fix }) => [check, fix]),
    [['redis_command_info', 'ACL SETUSER lim +info']],
  );
});

/** Nothing but what INFO says. */
function serverThatSays(info: string): RedisClient {
  return {
    host: '127.0.0.1',
    logFile: undefined,
    logTail: (open) => open(),
    user: undefined,
    info: () => Promise.resolve(info),
    commands: new Map(),
    send: () => Promise.reject(new TargetError('denied', 'not asked here')),
    ping: () => Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

for (const [what, aheadMs, ok] of [
  ['right', 0, true],
  ['a minute ahead', 60_000, false],
  ['a minute behind', -60_000, false],
  ['not told', undefined, 'unknown'],
] as const) {
  test(`doctor: the server's clock is ${what}`, async () => {
    const time = aheadMs === undefined ? '' : `server_time_usec:${String((Date.now() + aheadMs) * 1000)}\r\n`;
    const info = `# Server\r\nredis_version:7.0.15\r\nrun_id:${'a'.repeat(40)}\r\n${time}# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_replid:${'b'.repeat(40)}\r\nmaster_repl_offset:0\r\nrepl_backlog_active:0\r\n`;
    const client = serverThatSays(info);
    const call = { clock: systemClock, signal: new AbortController().signal };
    const clock = (await examineRedis(client, call, false)).find(({ check }) => check === 'redis_clock');
    assert.equal(clock?.ok, ok);
    if (ok === false) assert.match(clock.fix ?? '', /^synchronise the clocks/);
  });
}

function replicaInfo(link: string): string {
  return `# Server\r\nredis_version:7.0.15\r\nrun_id:${'a'.repeat(40)}\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:${link}\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:1\r\nconnected_slaves:0\r\nmaster_replid:${'b'.repeat(40)}\r\nmaster_repl_offset:1\r\nrepl_backlog_active:1\r\n`;
}

for (const [link, ok, fix] of [
  ['up\r\nmaster_last_io_seconds_ago:10', true, /^$/],
  ['up\r\nmaster_last_io_seconds_ago:45', false, /^CLIENT KILL TYPE master/],
  ['down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_link_down_since_seconds:62', false, /^its log says why/],
] as const) {
  test(`doctor: a replica whose link is ${link.replaceAll('\r\n', ', ')}`, async () => {
    const client = serverThatSays(replicaInfo(link));
    const call = { clock: systemClock, signal: new AbortController().signal };
    const role = (await examineRedis(client, call, false)).find(({ check }) => check === 'redis_role');
    assert.equal(role?.ok, ok);
    assert.match(role.fix ?? '', fix);
  });
}

/** Primaries by name, with the period that each is known to have. */
function primaries(periods: Readonly<Record<string, number | undefined>>): Peers {
  return {
    sources: Object.keys(periods),
    fact: <T>(target: string, key: FactKey<T>): Promise<Known<T>> => {
      const period = key.name === redisPingPeriodFact.name ? periods[target] : undefined;
      return Promise.resolve(period === undefined ? unknown('not read') : (known(period, 0) as Known<T>));
    },
  };
}

for (const [silent, periods, ok, text] of [
  [45, { p: 60 }, true, /replica_up/],
  [180, { p: 60 }, true, /replica_up/],
  [181, { p: 60 }, false, /silent for 181 s; its primary sends a PING every 60 s$/],
  [29, { p: 2 }, true, /replica_up/], // three pings are over: 30 s are waited for all the same
  [31, { p: 2 }, false, /every 2 s$/],
  [45, { p: 2, q: 60 }, true, /replica_up/],
  [
    31,
    { p: undefined },
    false,
    /every 10 s unless its repl-ping-replica-period says otherwise, which is not known here$/,
  ],
  [31, {}, false, /not known here$/],
] as const) {
  test(`doctor: a link silent for ${String(silent)} s, pings every ${JSON.stringify(periods)}`, async () => {
    const client = serverThatSays(replicaInfo(`up\r\nmaster_last_io_seconds_ago:${String(silent)}`));
    const call = { clock: systemClock, signal: new AbortController().signal };
    const found = await examineRedis(client, call, false, primaries(periods));
    const role = found.find(({ check }) => check === 'redis_role');
    assert.equal(role?.ok, ok);
    assert.match(role.text, text);
  });
}
