import type { Background } from '../collector.ts';
import type { BoundTarget } from '../system.ts';
import { classOf, messageOf } from '../runtime/errors.ts';
import { paused } from '../runtime/repeat.ts';
import { attempt } from './connection.ts';
import { peersOf, type SweepDeps } from './sweep-deps.ts';

/** Between a fault and the next try; doubled after each fault that follows within it. */
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;
/** A job that does not end within this time after it was told to is left behind; what it holds ends with the process. */
const endWithinMs = 5_000;

/** The work of a target's collectors beside its sweeps, from construction to `stop`. */
export class BackgroundWork {
  readonly #abort = new AbortController();
  readonly #jobs: readonly Promise<void>[];

  /** @param after what must have ended before: the same target's work before a reload */
  constructor(bound: BoundTarget, target: string, deps: SweepDeps, after: Promise<void> = Promise.resolve()) {
    const { signal } = this.#abort;
    // Outside of rounds the newest that is known will do.
    const peers = peersOf(deps, target, { sinceMs: -Infinity, signal, patienceMs: 0 });
    const work = { target, clock: deps.clock, ...peers };
    this.#jobs = bound.collectors.flatMap(({ name, background }) => {
      if (background === undefined) return [];
      const its = { ...work, signal, log: deps.log.child({ collector: name }) };
      return [after.then(() => keepOn(() => background(its), its, name, deps))];
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort(new DOMException('the work for this target is over', 'AbortError'));
    const ended = new AbortController();
    await Promise.race([
      Promise.all(this.#jobs).finally(() => {
        ended.abort();
      }),
      paused(endWithinMs, ended.signal),
    ]);
  }
}

async function keepOn(
  job: () => Promise<void>,
  { signal, log, clock }: Omit<Background<unknown>, 'open'>,
  name: string,
  { fault }: Pick<SweepDeps, 'fault'>,
): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  let pauseMs = firstPauseMs;
  while (!isOver()) {
    const startedAtMs = clock.monoMs();
    try {
      await attempt(job);
      return; // it has nothing to do
    } catch (error) {
      if (isOver()) return;
      const failure = { class: classOf(error), why: messageOf(error) };
      log.warn(failure, 'work in the background failed, it is begun anew');
      if (failure.class === 'bug') fault(`background ${name}`, error);
    }
    if (clock.monoMs() - startedAtMs > longestPauseMs) pauseMs = firstPauseMs;
    await paused(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}
