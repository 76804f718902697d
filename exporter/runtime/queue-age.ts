import { OffsetHistory, type OffsetAge } from './offset-history.ts';

/**
 * How long has the oldest element of a queue waited, where only counts are told: of what has left it, and of what is in
 * it. First in, first out: what has left is `out`, so the oldest that waits came in when the sum of both passed that.
 */
export class QueueAge {
  #in = new OffsetHistory();
  #last = { out: 0, in: 0 };

  /**
   * @param nowMs monotonic
   */
  look(nowMs: number, out: number, waiting: number): OffsetAge {
    // Counted anew, by another process. A little less than before is not that: the counts are not read at one instant.
    if (out + waiting < this.#last.out) {
      this.#in = new OffsetHistory();
      this.#last = { out: 0, in: 0 };
    }
    const left = Math.max(this.#last.out, out);
    const sum = Math.max(this.#last.in, out + waiting);
    this.#last = { out: left, in: sum };
    this.#in.add(nowMs, sum);
    if (waiting === 0) return { seconds: 0, atLeast: false };
    return this.#in.ageAt(left, nowMs) ?? { seconds: 0, atLeast: true };
  }
}
