// Sessions of former lives of a run: ended before anything is looked at, so that what is seen stays true.
import { pause, until, within } from '../../exporter/runtime/deadline.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Checked, FencingClass, LockAttempt, Step } from '../action.ts';
import { asJson, hashOf } from '../canonical.ts';
import { close, limited } from '../limited.ts';
import { append, leaveIfLost, type RunContext } from './context.ts';
import { formerSessions } from './journal.ts';

/** Between two tries while it is not known whether they are gone. */
const againMs = 500;

/** What a step's class is worth here: a session that nobody can end fences nothing. */
export function fencingOf<W>(ctx: Pick<RunContext<W>, 'action'>, step: Step<unknown>): FencingClass {
  if (step.fencing !== 'session') return step.fencing;
  return step.session === undefined || ctx.action.fence === undefined ? 'once' : 'session';
}

/**
 * Ends the sessions that former lives of the run, or a call without an answer, may have left on the target. The lock of
 * this life is taken anew where its own session was one of them.
 */
export async function endFormerSessions<W>(ctx: RunContext<W>, timeoutMs: number): Promise<Checked> {
  const { action, run, world, hold } = ctx;
  const former = formerSessions(ctx.entries, hold.fence);
  if (former.length === 0) return { is: 'yes', because: 'no session was left' };
  if (action.fence === undefined) return { is: 'unknown', because: 'the action ends no sessions' };
  const endMs = ctx.clock.monoMs() + timeoutMs;
  let seen: Checked;
  for (;;) {
    const leftMs = Math.max(endMs - ctx.clock.monoMs(), againMs);
    const signal = AbortSignal.any([within(leftMs), ctx.lease.lost]);
    try {
      seen = await until(
        signal,
        'the end of former sessions',
        action.fence(run.target, run.params, world, former, signal),
      );
    } catch (error) {
      seen = { is: 'unknown', because: messageOf(error) };
    }
    leaveIfLost(ctx);
    if (seen.is !== 'unknown' || ctx.clock.monoMs() + againMs > endMs) break;
    await pause(againMs, ctx.lease.lost).catch(() => undefined);
  }
  ctx.log.info({ run: run.id, sessions: former.length, ended: seen.is, because: seen.because }, 'former sessions');
  if (ctx.lock?.identity !== undefined) {
    const own = hashOf(ctx.lock.identity);
    if (former.some((f) => hashOf(asJson(f.identity)) === own)) await retakeLock(ctx, timeoutMs);
  }
  return seen;
}

/** The session that held it is of no use any more. Where it cannot be had, there is none: see obstacle.ts. */
export async function retakeLock<W>(ctx: RunContext<W>, timeoutMs: number): Promise<void> {
  const old = ctx.lock;
  ctx.lock = undefined;
  await close(old, 'the lock', ctx.log);
  await lockNow(ctx, timeoutMs);
}

/** Why it could not be had; undefined when it is held or the action has none. Former sessions are ended first: one of them may hold it. */
export async function takeLock<W>(ctx: RunContext<W>, timeoutMs: number): Promise<string | undefined> {
  if (ctx.action.lock === undefined) return undefined;
  const ended = await endFormerSessions(ctx, timeoutMs);
  const why = await lockNow(ctx, timeoutMs);
  if (why === undefined || ended.is === 'yes') return why;
  return `${why}; a former session may hold it: ${ended.because}`;
}

async function lockNow<W>(ctx: RunContext<W>, timeoutMs: number): Promise<string | undefined> {
  const { action, run, world } = ctx;
  const signal = AbortSignal.any([within(timeoutMs), ctx.lease.lost]);
  let asking: Promise<LockAttempt> | undefined;
  try {
    asking = action.lock?.(run.target, run.params, world, signal);
    if (asking === undefined) return undefined;
    const attempt = await limited(asking, timeoutMs, 'the lock', ctx.lease.lost);
    if (attempt.is !== 'held') return attempt.because;
    ctx.lock = attempt.lock;
  } catch (error) {
    // one that is had too late is given back, not left behind
    asking
      ?.then((late) => (late.is === 'held' ? close(late.lock, 'the lock', ctx.log) : undefined))
      .catch(() => undefined);
    leaveIfLost(ctx);
    return messageOf(error);
  }
  const { identity } = ctx.lock;
  if (identity !== undefined) await append(ctx, { kind: 'lock', step: '', attempt: 1, data: { session: identity } });
  return undefined;
}
