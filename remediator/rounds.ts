// What is due, again and again: each target's episodes one after the other, and no target waits for another one.
import { unknown } from '../exporter/runtime/known.ts';
import type { LedgerClock } from './clock.ts';
import { writable, type Sweeping } from './fitness.ts';
import { Flights } from './flights.ts';
import type { Episode } from './model.ts';
import { lookMs } from './planned.ts';
import type { Store } from './store/store.ts';

export interface RoundsDeps {
  readonly store: Pick<Store, 'dueEpisodes' | 'scheduleEval' | 'openEpisodes' | 'setMeta'>;
  readonly clock: Pick<LedgerClock, 'nowMs'>;
  readonly judgeStorm: () => Promise<Sweeping['storm']>;
  /** @throws StoreError */
  readonly evaluate: (episode: Episode, sweeping: Sweeping) => Promise<void>;
  /** What is remembered of others may be forgotten. */
  readonly keep: (openIds: ReadonlySet<string>) => void;
  readonly isDraining: () => boolean;
}

export interface Rounds {
  /** Begins what is due, without waiting for its end. @throws StoreError, also of what was begun before */
  readonly begin: () => Promise<void>;
  /** The same, and waits until what it has begun is done. */
  readonly finish: () => Promise<void>;
  /** When all that is under way now is done. */
  readonly ended: () => Promise<void>;
}

interface Begun {
  readonly done: Promise<void>;
}

/** Whoever evaluates an episode has it for so long: longer than the longest look, or two would look at a time. */
export const takenMs = 2 * lookMs;
const limits = { most: 16, lateMs: 1_000 };
/** With more than this in the air nothing is asked that did not answer the last time. */
const mostInTheAir = 64;
const putOffMs = 1_000;

export function createRounds(deps: RoundsDeps): Rounds {
  const { store, clock } = deps;
  // One for all rounds: an answer that comes late is judged by what is known then.
  const sweeping: { -readonly [K in keyof Sweeping]: Sweeping[K] } = {
    sweeps: 0,
    startedMs: clock.nowMs(),
    storm: unknown('not judged yet'),
    store: unknown('not tried yet'),
  };
  let isFirstOver = false;
  let isBeginning = false;
  /** What was begun since the start, until all that was left open is. */
  const atStart: Begun[] = [];
  let isAllBegun = false;
  const flights = new Flights<Episode>(
    limits,
    async (episode) => {
      if (!deps.isDraining()) await deps.evaluate(episode, sweeping);
    },
    (one, other) => one.id === other.id,
  );

  const begin = async (): Promise<readonly Begun[]> => {
    if (isBeginning || deps.isDraining()) return [];
    isBeginning = true;
    try {
      return await round();
    } finally {
      isBeginning = false;
    }
  };

  const round = async (): Promise<readonly Begun[]> => {
    sweeping.storm = await deps.judgeStorm();
    const due = await store.dueEpisodes(clock.nowMs());
    // All that was left open before the start is looked at to the end in the first one, which may find nothing due.
    if (sweeping.sweeps === 0 || isFirstOver) sweeping.sweeps += 1;
    if (due.length > 0) sweeping.store = await writable(store, clock.nowMs());
    const begun: Begun[] = [];
    for (const episode of due) {
      if (deps.isDraining() || flights.hasFailed) return begun;
      const one = await beginOne(episode);
      if (one === undefined) continue;
      begun.push(one);
      if (!isAllBegun) atStart.push(one);
    }
    if (!isAllBegun) {
      isAllBegun = true;
      // not the end of all flights: one of a target that hangs, with several alerts, may never come
      void Promise.all(atStart.splice(0).map(({ done }) => done)).then(() => (isFirstOver = true));
    }
    const open = await store.openEpisodes();
    flights.keep(new Set(open.map(keyOf)));
    deps.keep(new Set(open.map(({ id }) => id)));
    return begun;
  };

  const beginOne = async (episode: Episode): Promise<Begun | undefined> => {
    const key = keyOf(episode);
    if (flights.isUnderWay(key)) {
      // Its turn comes after what is under way; till then it is no longer due, or all rounds would find it.
      const nextEvalMs = clock.nowMs() + takenMs;
      const isTaken = await store.scheduleEval(episode.id, episode.nextEvalMs, nextEvalMs);
      return isTaken ? flights.add(key, { ...episode, nextEvalMs }) : undefined;
    }
    if (flights.isLate(key) && flights.count >= mostInTheAir) {
      await store.scheduleEval(episode.id, episode.nextEvalMs, clock.nowMs() + putOffMs);
      return undefined;
    }
    await flights.place(key);
    return flights.add(key, episode);
  };

  return {
    begin: async () => {
      await begin();
      flights.raise();
    },
    finish: async () => {
      await Promise.all((await begin()).map(({ done }) => done));
      flights.raise();
    },
    ended: () => flights.ended(),
  };
}

function keyOf({ id, labels }: Episode): string {
  return labels['target'] ?? id;
}
