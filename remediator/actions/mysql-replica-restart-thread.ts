import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import type { Before } from './mysql/before.ts';
import { lookAt } from './mysql/look.ts';
import { endSessions, lockReplica } from './mysql/session.ts';
import { restartSteps } from './mysql/steps.ts';
import { soakLook } from './mysql/verify.ts';

/** MySQL allows 64 characters, MariaDB as many: what is longer is no name of a channel. */
const channelName = z
  .string()
  .max(64)
  .regex(/^[^\p{Cc}]*$/u, 'no control characters');

const params = z.strictObject({
  /** `auto`: the one that does not run; both: the receiver first. The applier is never stopped. */
  thread: z.enum(['io', 'sql', 'auto']).default('auto'),
  /** MySQL's channel, from the alert's label channel_name. Without it the only one, or the default one. */
  channel: channelName.optional(),
  /** MariaDB's named connection, from the alert's label connection_name. */
  connection: channelName.optional(),
  /** A receiver that connects, or hears nothing, for less long is left to the server's own retries. */
  stuckSeconds: z.int().min(1).max(86_400).default(60),
  /** A thread that was stopped without an error is started again after this; left out: never. */
  resumeCleanStopSeconds: z.int().min(1).max(604_800).optional(),
  /** How long the thread must run without an error before its data is looked at. */
  stableSeconds: z.int().min(1).max(120).default(5),
  /** Within this the data must be seen to move. */
  verifySeconds: z.int().min(5).max(600).default(90),
});

export const mysqlReplicaRestartThread = actionOf<World>()({
  name: 'mysql.replica.restart-thread',
  help: 'Starts a replication thread that has stopped for a passing reason, or stops and starts a receiver that is stuck, and sees its data move.',
  kinds: ['mysql'],
  objectLabels: { channel: 'channel_name', connection: 'connection_name' },
  params,
  look: (target, given, world, signal) =>
    lookAt(
      target,
      {
        thread: given.thread,
        channel: given.channel,
        connection: given.connection,
        stuckSeconds: given.stuckSeconds,
        resumeCleanStopSeconds: given.resumeCleanStopSeconds,
      },
      world,
      signal,
    ),
  lock: (target, _params, world, signal) => lockReplica(target, world, signal),
  fence: (target, _params, world, sessions, signal) => endSessions(target, world, sessions, signal),
  snapshot: (before: Before) => ({
    name: 'replication.json',
    text: `${JSON.stringify({ undo: undoOf(before), before }, undefined, 2)}\n`,
  }),
  steps: restartSteps,
  soak: (target, _params, world, run) => soakLook(target, world, run),
});

/** A start has no other undo than a stop, and a stop none but a start. */
function undoOf({ thread, mustStop, channel }: Before): string {
  const what = `${thread === 'io' ? 'the receiver' : 'the applier'} of ${channel === '' ? 'the default channel' : channel}`;
  return mustStop ? `${what} ran before and was stuck` : `${what} was stopped before`;
}
