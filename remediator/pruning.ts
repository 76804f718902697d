// What is old leaves the store.
import { pause } from '../exporter/runtime/deadline.ts';
import type { LedgerClock } from './clock.ts';
import type { Retention } from './store/store-of-people.ts';
import type { Store } from './store/store.ts';

/**
 * In chunks, so that nobody waits for long.
 *
 * @param keep asked before each of them: what a window that was made longer meanwhile counts must still be there
 */
export async function prune(
  store: Pick<Store, 'prune'>,
  keep: () => Retention,
  clock: Pick<LedgerClock, 'nowMs' | 'steady'>,
  signal: AbortSignal,
): Promise<void> {
  // A clock that jumped a year must not erase everything.
  if (!clock.steady().known) return;
  while (!signal.aborted && (await store.prune(keep(), clock.nowMs())).more) {
    await pause(50, signal).catch(() => undefined);
  }
}
