import type { TargetErrorCode } from '../runtime/errors.ts';
import type { SweepLimits } from './limits.ts';
import type { Failure } from './outcome.ts';

/** One try of a target that could not be connected to. */
export interface FailedTry {
  readonly failure: Failure;
  /** Both monotonic. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** How long it could have taken. */
  readonly budgetMs: number;
}

/** The next try of a target comes when it has been down this much longer: its return is found so much late at most. */
const shareOfOutage = 1 / 8;
/** Up to this share a pause is made shorter by chance, so that targets that went down together are not asked together. */
const jitter = 0.2;
/** Patience that makes another try worth it where the one before ran out of time. */
const morePatience = 1.5;

/** Not the target's doing: nothing is learnt of it. */
const ours: readonly TargetErrorCode[] = ['bug', 'queue'];

/**
 * Leaves a target alone that is known to be down: the pauses grow with the time it has been down, up to a limit. Meanwhile
 * it stays down, for the reason of the last try.
 */
export class Backoff {
  readonly #limits: SweepLimits;
  #downSinceMs = 0;
  #last: (FailedTry & { readonly pauseMs: number }) | undefined;

  constructor(limits: SweepLimits) {
    this.#limits = limits;
  }

  failed(tried: FailedTry): void {
    if (ours.includes(tried.failure.class)) return;
    if (this.#last === undefined) this.#downSinceMs = tried.startedAtMs;
    const longestMs = Math.min(this.#limits.backoffAtMostMs, (tried.endedAtMs - this.#downSinceMs) * shareOfOutage);
    this.#last = { ...tried, pauseMs: longestMs * (1 - jitter * this.#limits.random()) };
  }

  /** It has answered, or what is known of it does not count any more. */
  forget(): void {
    this.#last = undefined;
  }

  /** When it was asked last without an answer; undefined when it is not known to be down. */
  get last(): FailedTry | undefined {
    return this.#last;
  }

  /** Until it is asked again; 0: now. */
  leftMs(nowMs: number): number {
    if (this.#last === undefined) return 0;
    return Math.max(0, this.#last.endedAtMs + this.#last.pauseMs - nowMs);
  }

  /** Why it is not asked now. Undefined: ask it. */
  resting(nowMs: number, budgetMs: number): Failure | undefined {
    const leftMs = this.leftMs(nowMs);
    if (this.#last === undefined || leftMs <= 0) return undefined;
    const { failure, endedAtMs } = this.#last;
    if (failure.class === 'deadline' && budgetMs > this.#last.budgetMs * morePatience) return undefined;
    const [ago, ahead] = [nowMs - endedAtMs, leftMs].map((ms) => (ms / 1000).toFixed(1));
    return { class: failure.class, why: `${failure.why} (asked ${ago ?? ''} s ago, again in ${ahead ?? ''} s)` };
  }
}
