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

  publish<T>(target: string, key: FactKey<T>, fact: Known<T>): void {
    this.#facts.set(`${key.name}\0${target}`, fact);
  }

  read<T>(target: string, key: FactKey<T>): Known<T> {
    const fact = this.#facts.get(`${key.name}\0${target}`);
    if (fact !== undefined) return fact as Known<T>;
    return this.#under?.read(target, key) ?? unknown(`${key.name} of ${target} was not collected`);
  }

  /** Takes over what was published on another board. */
  take(other: FactBoard): void {
    for (const [key, fact] of other.#facts) this.#facts.set(key, fact);
  }
}
