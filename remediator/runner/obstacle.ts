// What may have come up since the claim: asked before every intent that begins something.
import { within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Policy } from '../guard.ts';
import { limited } from '../limited.ts';
import type { Run } from '../model.ts';
import type { RunContext } from './context.ts';

export interface Restraints {
  /** Those in force now: a mode that was lowered since stops a run. */
  readonly policies: () => readonly Policy[];
  /** Why nothing may be begun in this run: the switch, people at work, a policy that may do less. */
  readonly paused: (run: Run) => Promise<string | undefined>;
}

const lockAnswersMs = 5_000;

/** Why nothing may be begun now. What cannot be told is a reason too. */
export async function obstacleOf<W>(ctx: RunContext<W>, policy: string, deps: Restraints): Promise<string | undefined> {
  try {
    return await ask(ctx, policy, deps);
  } catch (error) {
    return `it cannot be told whether anything may be begun: ${messageOf(error)}`;
  }
}

async function ask<W>(ctx: RunContext<W>, policy: string, deps: Restraints): Promise<string | undefined> {
  const { run, action, clock } = ctx;
  const paused = await deps.paused(run);
  if (paused !== undefined) return paused;
  const mode = deps.policies().find((p) => p.name === policy)?.mode;
  if (mode === undefined || mode === 'observe') return `policy ${policy} no longer acts`;
  if (mode === 'approve' && ctx.byItself) return `policy ${policy} no longer acts by itself`;
  if (clock.nowMs() - run.claimedMs > action.longestMs) return 'the run has taken too long';
  if (action.lock === undefined) return undefined;
  if (ctx.lock === undefined) return 'the lock that others see is not held';
  const asking = ctx.lock.held(within(lockAnswersMs));
  const held = await limited(asking, lockAnswersMs, 'the lock', ctx.lease.lost);
  return held.is === 'yes' ? undefined : `the lock that others see is lost: ${held.because}`;
}
