// The slow log and the latency monitor: https://redis.io/docs/latest/commands/slowlog-get/ and latency-latest/
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';

type Asked = Pick<RedisClient, 'send'>;

export interface SlowLog {
  readonly length: number;
  /** Of the newest entry; 0 and 0 s when there is none, as redis_exporter has it. */
  readonly lastId: number;
  readonly lastSeconds: number;
}

/** @throws TargetError */
export async function readSlowLog(client: Asked, call: Call): Promise<SlowLog> {
  const [length, newest] = await Promise.all([
    client.send(call, 'SLOWLOG', 'LEN'),
    client.send(call, 'SLOWLOG', 'GET', '1'),
  ]);
  if (typeof length !== 'number' || !Array.isArray(newest)) {
    throw new TargetError('protocol', 'SLOWLOG: the reply is not what it should be');
  }
  const [entry] = newest as readonly unknown[];
  if (!Array.isArray(entry)) return { length, lastId: 0, lastSeconds: 0 };
  // id, when, microseconds, command, client
  const [id, , usec] = entry as readonly unknown[];
  return { length, lastId: Number(id), lastSeconds: Number(usec) / 1e6 };
}

export interface LatencySpike {
  readonly event: string;
  readonly atSeconds: number;
  readonly seconds: number;
}

/** Of each event the last; none while latency-monitor-threshold is 0, as it is by default. @throws TargetError */
export async function readLatencySpikes(client: Asked, call: Call): Promise<readonly LatencySpike[]> {
  const reply = await client.send(call, 'LATENCY', 'LATEST');
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'LATENCY LATEST: the reply is not a list');
  return reply.flatMap((item: unknown) => {
    if (!Array.isArray(item)) return [];
    // event, when, last, greatest (milliseconds)
    const [event, at, lastMs] = item as readonly unknown[];
    if (typeof event !== 'string' || typeof at !== 'number' || typeof lastMs !== 'number') return [];
    return [{ event, atSeconds: at, seconds: lastMs / 1e3 }];
  });
}
