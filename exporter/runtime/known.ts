/**
 * A fact: known with the time it was observed, or unknown with the reason. Never undefined, never NaN:
 * `NaN > limit` is false and `JSON.stringify(NaN)` is null, so an unknown would pass for a small number.
 */
export type Known<T> =
  | { readonly known: true; readonly value: T; readonly observedAtMs: number }
  | { readonly known: false; readonly why: string };

export function known<T>(value: T, observedAtMs: number): Known<T> {
  return { known: true, value, observedAtMs };
}

export function unknown(why: string): { readonly known: false; readonly why: string } {
  return { known: false, why };
}

/** The same fact seen through a function; unknown stays unknown with its reason. */
export function mapKnown<T, U>(fact: Known<T>, f: (value: T) => U): Known<U> {
  return fact.known ? { known: true, value: f(fact.value), observedAtMs: fact.observedAtMs } : fact;
}
