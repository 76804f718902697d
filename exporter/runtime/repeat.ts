import type { Clock } from './clock.ts';
import { pause } from './deadline.ts';

export interface Repeating {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** From the start of one run to the start of the next; a run that takes longer is followed at once by the next. */
  readonly everyMs: number;
  /** [0, 1): spreads the first runs of many jobs over one interval. Without it the first run begins at once. */
  readonly random?: () => number;
}

/** Runs `job` again and again, one run at a time, until the signal aborts. What the job throws ends it. */
export async function repeat({ signal, clock, everyMs, random }: Repeating, job: () => Promise<void>): Promise<void> {
  if (random !== undefined && !(await paused(random() * everyMs, signal))) return;
  while (!signal.aborted) {
    const startedAtMs = clock.monoMs();
    await job();
    if (!(await paused(startedAtMs + everyMs - clock.monoMs(), signal))) return;
  }
}

/** False when the signal has ended the pause. */
export async function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  try {
    await pause(Math.max(0, ms), signal);
    return true;
  } catch {
    return false;
  }
}
