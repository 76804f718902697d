import type { Action } from '../action.ts';
import type { World } from '../world.ts';
import { maxwellRestart } from './maxwell-restart.ts';

/** The registry: one line per action. */
export const actions: readonly Action<World>[] = [maxwellRestart];
