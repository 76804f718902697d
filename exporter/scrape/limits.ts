/** How much of the targets one exporter may do at the same time, and how often it asks one that is down. */
export interface SweepLimits {
  /** Targets that are looked at at the same time; one that is slow goes on beside them (see gate.ts). */
  readonly maxSweeps: number;
  /** A target that is down is left alone for at most this long between two tries; 0: each scrape asks it. */
  readonly backoffAtMostMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export const defaultLimits: SweepLimits = { maxSweeps: 64, backoffAtMostMs: 30_000, random: Math.random };
