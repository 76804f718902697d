// Settings that are served as numbers: each is asked for by name, because CONFIG GET * would bring passwords.
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';

type Asked = Pick<RedisClient, 'send'>;

/** A setting as written; undefined when the server does not know it. @throws TargetError */
export async function configText(client: Asked, call: Call, name: string): Promise<string | undefined> {
  const reply = await client.send(call, 'CONFIG', 'GET', name);
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'CONFIG GET: the reply is not a list');
  const [, value] = reply as readonly unknown[];
  return typeof value === 'string' ? value : undefined;
}

/** Sizes are told in bytes. @throws TargetError */
export async function configNumber(client: Asked, call: Call, name: string): Promise<number | undefined> {
  const text = await configText(client, call, name);
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined;
}

export interface OutputLimit {
  /** normal, slave or replica, pubsub */
  readonly class: string;
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

/** `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60` */
export function outputLimitsOf(text: string): readonly OutputLimit[] {
  const words = text.trim().split(/\s+/);
  const limits: OutputLimit[] = [];
  for (let i = 0; i + 3 < words.length; i += 4) {
    const [name = '', ...numbers] = words.slice(i, i + 4);
    const [hardBytes, softBytes, softSeconds] = numbers.map(Number);
    if ([hardBytes, softBytes, softSeconds].some((n) => n === undefined || !Number.isFinite(n))) continue;
    limits.push({
      class: name,
      hardBytes: hardBytes ?? 0,
      softBytes: softBytes ?? 0,
      softSeconds: softSeconds ?? 0,
    });
  }
  return limits;
}
