import { z } from 'zod';
import { actionOf } from '../action.ts';
import type { World } from '../world.ts';
import { lookAt, type CdcBefore } from './cdc-service/look.ts';
import { restartSteps, soakLook } from './cdc-service/steps.ts';
import { restartParams } from './service/params.ts';

const params = z.strictObject(restartParams);

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
