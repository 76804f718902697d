/**
 * How old is an offset? Samples (time, end offset) of one append-only log. The age of an offset is the time since the
 * end of the log passed it, interpolated between the two samples around it. Used for Kafka partitions and for the Redis
 * replication stream: it needs no read of the data and no clock but our own.
 *
 * Error bound: the distance in time between the two samples around the offset. That is one sweep interval for what was
 * written lately; when the samples are full, the one whose neighbours are closest together in proportion to their age is
 * dropped, so that the bound grows with the age and stays a small part of it. For an offset older than the first sample
 * `atLeast` is true and the age is a lower bound.
 */
export interface OffsetAge {
  readonly seconds: number;
  /** The offset is older than the history: the true age is at least this. */
  readonly atLeast: boolean;
}

/** What the samples prove of an age. */
export interface AgeBounds {
  readonly least: number;
  /** Undefined: the offset is older than the history. */
  readonly most: number | undefined;
}

export class OffsetHistory {
  readonly #capacity: number;
  #times: number[] = [];
  #offsets: number[] = [];
  #backfilled = false;
  #ownSinceMs: number | undefined;

  /** @param capacity samples kept, at least 4 */
  constructor(capacity = 120) {
    this.#capacity = Math.max(4, capacity);
  }

  /** True once `backfill` was called, until the log starts over. */
  get backfilled(): boolean {
    return this.#backfilled;
  }

  /** When the first sample of our own was taken, since the log started over last. */
  get ownSinceMs(): number | undefined {
    return this.#ownSinceMs;
  }

  /** `atMs` from a monotonic clock. A smaller end than before (log recreated, unclean leader, failover) starts over. */
  add(atMs: number, endOffset: number): void {
    const last = this.#offsets.at(-1);
    if (last !== undefined && endOffset < last) this.#reset();
    this.#ownSinceMs ??= atMs;
    // An end that did not move only lengthens its plateau: keep its first and its newest sample.
    if (last === endOffset && this.#offsets.at(-2) === endOffset) {
      this.#times[this.#times.length - 1] = atMs;
      return;
    }
    this.#times.push(atMs);
    this.#offsets.push(endOffset);
    if (this.#times.length > this.#capacity) this.#dropOne(atMs);
  }

  /** Samples from before the first one, known from elsewhere, in any order. Those that contradict it are left out. */
  backfill(samples: readonly { readonly atMs: number; readonly endOffset: number }[]): void {
    this.#backfilled = true;
    for (const { atMs, endOffset } of [...samples].sort((a, b) => b.atMs - a.atMs)) {
      if (atMs >= (this.#times[0] ?? Infinity) || endOffset > (this.#offsets[0] ?? Infinity)) continue;
      this.#times.unshift(atMs);
      this.#offsets.unshift(endOffset);
    }
    while (this.#times.length > this.#capacity) this.#dropOne(this.#times.at(-1) ?? 0);
  }

  /** One more sample known from elsewhere, between the others; false when it contradicts them, and is left out. */
  insert(atMs: number, endOffset: number): boolean {
    const i = this.#times.findIndex((time) => time >= atMs);
    if (i < 1 || this.#times[i] === atMs) return false;
    if (endOffset < (this.#offsets[i - 1] ?? Infinity) || endOffset > (this.#offsets[i] ?? -1)) return false;
    this.#times.splice(i, 0, atMs);
    this.#offsets.splice(i, 0, endOffset);
    if (this.#times.length > this.#capacity) this.#dropOne(this.#times.at(-1) ?? 0);
    return true;
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
    if (offset < oldest) return { seconds: since(this.#times[0] ?? nowMs, nowMs), atLeast: true };
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

  /** Between which two ages the true one lies, in seconds: those of the samples before and after the offset. */
  boundsAt(offset: number, nowMs: number): AgeBounds | undefined {
    const n = this.#offsets.length;
    const [oldest, newest] = [this.#offsets[0], this.#offsets[n - 1]];
    if (oldest === undefined || newest === undefined) return undefined;
    // What comes behind all that was seen has been written since the last look, if it is there at all.
    if (offset >= newest) return { least: 0, most: since(this.#times[n - 1] ?? nowMs, nowMs) };
    const after = this.#offsets.findIndex((end) => end > offset);
    const least = since(this.#times[after] ?? nowMs, nowMs);
    return { least, most: after === 0 ? undefined : since(this.#times[after - 1] ?? nowMs, nowMs) };
  }

  #reset(): void {
    this.#times = [];
    this.#offsets = [];
    this.#backfilled = false;
    this.#ownSinceMs = undefined;
  }

  /**
   * Without a sample the bound around it becomes the distance of its neighbours. The ends stay: the first says how far
   * back the history goes, the last two are the newest plateau. The end of a long plateau has far neighbours and stays
   * long; were it dropped, the records after an idle night would seem a night old.
   */
  #dropOne(nowMs: number): void {
    let drop = 1;
    let least = Infinity;
    for (let i = 1; i < this.#times.length - 2; i++) {
      const after = this.#times[i + 1] ?? 0;
      const cost = (after - (this.#times[i - 1] ?? 0)) / (nowMs - after + 1);
      if (cost < least) {
        least = cost;
        drop = i;
      }
    }
    this.#times.splice(drop, 1);
    this.#offsets.splice(drop, 1);
  }
}

function since(thenMs: number, nowMs: number): number {
  return Math.max(0, nowMs - thenMs) / 1000;
}
