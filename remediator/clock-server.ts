// Ledger time of a shared store: its server's clock, the same for every remediator; between two looks at it this
// machine's boot time carries it on. Never backwards: what was seen is kept in the store.
import { z } from 'zod';
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

/** The last look of each boot that has served lately: a restart must not take a jump for time that has passed. */
const seenKey = 'clock_seen';
const mostBoots = 16;
const bootSchema = z.object({
  id: z.string(),
  bootMs: z.number(),
  wallMs: z.number(),
  synced: z.boolean(),
  serverMs: z.number(),
  /** In ledger time. */
  doubtUntilMs: z.number(),
});
type Boot = z.output<typeof bootSchema>;

/** More than that is a clock that was set, or a server that was replaced: both run at nearly the same pace. */
function isJump(offMs: number, hereMs: number, share: number): boolean {
  return Math.abs(offMs) > 2000 && Math.abs(offMs) > hereMs * share;
}

/** What is wrong with the server's time by what was seen before this process began. */
function faultOf(seen: readonly Boot[], machine: Machine, serverMs: number): string | undefined {
  const same = seen.find((b) => b.id === machine.bootId());
  const last = same ?? seen.toSorted((a, b) => b.serverMs - a.serverMs)[0];
  if (last === undefined) return undefined;
  if (same === undefined && !(last.synced && machine.synchronised())) {
    return 'no clock of this machine can tell how long nobody has looked at the one of the store’s server';
  }
  const hereMs = same === undefined ? machine.clock.wallMs() - last.wallMs : machine.bootMs() - last.bootMs;
  const offMs = serverMs - last.serverMs - hereMs;
  if (!isJump(offMs, hereMs, 0.001)) return undefined;
  return `the clock of the store’s server jumped by ${Math.round(offMs / 1000)} s while nobody looked`;
}

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
  const seen = async (): Promise<readonly Boot[]> => {
    const text = await store.meta(seenKey);
    return text === undefined ? [] : z.array(bootSchema).parse(JSON.parse(text));
  };
  const keep = async (): Promise<void> => {
    if (isReader) return;
    const stored = Number((await store.meta(key)) ?? 0);
    if (nowMs() > stored) await store.setMeta(key, String(nowMs()));
    const id = machine.bootId();
    const own: Boot = {
      id,
      ...anchor,
      wallMs: Math.floor(machine.clock.wallMs() - (machine.bootMs() - anchor.bootMs)),
      synced: machine.synchronised(),
      doubtUntilMs: nowMs() + Math.max(0, doubtUntilMs - machine.bootMs()),
    };
    const others = (await seen()).filter((b) => b.id !== id).toSorted((a, b) => b.serverMs - a.serverMs);
    await store.setMeta(seenKey, JSON.stringify([own, ...others.slice(0, mostBoots - 1)]));
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
  const before = isReader ? [] : await seen();
  const fault = faultOf(before, machine, anchor.serverMs);
  if (fault !== undefined) distrust(longestWindowMs, fault);
  const leftMs = Math.min(Math.max(0, ...before.map((b) => b.doubtUntilMs)) - nowMs(), longestWindowMs);
  if (leftMs > 0) distrust(leftMs, 'the clock of the store’s server jumped a while ago');
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
      const off = now.serverMs - anchor.serverMs - here;
      if (isJump(off, here, 0.05)) {
        distrust(longestWindowMs, `the clock of the store’s server jumped by ${Math.round(off / 1000)} s`);
      }
      nowMs(); // no step back over what was told already
      anchor = now;
      await keep();
    },
  };
}
