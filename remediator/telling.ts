// What people are told of an episode: runs that did not help, and why nothing is done.
import type { Log } from '../exporter/runtime/log.ts';
import { failed, refused } from './escalate.ts';
import type { Decision, Episode } from './model.ts';
import { needsApprovalKey, type Plan } from './planner.ts';
import { askForApproval, endQuestions } from './questions.ts';
import type { Situation } from './situation.ts';
import type { ClaimResult, Store } from './store/store.ts';

interface TellingDeps {
  readonly store: Pick<
    Store,
    'runsOf' | 'requestApproval' | 'enqueue' | 'escalationsOf' | 'markEscalation' | 'openEpisodes'
  >;
  readonly clock: { readonly nowMs: () => number };
  readonly log: Log;
}

/** An unknown, or a claim that is not won, is told to people when it lasts this long. */
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

  /** By episode: claims that were lost one after the other. */
  readonly #lost = new Map<string, { readonly sinceMs: number; readonly times: number }>();

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
    if (plan.verdict !== 'act') this.#lost.delete(episode.id);
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

  /** One that is lost now and then is another remediator's, or a change that came between; one lost for long is a fault. */
  async claim(episode: Episode, decision: Decision, claimed: ClaimResult): Promise<void> {
    if (claimed.won) {
      this.#lost.delete(episode.id);
      return;
    }
    const nowMs = this.#deps.clock.nowMs();
    const before = this.#lost.get(episode.id) ?? { sinceMs: nowMs, times: 0 };
    const { sinceMs, times } = { ...before, times: before.times + 1 };
    this.#lost.set(episode.id, { sinceMs, times });
    if (nowMs - sinceMs < lastingMs) return;
    const seconds = Math.round((nowMs - sinceMs) / 1000);
    const because = `the guards allow it, and it was not begun ${times} times in ${seconds} s: ${claimed.because}`;
    const told = { ...decision, reasonKey: `claim:${claimed.code}`, because };
    await this.#deps.store.enqueue(refused(episode, told), nowMs);
  }

  /** It has a run, whoever began it: what was lost before is no fault that lasts. */
  underWay(episodeId: string): void {
    this.#lost.delete(episodeId);
  }

  /** Keeps only what is of these episodes. */
  keep(openIds: ReadonlySet<string>): void {
    for (const id of this.#lost.keys()) if (!openIds.has(id)) this.#lost.delete(id);
    for (const id of this.#unsureSinceMs.keys()) if (!openIds.has(id)) this.#unsureSinceMs.delete(id);
  }
}
