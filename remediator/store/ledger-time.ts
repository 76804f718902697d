// The time that a shared store writes and counts with: its server's, as far as a remediator may believe it. Pure.
import { StoreError } from './store.ts';

/** The caller looks at the server's clock every 5 s. */
const largestLeadMs = 10_000;

/**
 * Never before what was seen: the clock of a server can be set back. Set forward, it would end every window at once:
 * nothing is written with such a time before the caller has looked at the clock anew, and its guard judged it.
 * @param highMs the highest that any remediator has seen
 * @param callersMs what the caller takes for ledger time
 * @throws StoreError `busy`
 */
export function ledgerTime(serverMs: number, highMs: number, callersMs: number): number {
  const ms = Math.max(serverMs, highMs);
  const ahead = ms - callersMs;
  if (ahead <= largestLeadMs) return ms;
  throw new StoreError('busy', `the clock of the store’s server is ${ahead} ms ahead of what this remediator knows`);
}
