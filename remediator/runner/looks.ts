// What is seen of a step: its probe before the call, its verification after it, and what follows from them.
import { pause, within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Checked, Probe, Step } from '../action.ts';
import { limited } from '../limited.ts';
import { Abandoned, append, entryData, leaveIfLost, stepRun, type RunContext, type StepResult } from './context.ts';
import { lastReached } from './journal.ts';

export const ok: StepResult = { is: 'ok' };
/** Between two looks while the answer is not known yet. */
const lookAgainMs = 250;

export function unknowable(step: Step<unknown>, because: string): StepResult {
  return {
    is: 'over',
    end: {
      outcome: 'outcome_unknown',
      because: `${step.name}: ${because}`,
      latch: `what ${step.name} did cannot be known: ${because}`,
    },
  };
}

/** @param calledAlready it was called, and its answer is not known: worth a longer look than what may still be left alone */
export async function probeUntilKnown<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  calledAlready = false,
): Promise<Probe> {
  const beganMs = ctx.clock.monoMs();
  const unknownEndMs = beganMs + (calledAlready ? calledMs(step) : step.verifyMs);
  for (;;) {
    let probe: Probe;
    try {
      const limitMs = lookLimitMs(step, unknownEndMs - ctx.clock.monoMs());
      const run = stepRun(ctx, step.name, before, 0, within(limitMs));
      probe = await limited(step.probe(run), limitMs, step.name, ctx.lease.lost);
    } catch (error) {
      probe = { is: 'unknown', because: messageOf(error) };
    }
    leaveIfLost(ctx);
    if (probe.is !== 'unknown' && (probe.is !== 'partial' || step.resumesPartial === true)) return probe;
    const endMs = probe.is === 'unknown' ? unknownEndMs : beganMs + step.verifyMs;
    if (ctx.clock.monoMs() + lookAgainMs > endMs) return probe;
    await pause(lookAgainMs, ctx.lease.lost).catch(() => undefined);
  }
}

/** What was called is looked at for longer than what may still be left alone. */
function calledMs({ apply, verifyMs, answeredMs = 0 }: Step<unknown>): number {
  return apply === undefined ? verifyMs : Math.max(verifyMs, answeredMs);
}

/** One look that hangs leaves time for others. */
function lookLimitMs({ verifyMs }: Step<unknown>, leftMs: number): number {
  return Math.max(Math.min(verifyMs, leftMs), lookAgainMs);
}

/** The postcondition of a step; of a step that only looks, the step itself. */
export async function check<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  number: number,
): Promise<StepResult | undefined> {
  const endMs = ctx.clock.monoMs() + calledMs(step);
  let seen: Checked;
  let why: string | undefined;
  for (;;) {
    const limitMs = lookLimitMs(step, endMs - ctx.clock.monoMs());
    const run = stepRun(ctx, step.name, before, number, within(limitMs));
    const waiting = atSafePoint(ctx) ? AbortSignal.any([run.signal, ctx.draining]) : run.signal;
    try {
      seen = await limited(step.verify({ ...run, signal: waiting }), limitMs, step.name, ctx.lease.lost);
      why = seen.because;
    } catch (error) {
      // an answer says more than that there was no time for another one
      seen = { is: 'unknown', because: why ?? messageOf(error) };
    }
    leaveIfLost(ctx);
    if (seen.is !== 'unknown') break;
    if (ctx.draining.aborted && atSafePoint(ctx)) throw new Abandoned('the program ends');
    if (ctx.clock.monoMs() + lookAgainMs > endMs) break;
    await pause(lookAgainMs, ctx.lease.lost).catch(() => undefined);
  }
  await append(ctx, {
    kind: 'verify',
    step: step.name,
    attempt: number,
    outcome: seen.is,
    data: entryData(seen.because, seen.data),
  });
  if (seen.is === 'yes') return ok;
  const because = `${step.name}: ${seen.because}`;
  if (seen.never !== undefined) return { is: 'failed', because, never: seen.never };
  if (step.apply === undefined) return { is: 'failed', because };
  if (seen.is === 'unknown') return unknowable(step, seen.because);
  return undefined; // another attempt, if one is left
}

/** Nothing was changed yet, or what was reached last left the target in a state that may stay. */
export function atSafePoint<W>(ctx: RunContext<W>): boolean {
  const last = lastReached(ctx.entries);
  if (last === undefined) return true;
  const step = allSteps(ctx.steps).find((s) => s.name === last);
  return step?.safePointAfter ?? false;
}

export function allSteps(steps: readonly Step<unknown>[]): readonly Step<unknown>[] {
  return steps.flatMap((s) => (s.compensate === 'none' ? [s] : [s, s.compensate]));
}
