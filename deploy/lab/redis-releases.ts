// A Redis primary and its replica alone, of the machine's own Redis or of a newer one that setup-unstable.sh has found,
// with the ports and the breakable link of the whole lab. The log of a part is what `part(name).log()` gives.
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { claimAddress, ports } from './address.ts';
import { cacheFolder, program, secretsIn, type LabContext } from './context.ts';
import type { Lab } from './lab.ts';
import { startReaper, type Part, type ProcessPart } from './processes.ts';
import { redisPart, withRedis, type RedisName } from './redis.ts';
import { TcpProxy } from './tcp-proxy.ts';

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

export interface RedisLab extends AsyncDisposable, Pick<Lab, 'address' | 'dir' | 'secretFile' | 'secret' | 'stop'> {
  part(name: RedisName): Part & Pick<ProcessPart, 'logFile'>;
  readonly link: TcpProxy;
  redis<T>(name: RedisName, use: (redis: Redis) => Promise<T>): Promise<T>;
}

/** @param settings lines of configuration, by server */
export async function startRedis(
  release: RedisRelease,
  settings: Partial<Record<RedisName, readonly string[]>> = {},
): Promise<RedisLab> {
  const claim = await claimAddress();
  const { address } = claim;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-lab-'));
  const reaper = startReaper(dir);
  const to = { host: address, port: ports.redis };
  const link = new TcpProxy({ name: 'redisReplica->redis', host: address, port: ports.redisReplicaToRedis, to });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= reaper.end().finally(() => {
      link.close();
      claim.release();
    });
    return stopping;
  };
  try {
    mkdirSync(join(dir, 'logs'), { mode: 0o700 });
    const lab: LabContext = { dir, address, reaper, ...secretsIn(dir) };
    const server = release.server();
    const parts = {
      redis: redisPart(lab, 'redis', { server, settings: settings.redis ?? [] }),
      redisReplica: redisPart(lab, 'redisReplica', { server, settings: settings.redisReplica ?? [] }),
    };
    await link.open();
    await parts.redis.start();
    await parts.redisReplica.start();
    return {
      address,
      dir,
      link,
      part: (name) => parts[name],
      redis: (name, use) => withRedis(lab, name, use),
      secret: lab.secret,
      secretFile: lab.secretFile,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
