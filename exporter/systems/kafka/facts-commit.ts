// What a group's commits were in the sweeps before: for how long one has not moved, and when one last did.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Moment, PartitionLag, StuckCommit } from './facts-partition.ts';

/** Of one group in one topic. */
export class TopicCommits {
  /** By partition; only of those where records wait. */
  readonly #stuck = new Map<number, StuckCommit>();
  #sum: number | undefined;
  #movedAtMs: number | undefined;

  /** @param bornAtMs monotonic; given when an earlier sweep saw that the group had committed nothing here. */
  constructor(bornAtMs?: number) {
    this.#movedAtMs = bornAtMs;
  }

  stuck(partition: number): StuckCommit | undefined {
    return this.#stuck.get(partition);
  }

  /** The topic was made anew: its offsets are others. */
  startOver(): void {
    this.#stuck.clear();
    this.#sum = undefined;
  }

  /**
   * For how long no partition's commit has moved, as seen by us: from the sweep that first saw the newest one.
   * Unknown until a move was seen, and told only when all commits are known.
   */
  remember(lags: ReadonlyMap<number, PartitionLag>, now: Moment): Known<number> {
    let sum: number | undefined = 0;
    for (const [partition, lag] of lags) {
      this.#rememberStuck(partition, lag, now);
      if (!lag.committed.known) sum = undefined;
      else if (sum !== undefined && lag.committed.value !== 'none') sum += lag.committed.value + 1;
    }
    if (sum !== undefined) {
      if (this.#sum !== undefined && this.#sum !== sum) this.#movedAtMs = now.monoMs;
      this.#sum = sum;
    }
    if (this.#movedAtMs === undefined) return unknown('no commit has been seen to move yet');
    if (sum === undefined) return unknown('a commit could not be read');
    return known(Math.max(0, now.monoMs - this.#movedAtMs) / 1000, now.wallMs);
  }

  #rememberStuck(partition: number, { committed, lag }: PartitionLag, now: Moment): void {
    if (!committed.known || committed.value === 'none' || !lag.known) return;
    if (lag.value === 0) this.#stuck.delete(partition);
    else if (this.#stuck.get(partition)?.committed !== committed.value) {
      this.#stuck.set(partition, { committed: committed.value, sinceMs: now.monoMs });
    }
  }
}
