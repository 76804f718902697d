// A primary and a replica of the swept actions: their settings, what they say of themselves, and how a life finds them.
import assert from 'node:assert/strict';
import { ports } from '../../deploy/lab/address.ts';
import type { RedisName } from '../../deploy/lab/redis.ts';
import { redisReleases, startRedis, type RedisLab } from '../../deploy/lab/redis-releases.ts';
import type { SceneLife, Way } from './sweep-scenes.ts';

export interface ReplicaPair {
  readonly lab: RedisLab;
  readonly info: (name: RedisName, field: string) => Promise<string>;
  /** What the replica was told since the last call, in order. */
  readonly said: () => Promise<readonly string[]>;
  readonly life: (way: Way, gatePort: number, doing: Pick<SceneLife, 'action' | 'params'>) => SceneLife;
}

export async function startReplicaPair(): Promise<ReplicaPair> {
  const [release] = redisReleases;
  assert.ok(release !== undefined);
  const all = [
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
    'slowlog-log-slower-than 0',
    'slowlog-max-len 100000',
  ];
  const lab = await startRedis(release, { redis: [...all, 'repl-ping-replica-period 1'], redisReplica: all });
  const host = lab.address;
  return {
    lab,
    info: async (name, field) => {
      const text = await lab.redis(name, (r) => r.info());
      return new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1] ?? '';
    },
    said: async () =>
      await lab.redis('redisReplica', async (r) => {
        const got = (await r.call('SLOWLOG', 'GET', '100000')) as readonly (readonly unknown[])[];
        await r.call('SLOWLOG', 'RESET');
        return got.map((entry) => (entry[3] as readonly string[]).join(' ')).reverse(); // it has the newest first
      }),
    life: (way, gatePort, doing) => ({
      ...doing,
      target: 'copy',
      inventory: {
        targets: [
          { name: 'nobody', kind: 'mysql', address: { host, port: 1 } },
          { name: 'cache', kind: 'redis', address: { host, port: ports.redis } },
          { name: 'copy', kind: 'redis', address: { host, port: way === 'past it' ? ports.redisReplica : gatePort } },
        ],
        pipelines: [{ name: 'p', objective: '10s', source: 'nobody', cache: { primary: 'cache', replicas: ['copy'] } }],
      },
      auth: {},
      supervisors: {},
    }),
  };
}
