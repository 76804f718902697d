// Redis primary and replica.
import { Redis } from 'ioredis';
import { ports } from './address.ts';
import { fileIn, folderIn, program, type LabContext } from './context.ts';
import { ProcessPart } from './processes.ts';

export type RedisName = 'redis' | 'redisReplica';

export interface RedisOptions {
  /** Another server than the machine's own. */
  readonly server?: string;
  /** Lines of its configuration, after the lab's own: the last one of a name counts. */
  readonly settings?: readonly string[];
}

export function redisPart(lab: LabContext, name: RedisName, options: RedisOptions = {}): ProcessPart {
  const { server = program('redis-server'), settings = [] } = options;
  const port = ports[name];
  const lines = [
    `bind ${lab.address}`,
    `port ${port}`,
    'protected-mode no',
    'daemonize no',
    `dir ${folderIn(lab, name)}`,
    'save ""',
    'appendonly no',
    'repl-diskless-sync no',
    'repl-backlog-size 16mb',
    'tcp-keepalive 60',
    'client-output-buffer-limit replica 512mb 128mb 60',
    ...(name === 'redisReplica'
      ? [`replicaof ${lab.address} ${ports.redisReplicaToRedis}`, `replica-announce-ip ${lab.address}`]
      : []),
    ...settings,
  ];
  const file = fileIn(lab, `${name}.conf`, `${lines.join('\n')}\n`);
  return new ProcessPart(lab, {
    name,
    argv: [server, file],
    ready: async (signal) => {
      const info = await withRedis(lab, name, (redis) => redis.info('replication'), signal);
      return name === 'redis' || info.includes('master_link_status:up');
    },
  });
}

/** Runs `use` on a connection of its own, which ends with it. */
export async function withRedis<T>(
  lab: Pick<LabContext, 'address'>,
  name: RedisName,
  use: (redis: Redis) => Promise<T>,
  signal: AbortSignal = AbortSignal.timeout(10_000),
): Promise<T> {
  const redis = new Redis({
    host: lab.address,
    port: ports[name],
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 5_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  redis.on('error', () => undefined); // the command that fails says so
  const abort = (): void => {
    redis.disconnect();
  };
  signal.addEventListener('abort', abort);
  try {
    await redis.connect();
    return await use(redis);
  } finally {
    signal.removeEventListener('abort', abort);
    redis.disconnect();
  }
}
