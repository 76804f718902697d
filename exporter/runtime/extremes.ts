// Of lists that a target makes as long as it likes: a call with more than 120,000 arguments overflows the stack (Node 24).

/** -Infinity of none, as Math.max. */
export function largestOf(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}

/** Infinity of none, as Math.min. */
export function smallestOf(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}
