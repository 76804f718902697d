// What a group's commits were in the sweeps before: for how long one has not moved, and when one last did.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { LagRow, Moment } from './facts-partition.ts';

/** Of one group in one topic. */
export class TopicCommits {
  /** Of the partitions at the same places in the columns. */
  #numbers: readonly number[] = [];
  /** Commits behind which records wait, and since when they were seen so, monotonic; NaN where none do. */
  #stuck = new Float64Array();
  #sinceMs = new Float64Array();
  #sum: number | undefined;
  #movedAtMs: number | undefined;

  /** @param bornAtMs monotonic; given when an earlier sweep saw that the group had committed nothing here. */
  constructor(bornAtMs?: number) {
    this.#movedAtMs = bornAtMs;
  }

  /** From here on places are those of these partitions. */
  align(numbers: readonly number[]): void {
    const before = this.#numbers;
    this.#numbers = numbers;
    if (numbers.length === before.length && numbers.every((number, place) => before[place] === number)) return;
    const places = new Map(before.map((number, place) => [number, place]));
    const moved = (column: Float64Array): Float64Array<ArrayBuffer> =>
      Float64Array.from(numbers, (number) => column[places.get(number) ?? -1] ?? NaN);
    this.#stuck = moved(this.#stuck);
    this.#sinceMs = moved(this.#sinceMs);
  }

  /** Undefined when records were not yet seen to wait behind this commit. */
  stuckSinceMs(place: number, committed: number): number | undefined {
    return this.#stuck[place] === committed ? this.#sinceMs[place] : undefined;
  }

  /** The topic was made anew: its offsets are others. */
  startOver(): void {
    this.#stuck.fill(NaN);
    this.#sum = undefined;
  }

  /**
   * For how long no partition's commit has moved, as seen by us: from the sweep that first saw the newest one.
   * Unknown until a move was seen, and told only when all commits are known.
   * @param rows of all partitions, in the order that was aligned to
   */
  remember(rows: Iterable<LagRow>, now: Moment): Known<number> {
    let sum: number | undefined = 0;
    let place = 0;
    for (const { committed, lag } of rows) {
      if (typeof committed === 'number' && lag !== undefined) this.#rememberStuck(place, committed, lag, now);
      place += 1;
      if (committed === undefined) sum = undefined;
      else if (sum !== undefined && committed !== 'none') sum += committed + 1;
    }
    if (sum !== undefined) {
      if (this.#sum !== undefined && this.#sum !== sum) this.#movedAtMs = now.monoMs;
      this.#sum = sum;
    }
    if (this.#movedAtMs === undefined) return unknown('no commit has been seen to move yet');
    if (sum === undefined) return unknown('a commit could not be read');
    return known(Math.max(0, now.monoMs - this.#movedAtMs) / 1000, now.wallMs);
  }

  #rememberStuck(place: number, committed: number, lag: number, now: Moment): void {
    if (lag === 0) this.#stuck[place] = NaN;
    else if (this.#stuck[place] !== committed) {
      this.#stuck[place] = committed;
      this.#sinceMs[place] = now.monoMs;
    }
  }
}
