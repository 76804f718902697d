// What earlier runs say about the next one: relapses, the link of the chain that is due, progress, lost trust.
import type { LinkView, PlanInput, Policy } from './guard.ts';
import type { Demotion, Episode, Json, Run } from './model.ts';

/** What a run keeps of its policy for later ones, beside the policy itself; see claim(). */
export interface KeptOfRun {
  readonly policy: string;
  readonly progressMark: string | undefined;
  /** See Look.once. */
  readonly once: string | undefined;
  readonly mode: Policy['mode'] | undefined;
}

export function keptOf(run: Pick<Run, 'policy'>): KeptOfRun {
  const kept = run.policy;
  const text = (key: string): string | undefined => {
    if (typeof kept !== 'object' || kept === null || Array.isArray(kept)) return undefined;
    const value = (kept as Readonly<Record<string, Json>>)[key];
    return typeof value === 'string' ? value : undefined;
  };
  const mode = text('mode');
  return {
    policy: text('name') ?? '',
    progressMark: text('progressMark'),
    once: text('once'),
    mode: mode === 'observe' || mode === 'approve' || mode === 'auto' ? mode : undefined,
  };
}

/**
 * Those of the same object within the target (a channel of a replica): what has happened to another one says nothing of
 * this one. Runs of other actions stay: they may have no such part.
 */
export function ofObject(
  runs: readonly Run[],
  action: { readonly name: string; readonly objectLabels: Readonly<Record<string, string>> } | undefined,
  params: Json,
): readonly Run[] {
  if (action === undefined) return runs;
  const names = Object.keys(action.objectLabels);
  return runs.filter(
    (r) => r.action !== action.name || names.every((n) => namedIn(r.params, n) === namedIn(params, n)),
  );
}

/** The default one is not named, or by an empty name. */
function namedIn(params: Json, name: string): Json {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return '';
  return (params as Readonly<Record<string, Json>>)[name] ?? '';
}

/**
 * Repairs that did not hold: the end of each verified run that was followed by trouble within `relapseMs`. What follows is
 * the next run of the policy on the target, or the episode that is open now.
 * @param runs of the target, and of the object that is open; in any order
 */
export function relapsesOf(
  runs: readonly Run[],
  policy: Pick<Policy, 'name' | 'relapseMs'>,
  open: { readonly episode: Episode; readonly isBroken: boolean; readonly nowMs: number } | undefined,
): readonly number[] {
  const own = runs.filter((r) => keptOf(r).policy === policy.name).toSorted((a, b) => a.claimedMs - b.claimedMs);
  return own.flatMap((run, i): number[] => {
    if (run.outcome !== 'verified' || run.endedMs === undefined) return [];
    const next = own[i + 1];
    const againMs = next === undefined ? troubleMs(run, open) : next.claimedMs;
    return againMs !== undefined && againMs - run.endedMs <= policy.relapseMs ? [run.endedMs] : [];
  });
}

function troubleMs(run: Run, open: Parameters<typeof relapsesOf>[2]): number | undefined {
  if (open?.isBroken !== true) return undefined;
  return open.episode.id === run.episodeId ? open.nowMs : open.episode.firstSeenMs;
}

/** The link of the chain that is due: one further after each run of this episode that has failed. */
export function linkOf(
  policy: Policy,
  failedRuns: number,
  highestModeOf: (action: string) => 'approve' | 'auto',
): LinkView {
  const own = { action: policy.action, params: policy.params, mode: policy.mode };
  const links = [own, ...policy.chain];
  // without a chain the same is tried again, as often as the budget allows
  const over = policy.chain.length > 0 && failedRuns >= links.length;
  const position = policy.chain.length === 0 ? 0 : Math.min(failedRuns, links.length - 1);
  const link = links[position] ?? own;
  return { ...link, highestMode: highestModeOf(link.action), position, length: links.length, over };
}

/** @param runs of the target */
export function failedInEpisode(runs: readonly Run[], policy: string, episodeId: string): number {
  return runs.filter((r) => r.episodeId === episodeId && r.outcome === 'failed' && keptOf(r).policy === policy).length;
}

export function lastFailedOf(runs: readonly Run[], action: string | undefined): PlanInput['lastFailed'] {
  // one that was refused or overtaken has tried nothing
  const tried = runs.filter((r) => r.action === action && (r.outcome === 'failed' || r.outcome === 'verified'));
  const [last] = tried.toSorted((a, b) => b.claimedMs - a.claimedMs);
  if (last?.outcome !== 'failed') return undefined;
  return { runId: last.id, mark: keptOf(last).progressMark };
}

/** @param runs of the target, newest first, whoever began them */
export function answeredOf(
  runs: readonly Run[],
  once: { readonly what: string; readonly withinMs: number } | undefined,
  nowMs: number,
): { readonly what: string; readonly runId: string; readonly atMs: number } | undefined {
  if (once === undefined) return undefined;
  const { what, withinMs } = once;
  // one that changed nothing has answered nothing
  const run = runs.find(
    (r) => keptOf(r).once === what && r.firstMutationMs !== undefined && nowMs - r.claimedMs < withinMs,
  );
  return run && { what, runId: run.id, atMs: run.claimedMs };
}

/** Relapses in this time that cost a policy its right to act by itself; one outcome that nobody knows costs it too. */
export const demotionWindowMs = 7 * 86_400_000;
const demotionRelapses = 2;

/**
 * Whether the policy is to be trusted less on this target from now on.
 * @param liftedMs a person has lifted the last demotion then: what was before does not count again
 */
export function dueDemotion(
  policy: Pick<Policy, 'name' | 'relapseMs'>,
  target: string,
  runs: readonly Run[],
  relapses: readonly number[],
  liftedMs: number | undefined,
  nowMs: number,
): Demotion | undefined {
  const sinceMs = Math.max(nowMs - demotionWindowMs, liftedMs ?? -Infinity);
  const lost = runs.find(
    (r) => r.outcome === 'outcome_unknown' && keptOf(r).policy === policy.name && (r.endedMs ?? 0) > sinceMs,
  );
  const demotion = (reason: string): Demotion => ({
    policy: policy.name,
    target,
    mode: 'approve',
    reason,
    setMs: nowMs,
  });
  if (lost !== undefined) return demotion(`what run ${lost.id} did cannot be known`);
  const recent = relapses.filter((ms) => ms > sinceMs);
  if (recent.length < demotionRelapses) return undefined;
  return demotion(`the same trouble came back ${recent.length} times within 7 days after repairs that were verified`);
}
