// What happened and why, gathered from the store: for the CLI, the API, and people.
import type { Approval, Decision, Episode, JournalEntry, Latch, Run } from './model.ts';
import type { Store, StoredEscalation } from './store/store.ts';

export type ViewStore = Pick<
  Store,
  | 'episode'
  | 'findEpisodes'
  | 'webhooksOf'
  | 'decisionsOf'
  | 'decisionsDropped'
  | 'run'
  | 'runsOf'
  | 'journalOf'
  | 'escalationsOf'
  | 'latches'
  | 'approvals'
>;

export interface RunStory {
  readonly run: Run;
  readonly journal: readonly JournalEntry[];
}

export interface Story {
  readonly episode: Episode;
  readonly deliveries: Awaited<ReturnType<Store['webhooksOf']>>;
  readonly decisions: readonly Decision[];
  /** Between the first and the newest ones. */
  readonly decisionsDropped: number;
  /** Oldest first. */
  readonly runs: readonly RunStory[];
  readonly escalations: readonly StoredEscalation[];
  /** Newest first. */
  readonly approvals: readonly Approval[];
  /** Open ones on the targets of this episode. */
  readonly latches: readonly Latch[];
  /** How many other episodes the question fits; the newest one is told. */
  readonly others: number;
}

const searched = 500;

/** @param what id of a run or an episode (or the beginning of one, 8 characters at least), or the name of an alert */
export async function storyOf(store: ViewStore, what: string, nowMs: number): Promise<Story | undefined> {
  const found = await findEpisode(store, what, nowMs);
  if (found === undefined) return undefined;
  const { episode, others } = found;
  const [deliveries, decisions, decisionsDropped, runs, escalations, latches, approvals] = await Promise.all([
    store.webhooksOf(episode.id),
    store.decisionsOf(episode.id),
    store.decisionsDropped(episode.id),
    store.runsOf({ episodeId: episode.id, limit: 100 }),
    store.escalationsOf(episode.id),
    store.latches(),
    store.approvals({ episodeId: episode.id, nowMs, limit: 100 }),
  ]);
  const stories = await Promise.all(
    runs.toReversed().map(async (run): Promise<RunStory> => ({ run, journal: await store.journalOf(run.id) })),
  );
  const targets = new Set([...runs.map((r) => r.target), ...decisions.flatMap((d) => d.target ?? [])]);
  const scopes = new Set(['global', ...[...targets].map((t) => `target:${t}`)]);
  return {
    episode,
    deliveries,
    decisions,
    decisionsDropped,
    runs: stories,
    escalations,
    approvals,
    latches: latches.filter((l) => scopes.has(l.scope)),
    others,
  };
}

async function findEpisode(
  store: ViewStore,
  what: string,
  nowMs: number,
): Promise<{ readonly episode: Episode; readonly others: number } | undefined> {
  const run = await store.run(what);
  const byId = await store.episode(run?.episodeId ?? what);
  if (byId !== undefined) return { episode: byId, others: 0 };
  const [newest, ...named] = await store.findEpisodes({ alertname: what, limit: searched });
  if (newest !== undefined) return { episode: newest, others: named.length };
  if (what.length < 8) return undefined;
  const ids = new Set([
    ...(await store.runsOf({ limit: searched })).filter((r) => r.id.startsWith(what)).map((r) => r.episodeId),
    ...(await store.findEpisodes({ limit: searched })).filter((e) => e.id.startsWith(what)).map((e) => e.id),
    // what people are asked to approve by
    ...(await store.approvals({ nowMs, limit: searched })).filter((a) => a.id.startsWith(what)).map((a) => a.episodeId),
  ]);
  const [first, ...rest] = ids;
  const episode = first === undefined ? undefined : await store.episode(first);
  return episode === undefined ? undefined : { episode, others: rest.length };
}
