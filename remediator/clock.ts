// Ledger time: what every stored window is counted in. It follows the machine's boot time, so a jump of the wall clock
// neither opens a budget early nor holds one for ever; it goes on across restarts of the process and never backwards.
import { existsSync, readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { z } from 'zod';
import { systemClock, type Clock } from '../exporter/runtime/clock.ts';
import { known, unknown, type Known } from '../exporter/runtime/known.ts';

export interface LedgerClock extends Clock {
  /** Ledger time, whole ms. The same in every process of this boot that uses this store. */
  readonly nowMs: () => number;
  /** For the clock guard: unknown while the length of a gap is only guessed. */
  readonly steady: () => Known<'steady'>;
  /** The wall time of a ledger time, for people and other machines; exact only since the last boot. */
  readonly wallOf: (ledgerMs: number) => number;
}

/** What is kept in the store under `clock`. */
const anchorSchema = z.object({
  ledger: z.int(),
  wall: z.int(),
  bootId: z.string(),
  bootMs: z.number(),
  /** The gap before this boot was measured with a wall clock that nobody had set yet. */
  guessed: z.boolean(),
  /** Something had set the wall clock when this was written: only then does its wall time measure the gap to a later boot. */
  synced: z.boolean().default(false),
  /** In this boot the wall clock was set after it had been right: its wall times measure nothing any more. */
  moved: z.boolean().default(false),
});
export type Anchor = z.output<typeof anchorSchema>;

export interface Machine {
  readonly clock: Clock;
  readonly bootId: () => string;
  /** Time since boot, also while suspended (CLOCK_BOOTTIME). Wall and monotonic clocks do not say that. */
  readonly bootMs: () => number;
  /** Has something set the wall clock since boot? */
  readonly synchronised: () => boolean;
}

/** Each look opens and reads a file whose numbers are 10 ms apart: under load that costs as much as to parse a body. */
function bootTime(): () => number {
  let seenMs = 0;
  let seenAtMs = -Infinity;
  return () => {
    const monoMs = systemClock.monoMs();
    if (monoMs - seenAtMs >= 5) {
      seenMs = uptime() * 1000;
      seenAtMs = monoMs;
    }
    return seenMs;
  };
}

export const thisMachine: Machine = {
  clock: systemClock,
  bootId: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  bootMs: bootTime(),
  // systemd-timesyncd(8): created at the first synchronisation after boot
  synchronised: () => existsSync('/run/systemd/timesync/synchronized'),
};

const longestGapMs = 86_400_000;
const key = 'clock';

export interface MetaStore {
  readonly meta: (key: string) => Promise<string | undefined>;
  readonly setMeta: (key: string, value: string) => Promise<void>;
}

/** @param longest after that much uptime no window reaches back over the boot; asked each time where it may change */
export async function openLedger(
  store: MetaStore,
  longest: number | (() => number),
  machine: Machine = thisMachine,
): Promise<LedgerClock & { readonly persist: () => Promise<void> }> {
  const longestWindowMs = typeof longest === 'number' ? () => longest : longest;
  const anchor = nextAnchor(await readAnchor(store), machine, longestWindowMs());
  await store.setMeta(key, JSON.stringify(anchor));
  let high = anchor.ledger;
  let suspendedUntilMono = -Infinity;
  let drift = machine.bootMs() - machine.clock.monoMs();
  let written = anchor;

  const nowMs = (): number => {
    // boot time has a resolution of 10 ms in /proc/uptime and is never allowed to step back
    high = Math.max(high, Math.floor(anchor.ledger + Math.max(0, machine.bootMs() - anchor.bootMs)));
    return high;
  };
  return {
    ...machine.clock,
    nowMs,
    wallOf: (ledgerMs) => machine.clock.wallMs() - (nowMs() - ledgerMs),
    steady: () => {
      const mono = machine.clock.monoMs();
      const drifted = machine.bootMs() - mono;
      // Suspended: timers and leases of this process are as old as the gap. One quiet spell to look again at everything.
      if (Math.abs(drifted - drift) > 2000) suspendedUntilMono = mono + 10_000;
      drift = drifted;
      if (mono < suspendedUntilMono)
        return unknown('the machine was suspended a moment ago: everything is looked at anew');
      const leftMs = anchor.guessed ? longestWindowMs() - machine.bootMs() : 0;
      if (leftMs > 0) {
        return unknown(
          `the machine booted with a clock that was not synchronised: it is unknown how long it was off. Good again after ${Math.ceil(leftMs / 60_000)} min`,
        );
      }
      return known('steady', nowMs());
    },
    persist: async () => {
      const seen = {
        wall: Math.floor(machine.clock.wallMs()),
        bootMs: machine.bootMs(),
        synced: machine.synchronised(),
      };
      written = { ...anchor, ...seen, ledger: nowMs(), moved: isMoved(written, seen) };
      await store.setMeta(key, JSON.stringify(written));
    },
  };
}

/** A reader's view (the CLI): writes nothing. */
export async function readLedger(store: MetaStore, machine: Machine = thisMachine): Promise<LedgerClock> {
  const anchor = nextAnchor(await readAnchor(store), machine, 0);
  const nowMs = (): number => Math.floor(anchor.ledger + Math.max(0, machine.bootMs() - anchor.bootMs));
  return {
    ...machine.clock,
    nowMs,
    wallOf: (ledgerMs) => machine.clock.wallMs() - (nowMs() - ledgerMs),
    steady: () => unknown('a reader does not judge the clock'),
  };
}

/**
 * The first one of this boot that opens the store measures the gap; later ones go on from what it wrote. A gap is only
 * guessed when either end of it was told by a clock that nobody had set, or when an earlier guess was not outlived yet: a
 * short boot with a wrong clock between two good ones would open every window.
 */
function nextAnchor(before: Anchor | undefined, machine: Machine, longestWindowMs: number): Anchor {
  const wall = Math.floor(machine.clock.wallMs());
  const bootMs = machine.bootMs();
  const bootId = machine.bootId();
  const synced = machine.synchronised();
  if (before === undefined) return { ledger: wall, wall, bootId, bootMs, guessed: false, synced, moved: false };
  if (before.bootId === bootId) {
    const ledger = Math.floor(before.ledger + Math.max(0, bootMs - before.bootMs));
    const moved = isMoved(before, { wall, bootMs });
    return { ledger, wall, bootId, bootMs, guessed: before.guessed, synced, moved };
  }
  const gapMs = Math.min(Math.max(wall - before.wall, 0), longestGapMs);
  const outlived = !before.guessed || before.bootMs >= longestWindowMs;
  return {
    ledger: before.ledger + gapMs,
    wall,
    bootId,
    bootMs,
    guessed: !synced || !before.synced || before.moved || !outlived,
    synced,
    moved: false,
  };
}

/** Boot time and wall time go at one pace, also in suspend, unless somebody sets the clock. The first setting is its synchronisation. */
function isMoved(before: Anchor, now: Pick<Anchor, 'wall' | 'bootMs'>): boolean {
  const stepMs = now.wall - before.wall - (now.bootMs - before.bootMs);
  return before.moved || (before.synced && Math.abs(stepMs) > 2000);
}

async function readAnchor(store: MetaStore): Promise<Anchor | undefined> {
  const text = await store.meta(key);
  // An anchor that cannot be read must not be replaced by a fresh one: that would forget every window.
  return text === undefined ? undefined : anchorSchema.parse(JSON.parse(text));
}
