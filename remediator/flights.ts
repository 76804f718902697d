// Work on many things, each apart from all others: one that hangs keeps none of the others waiting.
import { pause } from '../exporter/runtime/deadline.ts';
import { messageOf } from '../exporter/runtime/errors.ts';

export interface FlightLimits {
  /** Keys that are worked on side by side. One that is late is not counted: it only waits. */
  readonly most: number;
  /** After this its place is another one's. */
  readonly lateMs: number;
}

interface Waiting<T> {
  item: T;
  readonly done: Promise<void>;
  readonly settle: () => void;
}

interface Flight<T> {
  /** Those after the one that is worked on. */
  readonly waiting: Waiting<T>[];
  readonly done: Promise<void>;
}

/**
 * Of one key one item after the other, in their order; of different keys side by side. A key that was late at its last
 * time takes no place at all, so that those which hang again and again delay nobody again and again.
 */
export class Flights<T> {
  readonly #limits: FlightLimits;
  readonly #work: (item: T) => Promise<void>;
  readonly #isSame: (one: T, other: T) => boolean;
  readonly #flights = new Map<string, Flight<T>>();
  /** One for each place that is taken; each takes itself out. */
  readonly #places = new Set<Promise<void>>();
  readonly #late = new Set<string>();
  readonly #failures: unknown[] = [];

  /** @param isSame the newer one stands for the other, if that waits still */
  constructor(limits: FlightLimits, work: (item: T) => Promise<void>, isSame: (one: T, other: T) => boolean) {
    this.#limits = limits;
    this.#work = work;
    this.#isSame = isSame;
  }

  get count(): number {
    return this.#flights.size;
  }

  /** Something has failed that was not raised yet. */
  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  isUnderWay(key: string): boolean {
    return this.#flights.has(key);
  }

  isLate(key: string): boolean {
    return this.#late.has(key);
  }

  /** Resolves when work on this key may begin. */
  async place(key: string): Promise<void> {
    while (this.#places.size >= this.#limits.most && !this.isLate(key)) await Promise.race(this.#places);
  }

  /**
   * Begun now, or when what is under way for its key is done; one that waits already keeps its turn. The answer settles when
   * this one is done, or left for later after a failure; never rejects.
   */
  add(key: string, item: T): { readonly done: Promise<void> } {
    const under = this.#flights.get(key);
    const same = under?.waiting.find((w) => this.#isSame(w.item, item));
    if (same !== undefined) {
      same.item = item;
      return same;
    }
    let settle = (): void => undefined;
    const done = new Promise<void>((resolve) => (settle = resolve));
    const one: Waiting<T> = { item, done, settle };
    if (under !== undefined) {
      under.waiting.push(one);
      return one;
    }
    const waiting = [one];
    const ended = new AbortController();
    const flight = { waiting, done: this.#fly(key, waiting, ended) };
    this.#flights.set(key, flight);
    this.#watch(key, ended.signal);
    return one;
  }

  /** When all that is under way now is done. */
  async ended(): Promise<void> {
    await Promise.all([...this.#flights.values()].map(({ done }) => done));
  }

  /** @throws the first failure since the last call */
  raise(): void {
    const [first] = this.#failures.splice(0);
    if (first !== undefined) throw first instanceof Error ? first : new Error(messageOf(first));
  }

  /** Forgets what is known of other keys. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#late) if (!keys.has(key)) this.#late.delete(key);
  }

  /** After a failure the rest of the key is left for later. */
  async #fly(key: string, waiting: Waiting<T>[], ended: AbortController): Promise<void> {
    try {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        try {
          await this.#work(one.item);
        } finally {
          one.settle();
        }
      }
    } catch (error) {
      this.#failures.push(error);
    }
    // in the same turn as the last look at what waits: nothing is added to a flight that is over
    this.#flights.delete(key);
    ended.abort();
    for (const { settle } of waiting) settle();
  }

  #watch(key: string, ended: AbortSignal): void {
    const inTime = pause(this.#limits.lateMs, ended).then(
      () => false,
      () => true,
    );
    const place = inTime.then((wasInTime) => {
      this.#places.delete(place);
      if (wasInTime) this.#late.delete(key);
      else this.#late.add(key);
    });
    if (!this.isLate(key)) this.#places.add(place);
  }
}
