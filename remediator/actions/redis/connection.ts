// Connections of one use. The exporter's client is already what a mutation needs (no pool, no reconnect, no queue while
// offline, no replay, no retry); here each use gets its own, so that a late call cannot find another one.
import type { Call } from '../../../exporter/collector.ts';
import { messageOf, TargetError } from '../../../exporter/runtime/errors.ts';
import type { Opening } from '../../../exporter/system.ts';
import { redisAddress, type RedisAddress } from '../../../exporter/systems/redis/address.ts';
import { openRedis, type RedisClient } from '../../../exporter/systems/redis/client.ts';
import type { Applied } from '../../action.ts';
import type { World } from '../../world.ts';
import { grantFor } from './acl.ts';

/** What of the world these actions use. */
export type RedisWorld = Pick<World, 'clock' | 'opening' | 'inventory'>;

export function openingOf(world: RedisWorld, target: string): Opening<RedisAddress> {
  return world.opening(target, (address) => redisAddress.parse(address));
}

/** @throws TargetError */
export async function withRedis<T>(
  world: RedisWorld,
  target: string,
  signal: AbortSignal,
  use: (client: RedisClient, call: Call) => Promise<T>,
): Promise<T> {
  const call: Call = { signal, clock: world.clock };
  await using client = await openRedis(openingOf(world, target), call);
  return await use(client, call);
}

/**
 * Refused only when the server has said so in an error reply: the command was not carried out. No answer in time, or a
 * connection that ended, leaves it open.
 */
export function failureOf(error: unknown, command: string, user: string | undefined): Applied {
  const because = messageOf(error);
  if (!isErrorReply(error)) return { is: 'unknown', because };
  if (error.code !== 'denied') return { is: 'refused', code: 'refused', because };
  return { is: 'refused', code: 'not_permitted', because: `${because}. ${grantFor(command, user)}` };
}

/** The client keeps no cause of an error reply (it would carry a password), and one of everything else that has a code. */
function isErrorReply(error: unknown): error is TargetError {
  return (
    error instanceof TargetError &&
    error.cause === undefined &&
    (error.code === 'denied' || error.code === 'auth' || error.code === 'unsupported' || error.code === 'failed') &&
    /: -?[A-Z]{2,} ?/.test(error.message)
  );
}
