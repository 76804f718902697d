import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
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
