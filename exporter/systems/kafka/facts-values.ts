// Many numbers made one, without an unknown becoming a small number. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';

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

/** The largest one that is known, as a lower bound; unknown when that would be 0 though one is unknown, or there is none. */
export function largestOf(values: Iterable<Known<number>>): Known<number> {
  let largest: number | undefined;
  let observedAtMs = Infinity;
  let why: string | undefined;
  for (const value of values) {
    if (!value.known) {
      why ??= value.why;
      continue;
    }
    largest = Math.max(largest ?? -Infinity, value.value);
    observedAtMs = Math.min(observedAtMs, value.observedAtMs);
  }
  if (largest === undefined) return unknown(why ?? 'there is none');
  return largest <= 0 && why !== undefined ? unknown(why) : known(largest, observedAtMs);
}
