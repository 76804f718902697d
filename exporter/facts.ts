import { unknown, type Known } from './runtime/known.ts';

/** Names a kind of fact and carries its type. */
export interface FactKey<T> {
  readonly name: string;
  /** Never set: keeps two keys of different types apart. */
  readonly type?: (value: T) => T;
}

export function factKey<T>(name: string): FactKey<T> {
  return { name };
}

function idOf(target: string, key: { readonly name: string }): string {
  return `${key.name}\0${target}`;
}

function notCollected(target: string, key: { readonly name: string }): Known<never> {
  return unknown(`${key.name} of ${target} was not collected`);
}

/**
 * What the collectors of one sweep found, by target: the pipeline's numbers are made of the same facts as each
 * system's own series, and nothing is asked twice.
 */
export class FactBoard {
  readonly #facts = new Map<string, Known<unknown>>();
  readonly #under: FactBoard | undefined;

  /** What is not found here is looked for in `under`. */
  constructor(under?: FactBoard) {
    this.#under = under;
  }

  /** The same for all collectors of one sweep of one target, and another one in the next: what they share hangs on it. */
  get root(): FactBoard {
    return this.#under?.root ?? this;
  }

  publish<T>(target: string, key: FactKey<T>, fact: Known<T>): void {
    this.#facts.set(idOf(target, key), fact);
  }

  read<T>(target: string, key: FactKey<T>): Known<T> {
    const fact = this.#facts.get(idOf(target, key));
    if (fact !== undefined) return fact as Known<T>;
    return this.#under?.read(target, key) ?? notCollected(target, key);
  }

  /** What was published on this board itself, by `idOf`. */
  get entries(): Iterable<readonly [id: string, fact: Known<unknown>]> {
    return this.#facts;
  }

  /** Takes over what was published on another board. */
  take(other: FactBoard): void {
    for (const [key, fact] of other.#facts) this.#facts.set(key, fact);
  }
}

interface Waiting {
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** When nothing more is to be expected. */
  readonly ended?: Promise<void> | undefined;
}

/**
 * A target, or a collector of it, that nobody asks for any more says nothing of now: /probe asks for one at a time, and
 * with collect[] for a part of one. Longer than the longest useful scrape interval, which is 5 minutes.
 */
const heldMs = 600_000;

/**
 * The newest facts of all targets, from sweep to sweep: for a collector whose numbers are made of two targets' facts and
 * that must know which of the two was read first. A fact is shared when its collector has ended.
 */
export class SharedFacts {
  readonly #monoMs: () => number;
  readonly #newest = new Map<string, { readonly fact: Known<unknown>; readonly sharedAtMs: number }>();
  readonly #waiting = new Set<() => void>();

  /** @param monoMs without it nothing ever grows old: for one look */
  constructor(monoMs: () => number = () => -Infinity) {
    this.#monoMs = monoMs;
  }

  /** @param nowMs monotonic */
  share(board: FactBoard, nowMs: number): void {
    for (const [id, fact] of board.entries) this.#newest.set(id, { fact, sharedAtMs: nowMs });
    for (const look of [...this.#waiting]) look();
  }

  /**
   * A fact that is shared at or after `sinceMs` (monotonic), awaited for at most `waitMs`; without one, the newest before,
   * while it may still hold. Never rejects.
   */
  async newest<T>(target: string, key: FactKey<T>, wait: Waiting & { readonly sinceMs: number }): Promise<Known<T>> {
    const id = idOf(target, key);
    const isNew = (): boolean => (this.#newest.get(id)?.sharedAtMs ?? -Infinity) >= wait.sinceMs;
    if (!isNew() && !wait.signal.aborted) await this.#change(isNew, wait);
    const found = this.#newest.get(id);
    if (found === undefined) return notCollected(target, key);
    const ageMs = this.#monoMs() - found.sharedAtMs;
    return ageMs > heldMs ? unknown(`${key.name} of ${target} was not collected lately`) : (found.fact as Known<T>);
  }

  /** Of a target that is no more, or is another one under the same name. */
  forget(target: string): void {
    for (const id of [...this.#newest.keys()]) if (id.endsWith(`\0${target}`)) this.#newest.delete(id);
  }

  #change(is: () => boolean, wait: Waiting): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        wait.signal.removeEventListener('abort', end);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (is()) end();
      };
      const timer = setTimeout(end, wait.waitMs);
      wait.signal.addEventListener('abort', end);
      void wait.ended?.then(end);
      this.#waiting.add(look);
    });
  }
}
