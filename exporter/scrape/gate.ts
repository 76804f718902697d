import type { Clock } from '../runtime/clock.ts';

/** A place among the sweeps that run. `end` may be called more than once. */
export interface Turn {
  readonly end: () => void;
}

interface Waiting {
  readonly deadlineAtMs: number;
  readonly grant: () => void;
}

/** A sweep that takes longer than this waits for its target more than it works. */
const longestShareMs = 1000;
const shortestShareMs = 50;

/**
 * The limit of sweeps that run at the same time: it bounds the work that all targets together begin at once. First come,
 * first served, and nobody is starved: a sweep that has had its share of the time while others wait gives up its place and
 * goes on beside them. What hangs costs a socket, which every target has anyway, and no work; so it is not worth a place,
 * and a fleet with any number of hanging targets is still swept in time.
 */
export class SweepGate {
  readonly #limit: number;
  readonly #clock: Clock;
  /** Who has a place, since when; the oldest first. */
  readonly #holding = new Map<Turn, number>();
  #queue: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Undefined when the signal aborted first. Never rejects. */
  async enter(deadlineAtMs: number, signal: AbortSignal): Promise<Turn | undefined> {
    if (signal.aborted) return undefined;
    if (this.#queue.length === 0 && this.#holding.size < this.#limit) return this.#take();
    return await new Promise((resolve) => {
      const waiting: Waiting = {
        deadlineAtMs,
        grant: () => {
          signal.removeEventListener('abort', giveUp);
          resolve(this.#take());
        },
      };
      const giveUp = (): void => {
        this.#queue = this.#queue.filter((other) => other !== waiting);
        resolve(undefined);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#queue.push(waiting);
      this.#watch();
    });
  }

  #take(): Turn {
    const turn: Turn = {
      end: () => {
        if (this.#holding.delete(turn)) this.#admit();
      },
    };
    this.#holding.set(turn, this.#clock.monoMs());
    return turn;
  }

  #admit(): void {
    while (this.#holding.size < this.#limit) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      next.grant();
    }
    this.#watch();
  }

  /** While others wait, whoever has had its share goes on without a place. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [oldest] = this.#holding;
    const [first] = this.#queue;
    if (oldest === undefined || first === undefined) return;
    const [turn, sinceMs] = oldest;
    const leftMs = sinceMs + this.#shareMs(first) - this.#clock.monoMs();
    this.#timer = setTimeout(turn.end, Math.max(0, Math.ceil(leftMs)));
  }

  /** So that all who wait now have begun well before the first of them has to end. */
  #shareMs({ deadlineAtMs }: Waiting): number {
    const leftMs = deadlineAtMs - this.#clock.monoMs();
    const roundsToGo = Math.ceil(this.#queue.length / this.#limit) + 2;
    return Math.min(longestShareMs, Math.max(shortestShareMs, leftMs / roundsToGo));
  }
}
