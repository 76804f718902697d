// How much of large answers this program holds at the same time, over all connections: each has a limit of its own, and the
// limits of all of them together are more than a machine has.
import { TargetError } from './errors.ts';

/** What one answer holds. */
export interface AnswerShare {
  /** @returns `queue` when there is no room for so many more: it is no fault of the target. They are not counted then */
  readonly add: (bytes: number) => TargetError | undefined;
  /** The answer is over, or its connection. May be called more than once; the next answer begins anew. */
  readonly end: () => void;
}

const mib = 1024 * 1024;

/** Answers up to this size are not counted: whatever others send, what a sane server answers is read. */
const smallBytes = mib;
/** One answer of Kafka alone may have as much. */
const mostBytes = 256 * mib;

export class AnswerBudget {
  readonly #mostBytes: number;
  readonly #smallBytes: number;
  #held = 0;

  constructor(most = mostBytes, small = smallBytes) {
    this.#mostBytes = most;
    this.#smallBytes = small;
  }

  /** Bytes of answers that are counted now. */
  get held(): number {
    return this.#held;
  }

  begin(): AnswerShare {
    let bytes = 0;
    let counted = 0;
    return {
      add: (more) => {
        bytes += more;
        const due = Math.max(0, bytes - this.#smallBytes) - counted;
        if (due <= 0) return undefined;
        if (this.#held + due > this.#mostBytes) {
          const size = `${String(Math.ceil(this.#mostBytes / mib))} MiB`;
          return new TargetError('queue', `large answers of this and other targets are more than ${size} together`);
        }
        counted += due;
        this.#held += due;
        return undefined;
      },
      end: () => {
        this.#held -= counted;
        [bytes, counted] = [0, 0];
      },
    };
  }
}

/** Of this process. */
export const answerBudget = new AnswerBudget();
