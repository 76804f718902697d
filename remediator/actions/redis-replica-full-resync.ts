import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import { snapshotOf } from './redis/before.ts';
import { lookAtData } from './redis/resync-look.ts';
import { resyncSteps } from './redis/resync-steps.ts';
import { endSessions } from './redis/session.ts';
import { soakLink } from './redis/verify.ts';

const params = z.strictObject({
  /** A link that counts as up and has heard nothing for this long is silent; a primary sends a PING every 10 s. */
  silentSeconds: z.int().min(2).max(3600).default(20),
  /** `visible`: only where the numbers of keys differ, or a full copy is the only way. `alert`: the alert is believed. */
  divergence: z.enum(['visible', 'alert']).default('visible'),
  /** The part of the keys by which both sides must differ to count as different. */
  divergenceShare: z.number().min(0).max(1).default(0.01),
  /** How long its primary must have been up. */
  primaryUpSeconds: z.int().min(0).max(86_400).default(300),
  /** The part of its memory that the primary may need again while its child lives. */
  copyOnWriteShare: z.number().min(0).max(1).default(0.5),
  /** Allow it for the only replica that a primary has. */
  lastReplica: z.boolean().default(false),
  /** A person has seen that there is room for the file of a copy. */
  diskConfirmed: z.boolean().default(false),
  /** Within this the copy must have arrived, and the stream flow. */
  copySeconds: z.int().min(10).max(10_800).default(1_800),
});

// No lock that others see: a replica takes no key (READONLY), and one on the primary would be in the stream.
export const redisReplicaFullResync = actionOf<World>()({
  name: 'redis.replica.full-resync',
  help: 'Has a replica copied anew from its primary, all of it. What the replica has and its primary has not, is lost.',
  kinds: ['redis'],
  // what is thrown away does not come back
  highestMode: 'approve',
  longestMs: 4 * 3_600_000,
  params,
  look: lookAtData,
  fence: (target, _params, world, sessions, signal) => endSessions(target, world, sessions, signal),
  snapshot: snapshotOf,
  steps: resyncSteps,
  soak: (target, { silentSeconds }, world, run) => soakLink(target, silentSeconds, world, run),
});
