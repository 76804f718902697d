import type { FactBoard } from '../facts.ts';
import { classOf, messageOf, targetErrorCodes, type TargetErrorCode } from '../runtime/errors.ts';
import { oneLine } from '../runtime/one-line.ts';
import type { Block } from './writer.ts';

/** Why something was not had. */
export interface Failure {
  readonly class: TargetErrorCode;
  readonly why: string;
}

/** What one collector yielded. */
export interface Outcome {
  readonly collector: string;
  /** Undefined when it succeeded. */
  readonly failure: Failure | undefined;
  /** Undefined when it was not run. */
  readonly durationMs: number | undefined;
  /** On the monotonic clock: when what it yielded was observed. */
  readonly observedAtMs: number;
  readonly blocks: readonly Block[];
  readonly board: FactBoard;
  /** Series that were not even written, by family: far more than the target's limit. */
  readonly refused: ReadonlyMap<string, number>;
}

/** Of what a server said: it is kept, logged and shown, and a server may say megabytes. */
const mostWhyChars = 1000;

/** Whatever a client throws once its time is over, its time being over is the reason. */
export function failureOf(error: unknown, signal: AbortSignal): Failure {
  const found = classOf(error);
  // Of a client that made one of the target's own words: as a label it would end the scrape of all targets.
  const known = targetErrorCodes.includes(found) ? found : 'bug';
  return { class: signal.aborted ? 'deadline' : known, why: oneLine(messageOf(error), mostWhyChars) };
}

/** The target may be well: it is this program that was late. */
export const queued: Failure = {
  class: 'queue',
  why: 'not asked: too many other targets were before it until the time was over (--max-sweeps)',
};

/** What it was before the reload may hang; what it is now was not asked. */
export const replacing: Failure = {
  class: 'queue',
  why: 'not asked yet: the sweep of what it was before the reload has not ended',
};
