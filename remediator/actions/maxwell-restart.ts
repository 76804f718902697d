import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import type { Before } from './maxwell/before.ts';
import { lockSource } from './maxwell/lock.ts';
import { lookAt } from './maxwell/look.ts';
import { snapshotText } from './maxwell/snapshot.ts';
import { restartSteps } from './maxwell/steps.ts';
import { soakLook } from './maxwell/verify.ts';

const params = z.strictObject({
  /** The MySQL user that Maxwell logs in with: its connections that read the binary log are told apart by it. */
  mysqlUser: z.string().min(1).default('maxwell'),
  /** How long the source must have been up before a Maxwell that lost it is started. */
  sourceUpSeconds: z.int().min(0).max(3600).default(60),
  /** How long it gets to end in order; seen: 2.6 s. The call must fit into a lease. */
  stopSeconds: z.int().min(1).max(20).default(15),
  /** One that was started less than this ago is left alone: somebody has just started it. */
  startingSeconds: z.int().min(0).max(3600).default(60),
  /** How long the new incarnation must live before its data is looked at; a lost position shows after 3 s. */
  startStableSeconds: z.int().min(1).max(120).default(10),
  /** Within this the data must be seen to move; an idle Maxwell writes a heartbeat every 10 s. */
  verifySeconds: z.int().min(5).max(600).default(90),
  /** When its memory is full: its threads, and its heap where twice its size is free, into the folder of the run. */
  threadDump: z.boolean().default(true),
  heapDump: z.boolean().default(true),
});

export const maxwellRestart = actionOf<World>()({
  name: 'maxwell.restart',
  help: 'Starts a Maxwell that has died, or stops and starts one that lives and stands still, and sees its data move.',
  kinds: ['maxwell'],
  params,
  look: lookAt,
  lock: (target, _params, world, signal) => lockSource(target, world, signal),
  snapshot: (before: Before) => ({ name: 'maxwell-state.sql', text: snapshotText(before.snapshot) }),
  steps: restartSteps,
  soak: soakLook,
});
