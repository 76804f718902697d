/** How much of the targets one exporter may do at the same time, and how often it asks one that is down. */
export interface SweepLimits {
  /** Targets that are looked at at the same time; one that is slow goes on beside them (see gate.ts). */
  readonly maxSweeps: number;
  /** A target that is down is left alone for at most this long between two tries; 0: each scrape asks it. */
  readonly backoffAtMostMs: number;
  /**
   * A sweep goes on for at least this long, however little patience the scrape has that began it: else whoever says so
   * would have each connection destroyed while it is made, and a MySQL server shuts out a host that it takes for broken
   * (https://dev.mysql.com/doc/refman/8.4/en/host-cache.html, max_connect_errors).
   */
  readonly leastSweepMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export const defaultLimits: SweepLimits = {
  maxSweeps: 64,
  backoffAtMostMs: 30_000,
  leastSweepMs: 1000,
  random: Math.random,
};

/** Each scrape asks, and for as long as it says. */
export const plainLimits: SweepLimits = { ...defaultLimits, backoffAtMostMs: 0, leastSweepMs: 0 };
