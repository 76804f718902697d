/** Time, injected so that tests can move it. */
export interface Clock {
  /** Wall clock, ms since the epoch: for timestamps that leave the process. May jump. */
  readonly wallMs: () => number;
  /** Monotonic, ms: for durations and deadlines. */
  readonly monoMs: () => number;
}

export const systemClock: Clock = { wallMs: () => Date.now(), monoMs: () => performance.now() };
