// The silence of a link in doctor and in the alert: one definition, and the primary's own period reaches its replica.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from 'js-yaml';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { examineAll } from '../../../exporter/doctor.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { systems } from '../../../exporter/systems/index.ts';
import { silentSecondsOf } from '../../../exporter/systems/redis/facts-config.ts';
import { redisFixture } from '../../support/redis-replies.ts';

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly record?: string; readonly alert?: string; readonly expr: string }[];
  }[];
}

test('doctor and the alert RedisReplicationLinkSilent call the same silence too long', () => {
  const file = readFileSync(join(import.meta.dirname, '../../../rules/redis.rules.yml'), 'utf8');
  const rules = (load(file) as RuleFile).groups.flatMap((group) => group.rules);
  const record = rules.find((rule) => rule.record === 'pipemedic:redis_silent_seconds')?.expr ?? '';
  const alert = rules.find((rule) => rule.alert === 'RedisReplicationLinkSilent')?.expr ?? '';
  const [, periods, least] = /^clamp_min\(\s*(\d+) \* max by [^]*,\s*(\d+)\s*\)\s*$/.exec(record) ?? [];
  const [, unknown] = /redis_master_last_io_seconds_ago\) > (\d+)\s+unless/.exec(alert) ?? [];
  assert.equal(silentSecondsOf([1000]), 1000 * Number(periods));
  assert.equal(silentSecondsOf([60, 1000]), 1000 * Number(periods));
  assert.equal(silentSecondsOf([1]), Number(least));
  assert.equal(silentSecondsOf([]), Number(unknown));
});

/** Answers INFO and CONFIG GET, and refuses all else but PING. */
async function redisThatSays(info: string, settings: readonly string[]): Promise<Server> {
  const bulk = (text: string): string => `$${String(Buffer.byteLength(text))}\r\n${text}\r\n`;
  const answers: Readonly<Record<string, string>> = {
    info: bulk(info),
    ping: '+PONG\r\n',
    config: `*${String(settings.length)}\r\n${settings.map(bulk).join('')}`,
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = lengthOfCommand(text); end !== undefined; end = lengthOfCommand(text)) {
        const [, , name = ''] = text.split('\r\n');
        text = text.slice(end);
        socket.write(answers[name.toLowerCase()] ?? '-NOPERM not here\r\n');
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Of the first command, `*N`, then N times `$LENGTH` and the text; undefined while it is not whole. */
function lengthOfCommand(text: string): number | undefined {
  const count = /^\*(\d+)\r\n/.exec(text);
  if (count === null) return undefined;
  let at = count[0].length;
  for (let i = 0; i < Number(count[1]); i += 1) {
    const head = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (head === null) return undefined;
    at += head[0].length + Number(head[1]) + 2;
  }
  return at <= text.length ? at : undefined;
}

test('a replica of a primary that pings once a minute is not silent after 45 s, and is after three minutes', async () => {
  const findings: (readonly [boolean | 'unknown' | undefined, string | undefined])[] = [];
  const primary = await redisThatSays(redisFixture('info-7.0.15-primary.txt'), ['repl-ping-replica-period', '60']);
  try {
    for (const ago of [45, 181]) {
      const info = redisFixture('info-7.0.15-replica-up.txt').replace(
        /(master_last_io_seconds_ago):\d+/,
        `$1:${String(ago)}`,
      );
      // its own period is for replicas of its own
      const replica = await redisThatSays(info, ['repl-ping-replica-period', '10']);
      try {
        const at = (server: Server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
        const document = {
          targets: [
            { name: 'db', kind: 'mysql', address: { host: '127.0.0.1', port: 1 } },
            { name: 'first', kind: 'redis', address: at(primary) },
            { name: 'second', kind: 'redis', address: at(replica) },
          ],
          pipelines: [
            { name: 'shop', objective: '10s', source: 'db', cache: { primary: 'first', replicas: ['second'] } },
          ],
        };
        const inventory = inventoryOf(document, 'test.yml', systems);
        const reports = await examineAll(inventory, { clock: systemClock, deadlineMs: 15_000, betweenMs: 0 });
        const found = reports.find(({ target }) => target === 'second')?.findings ?? [];
        const role = found.find(({ check }) => check === 'redis_role');
        findings.push([role?.ok, /every (\d+) s/.exec(role?.text ?? '')?.[1]]);
      } finally {
        replica.close();
      }
    }
  } finally {
    primary.close();
  }
  assert.deepEqual(findings, [
    [true, undefined],
    [false, '60'],
  ]);
});
