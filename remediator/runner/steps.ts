// One step: probe, intent, one call, result, verification, each made durable before the next.
import { pause, within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Applied, Step, StepSession } from '../action.ts';
import { close, limited } from '../limited.ts';
import { Abandoned, append, entryData, leaveIfLost, stepRun, type RunContext, type StepResult } from './context.ts';
import { endFormerSessions, fencingOf } from './fence.ts';
import { mutated, phaseOf, type StepPhase } from './journal.ts';
import { atSafePoint, check, ok, probeUntilKnown, unknowable } from './looks.ts';
import { openSession } from './session.ts';

type Pending = Extract<StepPhase, { is: 'pending' }>;
type Open = Extract<StepPhase, { is: 'open' }>;

/** Intents that were never carried out (a crash just before the call) do not count as tries, but not without end. */
const lostIntents = 5;

/**
 * Brings one step to its end, from wherever the journal says it stands.
 * @param how `reach`: a step towards safety (a compensation), which a pause does not stop
 */
export async function conductStep<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  how: 'forward' | 'reach',
): Promise<StepResult> {
  for (;;) {
    leaveIfLost(ctx);
    const phase = phaseOf(ctx.entries, step.name);
    const result =
      phase.is === 'verified'
        ? ok
        : phase.is === 'open'
          ? await settle(ctx, step, before, phase)
          : phase.is === 'applied'
            ? await check(ctx, step, before, phase.attempt)
            : await attempt(ctx, step, before, phase, how);
    if (result !== undefined) return result;
  }
}

/** From pending to a written result, or to a reason to go no further. undefined: look at the journal again. */
async function attempt<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  phase: Pending,
  how: 'forward' | 'reach',
): Promise<StepResult | undefined> {
  const { apply } = step;
  const safe = atSafePoint(ctx);
  if (safe && how === 'forward' && ctx.draining.aborted) throw new Abandoned('the program ends');
  if (apply === undefined) return await check(ctx, step, before, 1);
  const fencing = fencingOf(ctx, step);
  if (phase.tries > 0 && (phase.tries >= step.maxAttempts || fencing === 'once')) {
    return { is: 'failed', because: `${step.name}: ${phase.because ?? 'no attempt is left'}` };
  }
  if (phase.intents >= step.maxAttempts + lostIntents) {
    return { is: 'failed', because: `${step.name}: begun ${phase.intents} times and never carried out` };
  }

  const probe = await probeUntilKnown(ctx, step, before);
  switch (probe.is) {
    case 'present':
      if (phase.skips >= step.maxAttempts + lostIntents) {
        return { is: 'failed', because: `${step.name}: found done ${phase.skips} times, and it did not last` };
      }
      await append(ctx, {
        kind: 'result',
        step: step.name,
        attempt: phase.intents,
        outcome: 'skipped',
        data: entryData(probe.because, probe.data),
      });
      return undefined;
    case 'overtaken':
      return { is: 'over', end: { outcome: 'overtaken', because: `${step.name}: ${probe.because}` } };
    case 'partial':
      if (step.resumesPartial === true) break;
      return {
        is: 'failed',
        because: `${step.name}: ${probe.because}`,
        never: `${step.name} is half done: ${probe.because}`,
      };
    case 'unknown':
      return { is: 'failed', because: `${step.name}: ${probe.because}` };
    case 'absent':
  }

  if (!ctx.samePlan) {
    return {
      is: 'failed',
      because: 'the plan has changed since',
      never: 'the plan changed while the run was under way',
    };
  }
  const begins = how === 'forward' && safe;
  if (begins && step.session !== undefined) {
    const hindered = await hindrance(ctx);
    if (hindered !== undefined) return hindered;
  }
  if (ctx.byItself && fencing === 'once' && step.lateCopy === 'harmful') {
    const because = `nothing fences a late call of ${step.name}, and it would do harm: a person must allow it`;
    return { is: 'failed', because };
  }
  const number = phase.intents + 1;
  let session: StepSession | undefined;
  try {
    session = await openSession(ctx, step, before, number, begins);
  } catch (error) {
    leaveIfLost(ctx);
    return { is: 'failed', because: `${step.name}: no session of its own: ${messageOf(error)}` };
  }
  await using _ = { [Symbol.asyncDispose]: () => close(session, 'the session of a step', ctx.log) };
  if (!(await ctx.lease.renew())) {
    leaveIfLost(ctx);
    throw new Abandoned('the lease could not be renewed before a step');
  }
  // A session and a lease may have taken their time: a pause that was answered since then counts.
  if (begins) {
    const hindered = await hindrance(ctx);
    if (hindered !== undefined) return hindered;
  }
  const { deadlineMs, settleMs } = step;
  await append(ctx, {
    kind: 'intent',
    step: step.name,
    attempt: number,
    data: { deadlineMs, settleMs, fencing, ...(session === undefined ? {} : { session: session.identity }) },
  });
  const applied = await call(ctx, step, { apply, session }, before, number);
  await append(ctx, {
    kind: 'result',
    step: step.name,
    attempt: number,
    outcome: applied.is,
    data: entryData(applied.because, applied.data, applied.code),
  });
  return undefined;
}

/** Why nothing may be begun now: then the run is over. */
async function hindrance<W>(ctx: RunContext<W>): Promise<StepResult | undefined> {
  const isBegun = mutated(ctx.entries);
  const because = (await ctx.obstacle()) ?? (isBegun ? undefined : await ctx.withdrawn());
  leaveIfLost(ctx);
  return because === undefined ? undefined : { is: 'over', end: { outcome: isBegun ? 'failed' : 'refused', because } };
}

/** The one external call. The last look at the lease and the call are in one turn: nothing can come between them. */
async function call<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  { apply, session }: { apply: NonNullable<Step<unknown>['apply']>; session: StepSession | undefined },
  before: unknown,
  number: number,
): Promise<Omit<Applied, 'is'> & { readonly is: Applied['is'] | 'absent' }> {
  const run = stepRun(ctx, step.name, before, number, within(step.deadlineMs));
  if (ctx.lease.lost.aborted || ctx.lease.leftMs() < step.deadlineMs + ctx.lease.marginMs) {
    return { is: 'absent', code: 'lease_short', because: 'too little of the lease was left: nothing was called' };
  }
  try {
    return await limited(apply(run, session), step.deadlineMs, step.name);
  } catch (error) {
    // an action answers with its outcome; what it throws says nothing about what was done
    return { is: 'unknown', because: messageOf(error) };
  }
}

/**
 * An intent without an outcome: by a crash, a timeout, a lost connection. What was called may still have its effect, so
 * wait for that, then look.
 */
async function settle<W>(
  ctx: RunContext<W>,
  step: Step<unknown>,
  before: unknown,
  phase: Open,
): Promise<StepResult | undefined> {
  const ended = await endFormerSessions(ctx, step.verifyMs);
  leaveIfLost(ctx);
  const longestMs = step.deadlineMs + step.settleMs;
  // By a clock that may have jumped it is not known how long ago it was.
  const waitMs = ctx.clock.steady().known ? phase.intentMs + longestMs - ctx.clock.nowMs() : longestMs;
  if (waitMs > 0) await pause(Math.min(waitMs, longestMs), ctx.lease.lost).catch(() => undefined);
  leaveIfLost(ctx);
  const probe = await probeUntilKnown(ctx, step, before, true);
  const result = (outcome: 'recovered' | 'absent' | 'overtaken' | 'partial'): Promise<unknown> =>
    append(ctx, {
      kind: 'result',
      step: step.name,
      attempt: phase.attempt,
      outcome,
      data: entryData(probe.because, probe.data),
    });
  switch (probe.is) {
    case 'present':
      await result('recovered');
      return undefined;
    case 'absent': {
      const fencing = fencingOf(ctx, step);
      // nothing fences a call that is still under way somewhere
      if (fencing === 'once' || (fencing === 'session' && ended.is !== 'yes')) {
        const why = fencing === 'once' ? '' : `: ${ended.because}`;
        return unknowable(step, `not there now (${probe.because}), but a late call would not be refused${why}`);
      }
      await result('absent');
      return undefined;
    }
    case 'overtaken':
      await result('overtaken');
      return { is: 'over', end: { outcome: 'overtaken', because: `${step.name}: ${probe.because}` } };
    case 'partial':
      if (step.resumesPartial === true) {
        // the call had an effect: what is left of it is a new intent of the same step
        await result('partial');
        return undefined;
      }
      return unknowable(step, probe.because);
    case 'unknown':
      return unknowable(step, probe.because);
  }
}
