// The functions of an action are given a signal, and are not waited for much beyond it: one that does not heed it must not
// keep its run, whose lease would be renewed without end.
import { until, within } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';

/** What a function gets beyond its deadline to answer by itself; then it is not waited for any more. */
const graceMs = 1_000;

/**
 * @param leave aborts when nothing that `work` finds is of use any more; left out where its outcome matters all the same
 * @throws TargetError `deadline`
 */
export function limited<T>(work: Promise<T>, deadlineMs: number, what: string, leave?: AbortSignal): Promise<T> {
  return until(within(deadlineMs + graceMs, leave), what, work);
}

const closingMs = 5_000;

/** Does not throw: what is done is done, and what does not close is left behind and told of. */
export async function close(opened: AsyncDisposable | undefined, what: string, log: Log): Promise<void> {
  try {
    if (opened !== undefined) await limited(Promise.resolve(opened[Symbol.asyncDispose]()), closingMs, what);
  } catch (error) {
    log.warn({ error: messageOf(error) }, `${what} did not close`);
  }
}
