import type { ConstantLabels } from './family-plan.ts';
import { defaultSeriesLimit } from './guard.ts';
import { LineRecorder, share, type KnownLines } from './known-lines.ts';
import { LineWriter } from './line-writer.ts';

/** Sweeps in which nothing is taken down, of a target that writes something else each time. */
const longestRest = 64;
/** So that what is kept is bounded: of a series that a target may have, what is kept of each of its collectors. Most have half as much. */
const bytesOfSeries = 200;

/** What one collector of one target has written, from sweep to sweep. */
export class LineMemory {
  #known: KnownLines | undefined;
  #breaks = 0;
  #rest = 0;
  readonly #mostBytes: number;

  constructor(seriesLimit: number = defaultSeriesLimit) {
    this.#mostBytes = seriesLimit * bytesOfSeries;
  }

  get isKnown(): boolean {
    return this.#known !== undefined;
  }

  /** Undefined when nothing is known. */
  writer(constant: ConstantLabels): LineWriter | undefined {
    const known = this.#known;
    return known?.constantKey === constant.key ? new LineWriter(known, constant) : undefined;
  }

  /** To take down what is written where nothing is known; undefined when it is not worth it. */
  recorder(constant: ConstantLabels): LineRecorder | undefined {
    this.#rest -= 1;
    return this.#rest < 0 ? new LineRecorder(constant, this.#mostBytes) : undefined;
  }

  learn(recorder: LineRecorder): void {
    const known = recorder.known();
    if (known === undefined) this.#rest = longestRest;
    else this.#known = share(known);
  }

  /** A sweep has written what was known, to its end. */
  held(): void {
    if (this.#breaks > 0) this.#breaks -= 1;
  }

  /** A sweep has written something else, or far less: it is taken down the next time, or later when that goes on. */
  broke(): void {
    this.#known = undefined;
    this.#rest = Math.min(2 ** this.#breaks - 1, longestRest);
    this.#breaks = Math.min(this.#breaks + 1, 10);
  }
}
