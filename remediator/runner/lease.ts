// The lease of one run: renewed in the background, its remaining time known without asking anybody.
import { uptime } from 'node:os';
import type { Log } from '../../exporter/runtime/log.ts';
import { messageOf } from '../../exporter/runtime/errors.ts';
import type { Hold, Store } from '../store/store.ts';

export interface LeaseTiming {
  readonly ttlMs: number;
  readonly renewMs: number;
  /** What must be left of it beyond a step's deadline when the step begins. */
  readonly marginMs: number;
  readonly monoMs: () => number;
  /** Time since boot, also while suspended; the monotonic clock does not advance then. */
  readonly bootMs: () => number;
  readonly ledgerMs: () => number;
}

export const leaseTtlMs = 30_000;
const leaseMarginMs = 5_000;

/** The two clocks are read one after the other, and boot time has a resolution of 10 ms: less than this says nothing. */
const suspendedMs = 2_000;

export function leaseTiming(clock: { monoMs: () => number; nowMs: () => number }): LeaseTiming {
  return {
    ttlMs: leaseTtlMs,
    renewMs: 10_000,
    marginMs: leaseMarginMs,
    monoMs: clock.monoMs,
    bootMs: () => uptime() * 1000,
    ledgerMs: clock.nowMs,
  };
}

export interface Lease {
  /** Aborts when the lease is another's, or may be: from then on nothing may be done or written for this run. */
  readonly lost: AbortSignal;
  /** Counted from before the last renewal was asked for, by the clock that ran further. Synchronous: the last look before a call. */
  readonly leftMs: () => number;
  readonly marginMs: number;
  readonly renew: () => Promise<boolean>;
  readonly end: () => void;
}

export function keepLease(store: Pick<Store, 'renewLease'>, hold: Hold, timing: LeaseTiming, log: Log): Lease {
  const lost = new AbortController();
  const lose = (why: string): void => {
    if (lost.signal.aborted) return;
    log.warn({ run: hold.runId, why }, 'lease lost');
    lost.abort(new Error(why));
  };
  const now = (): { mono: number; boot: number } => ({ mono: timing.monoMs(), boot: timing.bootMs() });
  // the claim or the adoption has just set the full time
  let since = now();
  const first = since;
  const leftMs = (): number => {
    const at = now();
    // What was planned before a sleep of the machine is as old as the sleep, however short beside the lease.
    const sleptMs = at.boot - first.boot - (at.mono - first.mono);
    if (Math.abs(sleptMs) > suspendedMs) lose(`the machine was suspended for ${Math.round(sleptMs / 1000)} s`);
    if (lost.signal.aborted) return 0;
    return timing.ttlMs - Math.max(at.mono - since.mono, at.boot - since.boot);
  };
  const renew = async (): Promise<boolean> => {
    if (lost.signal.aborted) return false;
    const asked = now();
    let renewed: boolean;
    try {
      renewed = await store.renewLease(hold, timing.ttlMs, timing.ledgerMs);
    } catch (error) {
      // The store may answer next time; until then the lease runs down.
      log.warn({ run: hold.runId, error: messageOf(error) }, 'lease not renewed');
      if (leftMs() <= 0) lose('the lease ran out while the store did not answer');
      return false;
    }
    if (renewed) since = asked;
    else lose('the store gave the lease to another holder');
    return renewed;
  };
  const timer = setInterval(() => {
    // a machine that slept must not go on with what it had planned before
    if (leftMs() <= 0) lose('the lease ran out');
    else void renew();
  }, timing.renewMs);
  timer.unref();
  return {
    lost: lost.signal,
    leftMs,
    marginMs: timing.marginMs,
    renew,
    end: () => {
      clearInterval(timer);
    },
  };
}
