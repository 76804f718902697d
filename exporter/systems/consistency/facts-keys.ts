// What a key holds, as a short text that is the same on a true copy. Large values are compared in part, and said to be.
import { createHash } from 'node:crypto';
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from '../redis/client.ts';

export interface KeyDigest {
  /** Type, whether it expires, and a hash of what it holds. */
  readonly text: string;
  readonly isPartial: boolean;
}

/** Longer texts are compared by length, head and tail. */
const wholeBytes = 64 * 1024;
const partBytes = 4 * 1024;
/** Larger collections are compared by their number of members. */
const wholeMembers = 512;

/** What an ACL has to allow, on both sides; RANDOMKEY on the primary only. */
export const keyCommands =
  '+info +randomkey +type +pttl +strlen +get +getrange +bitcount +hlen +hgetall +llen +lrange +scard +smembers +zcard +zrange +xlen +xrevrange';

/** Undefined: there is no such key, or it changed its type meanwhile. @throws TargetError */
export async function readDigest(client: RedisClient, key: string, call: Call): Promise<KeyDigest | undefined> {
  const type = String(await client.send(call, 'TYPE', key));
  if (type === 'none') return undefined;
  const ttl = Number(await client.send(call, 'PTTL', key));
  if (ttl === -2) return undefined;
  try {
    const held = await contentOf(client, key, type, call);
    const text = `${type} ${ttl === -1 ? 'stays' : 'expires'} ${held.text}`;
    return { text, isPartial: held.isPartial };
  } catch (error) {
    if (error instanceof TargetError && error.message.includes('WRONGTYPE')) return undefined;
    throw error;
  }
}

async function contentOf(client: RedisClient, key: string, type: string, call: Call): Promise<KeyDigest> {
  const send = (command: string, ...args: readonly string[]): Promise<unknown> =>
    client.send(call, command, key, ...args);
  switch (type) {
    case 'string':
      return stringDigest(send);
    case 'hash':
      return collection(Number(await send('HLEN')), async () => pairs(await send('HGETALL')));
    case 'list':
      return collection(Number(await send('LLEN')), async () => texts(await send('LRANGE', '0', '-1')));
    case 'set':
      return collection(Number(await send('SCARD')), async () => texts(await send('SMEMBERS')).sort());
    case 'zset':
      return collection(Number(await send('ZCARD')), async () => texts(await send('ZRANGE', '0', '-1', 'WITHSCORES')));
    case 'stream': {
      const length = Number(await send('XLEN'));
      const last = await send('XREVRANGE', '+', '-', 'COUNT', '1');
      return { text: `${String(length)} ${hash(JSON.stringify(last))}`, isPartial: length > 1 };
    }
    default:
      return { text: '', isPartial: true }; // of a module: its type is all that is compared
  }
}

async function stringDigest(
  send: (command: string, ...args: readonly string[]) => Promise<unknown>,
): Promise<KeyDigest> {
  const length = Number(await send('STRLEN'));
  if (length <= wholeBytes) {
    // Bytes that are no text read alike: the count of their bits does not
    const [text, bits] = [await send('GET'), await send('BITCOUNT')];
    return { text: `${String(length)} ${String(bits)} ${hash(String(text))}`, isPartial: false };
  }
  const head = await send('GETRANGE', '0', String(partBytes - 1));
  const tail = await send('GETRANGE', String(-partBytes), '-1');
  return { text: `${String(length)} ${hash(JSON.stringify([head, tail]))}`, isPartial: true };
}

async function collection(length: number, read: () => Promise<readonly string[]>): Promise<KeyDigest> {
  if (length > wholeMembers) return { text: String(length), isPartial: true };
  return { text: `${String(length)} ${hash(JSON.stringify(await read()))}`, isPartial: false };
}

function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

/** A hash has no order. */
function pairs(reply: unknown): string[] {
  const flat = texts(reply);
  const found: string[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) found.push(JSON.stringify([flat[i], flat[i + 1]]));
  return found.sort();
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** What INFO says of the stream of changes. */
export interface StreamPlace {
  readonly replid: string;
  readonly offset: number;
  /** Of a replica; undefined for a primary. */
  readonly isLinkUp: boolean | undefined;
}

/** @throws TargetError */
export async function readStreamPlace(client: RedisClient, call: Call): Promise<StreamPlace> {
  const info = await client.send(call, 'INFO', 'replication');
  if (typeof info !== 'string') throw new TargetError('protocol', 'INFO: the reply is not a text');
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const isReplica = field('role') === 'slave';
  return {
    replid: field('master_replid') ?? '',
    offset: Number((isReplica ? field('slave_repl_offset') : field('master_repl_offset')) ?? NaN),
    isLinkUp: isReplica ? field('master_link_status') === 'up' : undefined,
  };
}
