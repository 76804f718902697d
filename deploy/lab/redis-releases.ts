// A Redis primary and its replica alone, of the machine's own Redis or of a newer one that setup-unstable.sh has found,
// with the ports and the breakable link of the whole lab. The log of a part is what `part(name).log()` gives.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { startBareLab, type BareLab } from './bare.ts';
import { cacheFolder, program } from './context.ts';
import type { Part, ProcessPart } from './processes.ts';
import { redisPart, withRedis, type RedisName } from './redis.ts';
import type { TcpProxy } from './tcp-proxy.ts';

export interface RedisRelease {
  readonly name: string;
  readonly server: () => string;
  /** Why this machine has none, for `test(…, { skip })`; false when it has. */
  readonly missing: () => string | false;
}

function unstable(name: string, folder: string): RedisRelease {
  const server = (): string => join(cacheFolder(), 'debian-unstable', folder, 'bin', `${folder}-server`);
  const none = `no ${name} on this machine: deploy/lab/setup.sh says why`;
  return { name, server, missing: () => (existsSync(server()) ? false : none) };
}

/** The machine's own comes first. */
export const redisReleases: readonly RedisRelease[] = [
  { name: 'Redis 7', server: () => program('redis-server'), missing: () => false },
  unstable('Redis 8', 'redis'),
  unstable('Valkey', 'valkey'),
];

export interface RedisLab extends BareLab {
  part(name: RedisName): Part & Pick<ProcessPart, 'logFile'>;
  readonly link: TcpProxy;
  redis<T>(name: RedisName, use: (redis: Redis) => Promise<T>): Promise<T>;
}

/** @param settings lines of configuration, by server */
export async function startRedis(
  release: RedisRelease,
  settings: Partial<Record<RedisName, readonly string[]>> = {},
): Promise<RedisLab> {
  const between = { name: 'redisReplica->redis', port: 'redisReplicaToRedis', to: 'redis' } as const;
  return startBareLab(between, async (lab, link) => {
    const server = release.server();
    const parts = {
      redis: redisPart(lab, 'redis', { server, settings: settings.redis ?? [] }),
      redisReplica: redisPart(lab, 'redisReplica', { server, settings: settings.redisReplica ?? [] }),
    };
    await parts.redis.start();
    await parts.redisReplica.start();
    return {
      link,
      part: (name) => parts[name],
      redis: (name, use) => withRedis(lab, name, use),
    } satisfies Omit<RedisLab, keyof BareLab>;
  });
}
