import type { Guard } from '../guard.ts';
import { activeRun } from './active-run.ts';
import { alert } from './alert.ts';
import { alreadyFixed } from './already-fixed.ts';
import { approval } from './approval.ts';
import { budget } from './budget.ts';
import { clock } from './clock.ts';
import { cooldown } from './cooldown.ts';
import { dependency } from './dependency.ts';
import { evidence } from './evidence.ts';
import { identity } from './identity.ts';
import { killSwitch } from './switch.ts';
import { latch } from './latch.ts';
import { maintenance } from './maintenance.ts';
import { mode } from './mode.ts';
import { owner } from './owner.ts';
import { preconditions } from './preconditions.ts';
import { progress } from './progress.ts';
import { relapse } from './relapse.ts';
import { self } from './self.ts';
import { storm } from './storm.ts';

/** In the order of the trace: cheap and absolute ones first; what only a person can give last. */
export const guards: readonly Guard[] = [
  clock,
  killSwitch,
  self,
  mode,
  identity,
  alert,
  latch,
  maintenance,
  owner,
  storm,
  dependency,
  evidence,
  alreadyFixed,
  preconditions,
  activeRun,
  cooldown,
  relapse,
  progress,
  budget,
  approval,
];
