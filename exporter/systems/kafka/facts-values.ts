// Many numbers made one, without an unknown becoming a small number. Pure.
import { known, type Known } from '../../runtime/known.ts';

/** Unknown as soon as one is. */
export function sumOf(values: Iterable<Known<number>>): Known<number> {
  let sum = 0;
  let observedAtMs = Infinity;
  for (const value of values) {
    if (!value.known) return value;
    sum += value.value;
    observedAtMs = Math.min(observedAtMs, value.observedAtMs);
  }
  return known(sum, observedAtMs);
}

/** The largest of some numbers that may be unknown: then it is a lower bound, and says nothing when it is 0. */
export class Largest {
  #largest: number | undefined;
  #isPartial = false;

  add(value: number | undefined): void {
    if (value === undefined) this.#isPartial = true;
    else if (this.#largest === undefined || value > this.#largest) this.#largest = value;
  }

  get value(): number | undefined {
    return this.#isPartial && this.#largest !== undefined && this.#largest <= 0 ? undefined : this.#largest;
  }
}
