// What people are told of an episode: runs that did not help, and why nothing is done.
import type { Log } from '../exporter/runtime/log.ts';
import { failed, refused } from './escalate.ts';
import type { Decision, Episode } from './model.ts';
import { needsApprovalKey, type Plan } from './planner.ts';
import { askForApproval, endQuestions } from './questions.ts';
import type { Situation } from './situation.ts';
import type { Store } from './store/store.ts';

interface TellingDeps {
  readonly store: Pick<
    Store,
    'runsOf' | 'requestApproval' | 'enqueue' | 'escalationsOf' | 'markEscalation' | 'openEpisodes'
  >;
  readonly clock: { readonly nowMs: () => number };
  readonly log: Log;
}

/** An unknown that lasts this long is told to people. */
const lastingMs = 60_000;

/**
 * The newest run that people must hear of, told or not: the end of a run and its telling are two transactions, so a crash
 * or a full store may lie between. The outbox takes it only once. The failures of an episode are one alert: an older one,
 * told again, would take the place of the newest. A run that was refused under its claim is told from the second one on:
 * the first may have met a passing trouble.
 */
export async function tellFailure({ store, clock }: Omit<TellingDeps, 'log'>, episode: Episode): Promise<void> {
  const runs = await store.runsOf({ episodeId: episode.id, limit: 100 }); // newest first
  const refusedAgain = runs.filter((r) => r.outcome === 'refused').at(-2);
  const newest = runs.find(
    (r) => r === refusedAgain || r.outcome === 'failed' || r.outcome === 'outcome_unknown' || r.outcome === 'overtaken',
  );
  if (newest !== undefined) await store.enqueue(failed(episode, newest), clock.nowMs());
}

export class Telling {
  readonly #deps: TellingDeps;
  /** By episode: since when nothing could be decided, for whatever reasons. */
  readonly #unsureSinceMs = new Map<string, number>();

  constructor(deps: TellingDeps) {
    this.#deps = deps;
  }

  /**
   * One notification per reason: the outbox keeps the key.
   * @param situation undefined: there is none, the evaluation has failed
   */
  async decision(episode: Episode, plan: Plan, decision: Decision, situation: Situation | undefined): Promise<void> {
    const { tell, reasonKey } = plan;
    const nowMs = this.#deps.clock.nowMs();
    if (tell === 'if_it_lasts') {
      // what is asked for without an answer may have another reason each time
      const sinceMs = Math.min(this.#unsureSinceMs.get(episode.id) ?? nowMs, decision.firstMs);
      this.#unsureSinceMs.set(episode.id, sinceMs);
      if (situation !== undefined) await endQuestions(this.#deps, episode);
      if (nowMs - sinceMs >= lastingMs) await this.#deps.store.enqueue(refused(episode, decision), nowMs);
      return;
    }
    this.#unsureSinceMs.delete(episode.id);
    if (reasonKey === needsApprovalKey && situation !== undefined) {
      await askForApproval(this.#deps, episode, decision, situation);
      return;
    }
    await endQuestions(this.#deps, episode);
    if (tell === 'at_once') await this.#deps.store.enqueue(refused(episode, decision), nowMs);
  }

  /** Keeps only what is of these episodes. */
  keep(openIds: ReadonlySet<string>): void {
    for (const id of this.#unsureSinceMs.keys()) if (!openIds.has(id)) this.#unsureSinceMs.delete(id);
  }
}
