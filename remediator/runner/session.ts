// The session of a step: opened before its intent, closed when it is had too late.
import { pause, within } from '../../exporter/runtime/deadline.ts';
import type { Step, StepSession } from '../action.ts';
import { close, limited } from '../limited.ts';
import { leaveIfLost, stepRun, type RunContext } from './context.ts';
import { retakeLock } from './fence.ts';

/** Between two tries. */
const againMs = 250;

/**
 * What was half done would be left so without the session: then it is asked for again and again, with a lock that is
 * taken anew, for the session may be the lock's.
 * @param mayGiveUp nothing is half done
 */
export async function openSession<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  number: number,
  mayGiveUp: boolean,
): Promise<StepSession | undefined> {
  const endMs = ctx.clock.monoMs() + step.verifyMs;
  for (;;) {
    try {
      return await openOnce(ctx, step, before, number);
    } catch (error) {
      leaveIfLost(ctx);
      if (mayGiveUp || ctx.clock.monoMs() + againMs > endMs) throw error;
    }
    await pause(againMs, ctx.lease.lost).catch(() => undefined);
    await retakeLock(ctx, Math.max(endMs - ctx.clock.monoMs(), againMs));
  }
}

async function openOnce<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  number: number,
): Promise<StepSession | undefined> {
  const run = stepRun(ctx, step.name, before, number, within(step.deadlineMs));
  const opening = step.session?.(run);
  try {
    return await limited(opening ?? Promise.resolve(undefined), step.deadlineMs, 'the session', ctx.lease.lost);
  } catch (error) {
    // one that is open too late is closed, not left behind
    opening?.then((late) => close(late, 'the session of a step', ctx.log)).catch(() => undefined);
    throw error;
  }
}
