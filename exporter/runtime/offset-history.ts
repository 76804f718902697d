/**
 * How old is an offset? A ring of (time, end offset) samples of one append-only log. The age of an offset is the time
 * since the end of the log passed it, interpolated between the two samples around it. Used for Kafka partitions and for
 * the Redis replication stream: it needs no read of the data and no clock but our own.
 *
 * Error bound: the distance between the two samples around the offset (one sweep interval); older than the ring:
 * `atLeast` is true and the age is a lower bound.
 */
export interface OffsetAge {
  readonly seconds: number;
  /** The offset is older than the history: the true age is at least this. */
  readonly atLeast: boolean;
}

export class OffsetHistory {
  readonly #capacity: number;
  #times: number[] = [];
  #offsets: number[] = [];

  constructor(capacity = 240) {
    this.#capacity = capacity;
  }

  /** `atMs` from a monotonic clock. A smaller end than before (log recreated, unclean leader, failover) starts over. */
  add(atMs: number, endOffset: number): void {
    const last = this.#offsets.at(-1);
    if (last !== undefined && endOffset < last) this.#reset();
    // An end that did not move only lengthens its plateau: keep its first and its newest sample.
    if (this.#offsets.length >= 2 && last === endOffset && this.#offsets.at(-2) === endOffset) {
      this.#times[this.#times.length - 1] = atMs;
      return;
    }
    this.#times.push(atMs);
    this.#offsets.push(endOffset);
    if (this.#times.length > this.#capacity) this.#thin();
  }

  /**
   * Age of the first record not yet taken at `offset` (the next offset to read), or undefined while there is no sample.
   * 0 when everything up to the newest sample is taken.
   */
  ageAt(offset: number, nowMs: number): OffsetAge | undefined {
    const n = this.#offsets.length;
    const newest = this.#offsets[n - 1];
    const oldest = this.#offsets[0];
    if (newest === undefined || oldest === undefined) return undefined;
    if (offset >= newest) return { seconds: 0, atLeast: false };
    if (offset < oldest || n === 1) return { seconds: since(this.#times[0] ?? nowMs, nowMs), atLeast: true };
    // last sample whose end is <= offset: the record at `offset` was written after it and before the next sample
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if ((this.#offsets[mid] ?? 0) <= offset) low = mid;
      else high = mid - 1;
    }
    const [t0 = nowMs, t1 = nowMs] = [this.#times[low], this.#times[low + 1]];
    const [o0 = offset, o1 = offset] = [this.#offsets[low], this.#offsets[low + 1]];
    const written = o1 === o0 ? t1 : t0 + ((offset - o0) / (o1 - o0)) * (t1 - t0);
    return { seconds: since(written, nowMs), atLeast: false };
  }

  #reset(): void {
    this.#times = [];
    this.#offsets = [];
  }

  /** Drops every other sample of the older half: far back a coarse answer does. */
  #thin(): void {
    const half = this.#capacity >> 1;
    const keep = (_: unknown, i: number): boolean => i >= half || i % 2 === 0;
    this.#times = this.#times.filter(keep);
    this.#offsets = this.#offsets.filter(keep);
  }
}

function since(thenMs: number, nowMs: number): number {
  return Math.max(0, nowMs - thenMs) / 1000;
}
