/** Numbers in [0, 1), the same ones for the same seed. */
export type Random = () => number;

/** A linear congruential generator modulo 2^32, with the constants of Numerical Recipes: good enough to vary tests. */
export function generator(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next(); // neighbouring seeds begin alike
  return next;
}
