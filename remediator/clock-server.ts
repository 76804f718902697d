// Ledger time of a shared store: its server's clock, the same for every remediator; between two looks at it this
// machine's boot time carries it on. Never backwards: what was seen is kept in the store.
import { known, unknown } from '../exporter/runtime/known.ts';
import { thisMachine, type LedgerClock, type Machine, type MetaStore } from './clock.ts';

export interface ServerTime extends MetaStore {
  /** ms since 1970, as the store's server has it. */
  readonly serverMs: () => Promise<number>;
}

/** What the store's own transactions take for the earliest time it can be. */
const key = 'clock_high';
/** So long without a look at the server, and its time is a guess. */
const staleMs = 60_000;

/** @param longestWindowMs after that much quiet no window reaches back over a jump of the server's clock */
export async function openServerLedger(
  store: ServerTime,
  longestWindowMs: number,
  machine: Machine = thisMachine,
  isReader = false,
): Promise<LedgerClock & { readonly persist: () => Promise<void> }> {
  const look = async (): Promise<{ readonly serverMs: number; readonly bootMs: number }> => {
    const begun = machine.bootMs();
    const serverMs = await store.serverMs();
    // It was read somewhere on the way.
    return { serverMs, bootMs: (begun + machine.bootMs()) / 2 };
  };
  const keep = async (): Promise<void> => {
    const stored = Number((await store.meta(key)) ?? 0);
    if (!isReader && nowMs() > stored) await store.setMeta(key, String(nowMs()));
  };
  let anchor = await look();
  let high = Number((await store.meta(key)) ?? 0);
  let doubtUntilMs = -Infinity;
  let doubt = '';
  let drift = machine.bootMs() - machine.clock.monoMs();
  const distrust = (forMs: number, why: string): void => {
    doubtUntilMs = Math.max(doubtUntilMs, machine.bootMs() + forMs);
    doubt = why;
  };
  if (high - anchor.serverMs > 2000) distrust(longestWindowMs, 'the clock of the store’s server was set back');
  const nowMs = (): number => {
    high = Math.max(high, Math.floor(anchor.serverMs + Math.max(0, machine.bootMs() - anchor.bootMs)));
    return high;
  };
  await keep();
  return {
    ...machine.clock,
    nowMs,
    wallOf: (ledgerMs) => machine.clock.wallMs() - (nowMs() - ledgerMs),
    steady: () => {
      const drifted = machine.bootMs() - machine.clock.monoMs();
      if (Math.abs(drifted - drift) > 2000) distrust(10_000, 'the machine was suspended a moment ago');
      drift = drifted;
      if (machine.bootMs() < doubtUntilMs) return unknown(doubt);
      if (machine.bootMs() - anchor.bootMs > staleMs) {
        return unknown('the store’s server has not told its time for more than a minute');
      }
      return known('steady', nowMs());
    },
    persist: async () => {
      const now = await look();
      const here = now.bootMs - anchor.bootMs;
      const off = Math.abs(now.serverMs - anchor.serverMs - here);
      // Both run at nearly the same pace: more than that is a clock that was set, or a server that was replaced.
      if (off > 2000 && off > here * 0.05) {
        distrust(longestWindowMs, `the clock of the store’s server jumped by ${Math.round(off / 1000)} s`);
      }
      nowMs(); // no step back over what was told already
      anchor = now;
      await keep();
    },
  };
}
