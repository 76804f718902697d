// For how long the facts of an episode have said the same: a symptom that only flickers is not acted upon.
import type { Look } from './action.ts';
import type { PlanInput } from './guard.ts';

interface Symptom {
  readonly key: string;
  readonly sinceMonoMs: number;
  readonly looks: number;
}

export class Symptoms {
  readonly minimumMs: number;
  readonly #monoMs: () => number;
  readonly #byEpisode = new Map<string, Symptom>();

  constructor(minimumMs: number, monoMs: () => number) {
    this.minimumMs = minimumMs;
    this.#monoMs = monoMs;
  }

  /** @param key of the decision-relevant facts */
  seen(episodeId: string, look: Look<unknown> | undefined, key: string | undefined): PlanInput['symptom'] {
    const nowMono = this.#monoMs();
    const { minimumMs } = this;
    if (look === undefined || key === undefined || look.alreadyFixed.is !== 'allow') {
      this.forget(episodeId);
      return { looks: 0, heldMs: 0, minimumMs };
    }
    const before = this.#byEpisode.get(episodeId);
    const symptom: Symptom =
      before?.key === key ? { ...before, looks: before.looks + 1 } : { key, sinceMonoMs: nowMono, looks: 1 };
    this.#byEpisode.set(episodeId, symptom);
    return { looks: symptom.looks, heldMs: nowMono - symptom.sinceMonoMs, minimumMs };
  }

  forget(episodeId: string): void {
    this.#byEpisode.delete(episodeId);
  }

  /** Keeps only those of episodes that are open. */
  keep(openIds: ReadonlySet<string>): void {
    for (const id of this.#byEpisode.keys()) if (!openIds.has(id)) this.#byEpisode.delete(id);
  }
}
