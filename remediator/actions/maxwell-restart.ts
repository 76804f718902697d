import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import type { Before } from './maxwell/before.ts';
import { lockSource } from './maxwell/lock.ts';
import { lookAt } from './maxwell/look.ts';
import { snapshotText } from './maxwell/snapshot.ts';
import { restartSteps } from './maxwell/steps.ts';
import { soakLook } from './maxwell/verify.ts';
import { restartParams } from './service/params.ts';

const params = z.strictObject({
  /** The MySQL user that Maxwell logs in with: its connections that read the binary log are told apart by it. */
  mysqlUser: z.string().min(1).default('maxwell'),
  /** How long the source must have been up before a Maxwell that lost it is started. */
  sourceUpSeconds: z.int().min(0).max(3600).default(60),
  ...restartParams,
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
