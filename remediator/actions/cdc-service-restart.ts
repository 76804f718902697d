import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import { lookAt, type CdcBefore } from './cdc-service/look.ts';
import { restartSteps, soakLook } from './cdc-service/steps.ts';

const params = z.strictObject({
  /** How long it gets to end in order. The call must fit into a lease. */
  stopSeconds: z.int().min(1).max(20).default(15),
  /** One that was started less than this ago is left alone: somebody has just started it. */
  startingSeconds: z.int().min(0).max(3600).default(60),
  /** How long the new incarnation must live before its data is looked at. */
  startStableSeconds: z.int().min(1).max(120).default(10),
  /** Within this the data must be seen to move. */
  verifySeconds: z.int().min(5).max(600).default(90),
  /** When its memory is full: its threads, and its heap where twice its size is free, into the folder of the run. */
  threadDump: z.boolean().default(true),
  heapDump: z.boolean().default(true),
});

/** Not for Debezium: under Kafka Connect the worker is not its own, and a failed task is restarted by Connect's API. */
export const cdcServiceRestart = actionOf<World>()({
  name: 'cdc-service.restart',
  help: 'Starts a CDC service that has died, or stops and starts one that lives and stands still, and sees its data move.',
  kinds: ['cdc-service'],
  params,
  look: lookAt,
  snapshot: (before: CdcBefore) => ({
    name: 'cdc-service-state.json',
    text: `${JSON.stringify(before.seen, undefined, 2)}\n`,
  }),
  steps: restartSteps,
  soak: soakLook,
});
