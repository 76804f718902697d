import type { Guard } from '../guard.ts';
import { activeRun } from './active-run.ts';
import { alert } from './alert.ts';
import { alreadyFixed } from './already-fixed.ts';
import { budget } from './budget.ts';
import { clock } from './clock.ts';
import { cooldown } from './cooldown.ts';
import { dependency } from './dependency.ts';
import { evidence } from './evidence.ts';
import { identity } from './identity.ts';
import { killSwitch } from './switch.ts';
import { latch } from './latch.ts';
import { mode } from './mode.ts';
import { preconditions } from './preconditions.ts';

/** In the order of the trace: cheap and absolute ones first. */
export const guards: readonly Guard[] = [
  clock,
  killSwitch,
  mode,
  identity,
  alert,
  latch,
  dependency,
  evidence,
  alreadyFixed,
  preconditions,
  activeRun,
  cooldown,
  budget,
];
