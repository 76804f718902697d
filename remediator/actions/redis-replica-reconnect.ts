import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import { snapshotOf } from './redis/before.ts';
import { lookAtLink } from './redis/reconnect-look.ts';
import { reconnectSteps } from './redis/reconnect-steps.ts';
import { soakLink } from './redis/verify.ts';

const params = z.strictObject({
  /** A link that counts as up and has heard nothing for this long is silent; a primary sends a PING every 10 s. */
  silentSeconds: z.int().min(2).max(3600).default(20),
  /** The part of the primary's backlog that must be left: less, and the reconnect may end in a full copy. */
  backlogShare: z.number().min(0).max(1).default(0.1),
  /** Within this the stream must be seen to flow; an idle primary sends a PING every 10 s. */
  verifySeconds: z.int().min(5).max(600).default(60),
});

// No lock that others see: a replica takes no key (READONLY), and one on the primary would be in the stream.
export const redisReplicaReconnect = actionOf<World>()({
  name: 'redis.replica.reconnect',
  help: 'Ends the silent connection of a replica to its primary, where it can go on without a full copy.',
  kinds: ['redis'],
  params,
  look: lookAtLink,
  snapshot: snapshotOf,
  steps: reconnectSteps,
  soak: (target, { silentSeconds }, world, run) => soakLink(target, silentSeconds, world, run),
});
