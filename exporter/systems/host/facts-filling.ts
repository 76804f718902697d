// How fast does a folder fill, and when is it full? Pure.

/** `filling`: less and less is free. `steady`: it is not, or full only in more than a month. */
export type Filling =
  | { readonly state: 'filling'; readonly fullInSeconds: number }
  | { readonly state: 'steady' }
  | { readonly state: 'unknown'; readonly why: string };

const leastSeconds = 60;
const leastSamples = 4;
const horizonSeconds = 30 * 86_400;

/**
 * Free bytes over time, as far back as the window. The rate is that of the least squares line: binary logs that are purged
 * make a saw of it, of which neither the first nor the last tooth must count alone. A burst counts too: where the last
 * quarter of the samples fills faster than the whole, its rate is taken, because an alarm too early is the cheaper error.
 */
export class FillHistory {
  readonly #windowMs: number;
  readonly #everyMs: number;
  #samples: { readonly atMs: number; readonly free: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    this.#everyMs = windowMs / 240; // bounded, however often it is scraped
  }

  /** @param atMs monotonic */
  add(atMs: number, freeBytes: number): void {
    const beforeLast = this.#samples.at(-2);
    // The newest sample is replaced until it is far enough from the one before it.
    if (beforeLast !== undefined && (this.#samples.at(-1)?.atMs ?? 0) - beforeLast.atMs < this.#everyMs)
      this.#samples.pop();
    this.#samples.push({ atMs, free: freeBytes });
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - this.#windowMs) this.#samples.shift();
  }

  get filling(): Filling {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined) return { state: 'unknown', why: 'it has not been looked at' };
    if (this.#samples.length < leastSamples || last.atMs - first.atMs < leastSeconds * 1000) {
      return { state: 'unknown', why: `it has been watched for less than ${String(leastSeconds)} s` };
    }
    const lately = this.#samples.slice(-Math.max(leastSamples, Math.ceil(this.#samples.length / 4)));
    const isLong = last.atMs - (lately[0]?.atMs ?? last.atMs) >= leastSeconds * 1000;
    const rate = Math.max(fillRate(this.#samples), isLong ? fillRate(lately) : 0);
    const fullInSeconds = last.free / rate;
    return rate > 0 && fullInSeconds < horizonSeconds ? { state: 'filling', fullInSeconds } : { state: 'steady' };
  }
}

/** Bytes per second that less are free, by least squares; negative when it empties. */
function fillRate(samples: readonly { readonly atMs: number; readonly free: number }[]): number {
  const n = samples.length;
  const t0 = samples[0]?.atMs ?? 0;
  const f0 = samples[0]?.free ?? 0;
  let [t, f, tt, tf] = [0, 0, 0, 0];
  for (const { atMs, free } of samples) {
    const x = (atMs - t0) / 1000;
    t += x;
    f += free - f0;
    tt += x * x;
    tf += x * (free - f0);
  }
  const spread = n * tt - t * t;
  return spread <= 0 ? 0 : -(n * tf - t * f) / spread;
}
