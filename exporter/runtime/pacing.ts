import type { Clock } from './clock.ts';

/**
 * Long synchronous work asks now and then; after `everyMs` of it the answer is a promise that lets the event loop turn
 * (`const turn = pace(); if (turn !== undefined) await turn;`), else undefined, which costs no microtask.
 */
export function pacer(clock: Clock, everyMs = 10): () => Promise<void> | undefined {
  let since = clock.monoMs();
  return () => {
    if (clock.monoMs() - since < everyMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        since = clock.monoMs();
        resolve();
      });
    });
  };
}
