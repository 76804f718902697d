// Work that is done again and again, each kind apart from the others.
import { pause } from '../exporter/runtime/deadline.ts';
import type { Log } from '../exporter/runtime/log.ts';

export interface Loop {
  /** Ends when the signal aborts and the work under way is done. */
  readonly run: () => Promise<void>;
  /** Do not wait for the interval. */
  readonly soon: () => void;
}

/** What is due at once, and stays due, does not keep everything else from its turn. */
const leastWaitMs = 20;

/**
 * Runs `work` again and again, never twice at a time; a failure is told and does not end it.
 * @param untilDueMs after the work: how long from now there is nothing to do; `everyMs` at most
 * @param restMs after the work: who wakes it waits so long, and what comes close together is done together
 */
export function loop(
  name: string,
  everyMs: number,
  signal: AbortSignal,
  log: Log,
  work: () => Promise<void>,
  untilDueMs: () => Promise<number | undefined> = () => Promise.resolve(everyMs),
  restMs = 0,
): Loop {
  let wake = new AbortController();
  let toldAtMs = -Infinity;
  return {
    soon: () => {
      // each abort() makes an error with its stack, whether it is the first one or not
      if (!wake.signal.aborted) wake.abort();
    },
    run: async () => {
      while (!signal.aborted) {
        wake = new AbortController();
        let waitMs = everyMs;
        try {
          await work();
          waitMs = Math.min(everyMs, Math.max(leastWaitMs, (await untilDueMs()) ?? everyMs));
        } catch (error) {
          // The same failure comes each second while the disk is full.
          if (performance.now() - toldAtMs > 30_000 && !isAborted(signal)) {
            toldAtMs = performance.now();
            log.error({ part: name, err: error }, 'a part of the remediator failed and goes on');
          }
        }
        if (restMs > 0) await pause(restMs, signal).catch(() => undefined);
        await pause(Math.max(0, waitMs - restMs), AbortSignal.any([signal, wake.signal])).catch(() => undefined);
      }
    },
  };
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
