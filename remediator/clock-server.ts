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
  /** In ledger time. null: who looked knows of no windows (JSON has no Infinity), so for a window after that look. */
  doubtUntilMs: z.number().nullable(),
  /** In ledger time, when the clock was last found to have jumped: a window that was made longer since reaches back to it. */
  jumpedMs: z.number().optional(),
  /** An earlier look, a window ago at most: small steps of the server's clock add up from there. */
  base: z.object({ serverMs: z.number(), bootMs: z.number() }).optional(),
  /** In this boot the wall clock was set after it had been right: it measures no gap to the next one any more. */
  moved: z.boolean().default(false),
});
type Boot = z.output<typeof bootSchema>;
type Look = Pick<Boot, 'serverMs' | 'bootMs'>;

/** How far the server's clock has gone beyond this machine's boot time between two looks at both. */
function between(from: Look, to: Look): { readonly offMs: number; readonly hereMs: number } {
  const hereMs = to.bootMs - from.bootMs;
  return { offMs: to.serverMs - from.serverMs - hereMs, hereMs };
}

/** Two crystals differ by some 100 ppm, and either may be slewed by 500. */
const paceShare = 0.001;

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
  if (!isJump(offMs, hereMs, paceShare)) return undefined;
  return `the clock of the store’s server jumped by ${Math.round(offMs / 1000)} s while nobody looked`;
}

/** Boot time and wall time go at one pace, unless somebody sets the clock. Its first setting is its synchronisation. */
function isMoved(before: Boot | undefined, now: Pick<Boot, 'wallMs' | 'bootMs'>): boolean {
  if (before === undefined) return false;
  const stepMs = now.wallMs - before.wallMs - (now.bootMs - before.bootMs);
  return before.moved || (before.synced && Math.abs(stepMs) > 2000);
}

/** @param longest after that much quiet no window reaches back over a jump of the server's clock; asked each time where it may change */
export async function openServerLedger(
  store: ServerTime,
  longest: number | (() => number),
  machine: Machine = thisMachine,
  isReader = false,
): Promise<LedgerClock & { readonly persist: () => Promise<void> }> {
  const longestWindowMs = typeof longest === 'number' ? () => longest : longest;
  const look = async (): Promise<Look> => {
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
    const all = await seen();
    const wallMs = Math.floor(machine.clock.wallMs() - (machine.bootMs() - anchor.bootMs));
    const moved = isMoved(
      all.find((b) => b.id === id),
      { wallMs, bootMs: anchor.bootMs },
    );
    const untilMs = untilBootMs();
    const own: Boot = {
      id,
      ...anchor,
      ...{ wallMs, moved, base },
      synced: machine.synchronised() && !moved,
      doubtUntilMs: untilMs === Infinity ? null : nowMs() + Math.max(0, untilMs - machine.bootMs()),
      ...(jumpBootMs === undefined ? {} : { jumpedMs: nowMs() - (machine.bootMs() - jumpBootMs) }),
    };
    const others = all.filter((b) => b.id !== id).toSorted((a, b) => b.serverMs - a.serverMs);
    await store.setMeta(seenKey, JSON.stringify([own, ...others.slice(0, mostBoots - 1)]));
  };
  let anchor = await look();
  let base: Look = anchor;
  let high = Number((await store.meta(key)) ?? 0);
  let doubtUntilMs = -Infinity;
  /** The last jump, in boot time of this machine, which is before its boot where another one saw it. */
  let jumpBootMs: number | undefined;
  let doubt = '';
  let drift = machine.bootMs() - machine.clock.monoMs();
  const untilBootMs = (): number =>
    jumpBootMs === undefined ? doubtUntilMs : Math.max(doubtUntilMs, jumpBootMs + longestWindowMs());
  const distrust = (forMs: number, why: string): void => {
    doubtUntilMs = Math.max(doubtUntilMs, machine.bootMs() + forMs);
    doubt = why;
  };
  const jumped = (why: string): void => {
    jumpBootMs = machine.bootMs();
    doubt = why;
  };
  if (high - anchor.serverMs > 2000) jumped('the clock of the store’s server was set back');
  const nowMs = (): number => {
    high = Math.max(high, Math.floor(anchor.serverMs + Math.max(0, machine.bootMs() - anchor.bootMs)));
    return high;
  };
  const before = isReader ? [] : await seen();
  const fault = faultOf(before, machine, anchor.serverMs);
  if (fault !== undefined) jumped(fault);
  const rebase = (to: Look): void => {
    const { offMs, hereMs } = between(base, to);
    const hasJumped = isJump(offMs, hereMs, paceShare);
    if (hasJumped) {
      jumped(`the clock of the store’s server has run ${Math.round(offMs / 1000)} s off, step by step`);
    }
    if (hasJumped || hereMs > longestWindowMs()) base = to;
  };
  base = before.find((b) => b.id === machine.bootId())?.base ?? anchor;
  rebase(anchor);
  const doubts = before.map((b) => b.doubtUntilMs ?? b.serverMs + longestWindowMs());
  const leftMs = Math.min(Math.max(0, ...doubts) - nowMs(), longestWindowMs());
  if (leftMs > 0) distrust(leftMs, 'the clock of the store’s server jumped a while ago');
  const jumps = before.flatMap(({ jumpedMs }) => jumpedMs ?? []);
  if (jumpBootMs === undefined && jumps.length > 0) {
    jumpBootMs = machine.bootMs() - Math.max(0, nowMs() - Math.max(...jumps));
    doubt ||= 'the clock of the store’s server jumped a while ago';
  }
  await keep();
  return {
    ...machine.clock,
    nowMs,
    wallOf: (ledgerMs) => machine.clock.wallMs() - (nowMs() - ledgerMs),
    steady: () => {
      const drifted = machine.bootMs() - machine.clock.monoMs();
      if (Math.abs(drifted - drift) > 2000) distrust(10_000, 'the machine was suspended a moment ago');
      drift = drifted;
      if (machine.bootMs() < untilBootMs()) return unknown(doubt);
      if (machine.bootMs() - anchor.bootMs > staleMs) {
        return unknown('the store’s server has not told its time for more than a minute');
      }
      return known('steady', nowMs());
    },
    persist: async () => {
      const now = await look();
      rebase(now);
      const { offMs, hereMs } = between(anchor, now);
      if (isJump(offMs, hereMs, 0.05)) {
        jumped(`the clock of the store’s server jumped by ${Math.round(offMs / 1000)} s`);
        base = now;
      }
      nowMs(); // no step back over what was told already
      anchor = now;
      await keep();
    },
  };
}
