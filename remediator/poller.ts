// Asks every Alertmanager of a source whether the alerts of open episodes are active, and closes what is over.
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { AlertmanagerClient, ListedAlert } from './alertmanager.ts';
import type { LedgerClock } from './clock.ts';
import { identOf } from './episodes.ts';
import type { Metrics } from './metrics.ts';
import type { AlertState, Episode, EpisodeOutcome, Run } from './model.ts';
import type { EpisodeChange, LateCopy, Store } from './store/store.ts';

type PollStore = Pick<
  Store,
  'openEpisodes' | 'episode' | 'setAlertState' | 'closeEpisode' | 'lateCopies' | 'reopen' | 'decisionsOf' | 'runsOf'
>;

export interface PolledSource {
  readonly name: string;
  readonly peers: readonly Pick<AlertmanagerClient, 'url' | 'alerts'>[];
}

interface Context {
  readonly store: PollStore;
  readonly sources: readonly PolledSource[];
  readonly clock: LedgerClock;
  readonly metrics: Metrics;
  readonly log: Log;
}

const youngMs = 60_000;
const everyYoungMs = 15_000;
const everyOpenMs = 30_000;
const everyIdleMs = 300_000;
/** A poll this old says nothing about now. */
const freshMs = 90_000;
const vanishedAfterMs = 900_000;
const absentPolls = 3;
const factsFreshMs = 120_000;
/** Alertmanager's default repeat_interval: what is still active by then was told anew. */
const lateCopiesMs = 4 * 3_600_000;

export interface Poller {
  /** Polls each source whose time has come; call it every second. */
  readonly tick: (signal: AbortSignal) => Promise<void>;
  /** A delivery came: ask soon, and look again at episodes that were thought to be over. */
  readonly poke: (source: string, changes: readonly EpisodeChange[]) => void;
}

export function createPoller(context: Context): Poller {
  const { store, sources, clock, metrics } = context;
  const nextMs = new Map<string, number>();
  const absent = new Map<string, Absence>();
  /** Late copies that Alertmanager was asked about, by episode: the copy. All others are in the store, also after a restart. */
  const settled = new Map<string, number>();

  const pollOne = async (source: PolledSource, open: readonly Episode[], signal: AbortSignal): Promise<void> => {
    const seenMs = clock.nowMs();
    const late = await unsettled(store, settled, source.name, seenMs);
    const answers = await ask(context, source, open, late.length, signal);
    for (const episode of open) {
      const sight = sightOf(episode.ident, answers);
      if (sight.state === 'unreachable') {
        // what was seen lately still stands for a while
        if (seenMs - (episode.alertSeenMs ?? episode.firstSeenMs) > freshMs) {
          await store.setAlertState(episode.id, 'unreachable', sight.detail, seenMs);
        }
        continue;
      }
      await store.setAlertState(episode.id, sight.state, sight.detail, seenMs);
      noteAbsence(absent, episode.id, sight, seenMs);
    }
    for (const copy of late) {
      if (await isSettled(context, copy.episodeId, answers, seenMs)) settled.set(copy.episodeId, copy.copyMs);
    }
  };

  return {
    tick: async (signal) => {
      const open = await store.openEpisodes();
      metrics.openEpisodes(open.length);
      for (const source of sources) {
        const now = clock.nowMs();
        const mine = open.filter((e) => e.source === source.name);
        const due = Math.min(nextMs.get(source.name) ?? now, now + intervalOf(mine, now));
        nextMs.set(source.name, due);
        if (due > now) continue;
        await pollOne(source, mine, signal);
        nextMs.set(source.name, clock.nowMs() + intervalOf(mine, clock.nowMs()));
        for (const { id } of mine) await closeIfOver(context, absent, id);
      }
      const asked = new Set(sources.map((s) => s.name));
      for (const episode of open) if (!asked.has(episode.source)) await closeIfLeft(context, episode);
      const stillOpen = new Set(open.map((e) => e.id));
      for (const id of absent.keys()) if (!stillOpen.has(id)) absent.delete(id);
    },
    poke: (source, changes) => {
      if (changes.length === 0) return;
      const now = clock.nowMs();
      // a refresh of what is known to be active brings nothing new
      const soon = changes.some((c) => c.change !== 'refreshed') ? 1000 : everyYoungMs;
      nextMs.set(source, Math.min(nextMs.get(source) ?? Infinity, now + soon));
    },
  };
}

interface Absence {
  readonly polls: number;
  /** Every peer was asked since then: what one peer does not have may fire at another. */
  readonly wholeSinceMs: number | undefined;
}

function noteAbsence(
  absent: Map<string, Absence>,
  id: string,
  { state, detail }: { readonly state: AlertState; readonly detail: string },
  seenMs: number,
): void {
  if (state !== 'absent') {
    absent.delete(id);
    return;
  }
  const before = absent.get(id);
  const wholeSinceMs = detail === '' ? (before?.wholeSinceMs ?? seenMs) : undefined;
  absent.set(id, { polls: (before?.polls ?? 0) + 1, wholeSinceMs });
}

function intervalOf(open: readonly Episode[], nowMs: number): number {
  if (open.length === 0) return everyIdleMs;
  return open.some((e) => nowMs - e.firstSeenMs < youngMs) ? everyYoungMs : everyOpenMs;
}

type Answer =
  | { readonly ok: true; readonly byIdent: ReadonlyMap<string, readonly ListedAlert[]> }
  | { readonly ok: false; readonly why: string };

async function ask(
  { clock, metrics, log }: Context,
  source: PolledSource,
  open: readonly Episode[],
  lateCount: number,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const matchers = lateCount > 0 ? [] : matchersFor(open);
  return Promise.all(
    source.peers.map(async (peer, i): Promise<Answer> => {
      try {
        const { alerts, dateMs } = await peer.alerts(matchers, signal);
        metrics.alertmanagerUp(source.name, i, true);
        const skewMs = dateMs === undefined ? 0 : clock.wallMs() - dateMs;
        if (Math.abs(skewMs) > 60_000) {
          log.warn(
            { peer: peer.url, skewSeconds: Math.round(skewMs / 1000) },
            'the clock of an Alertmanager differs from ours',
          );
        }
        return { ok: true, byIdent: byIdentOf(source.name, alerts) };
      } catch (error) {
        metrics.alertmanagerUp(source.name, i, false);
        log.warn({ peer: peer.url, err: messageOf(error) }, 'an Alertmanager cannot be asked');
        return { ok: false, why: messageOf(error) };
      }
    }),
  );
}

/** Several alerts may be one: they differ in a replica label only. */
function byIdentOf(source: string, alerts: readonly ListedAlert[]): ReadonlyMap<string, readonly ListedAlert[]> {
  const found = new Map<string, ListedAlert[]>();
  for (const alert of alerts) {
    const ident = identOf(source, alert.labels);
    found.set(ident, [...(found.get(ident) ?? []), alert]);
  }
  return found;
}

/** Only the alerts that are asked about, where their names stand in a matcher without quoting trouble. */
function matchersFor(open: readonly Episode[]): readonly string[] {
  const names = [...new Set(open.map((e) => e.labels['alertname'] ?? ''))];
  if (names.length > 50 || !names.every((n) => /^[A-Za-z0-9_:-]+$/.test(n))) return [];
  // Nothing is open: only to see that the peer answers.
  return [names.length === 0 ? 'alertname="PipemedicWatchdog"' : `alertname=~"${names.join('|')}"`];
}

/** Any peer that silences it -> silenced; else any that has it active -> active; else inhibited; else absent. */
function sightOf(ident: string, answers: readonly Answer[]): { readonly state: AlertState; readonly detail: string } {
  const good = answers.filter((a) => a.ok);
  if (good.length === 0) {
    return {
      state: 'unreachable',
      detail: answers.map((a) => (a.ok ? '' : a.why)).join('; ') || 'no peer is configured',
    };
  }
  const found = good.flatMap((a) => a.byIdent.get(ident) ?? []).map((a) => a.status);
  const silences = new Set(found.flatMap((s) => s.silencedBy));
  if (silences.size > 0) return { state: 'silenced', detail: [...silences].join(', ') };
  if (found.some((s) => s.state === 'active')) return { state: 'active', detail: '' };
  const inhibitors = new Set(found.flatMap((s) => s.inhibitedBy));
  if (inhibitors.size > 0) return { state: 'inhibited', detail: [...inhibitors].join(', ') };
  if (found.length > 0) return { state: 'unknown', detail: 'Alertmanager has not processed it yet' };
  return { state: 'absent', detail: good.length < answers.length ? 'not every peer could be asked' : '' };
}

/** Closed episodes that got a copy after their end: are they over? */
async function unsettled(
  store: Pick<PollStore, 'lateCopies'>,
  settled: Map<string, number>,
  source: string,
  nowMs: number,
): Promise<readonly LateCopy[]> {
  for (const [id, copyMs] of settled) if (copyMs < nowMs - lateCopiesMs) settled.delete(id);
  const copies = await store.lateCopies(source, nowMs - lateCopiesMs);
  return copies.filter(({ episodeId, copyMs }) => settled.get(episodeId) !== copyMs);
}

/** A copy was taken for a late one, but Alertmanager may have the alert active a good while after the episode was closed. */
async function isSettled(
  { store, log }: Context,
  id: string,
  answers: readonly Answer[],
  seenMs: number,
): Promise<boolean> {
  if (!answers.some((a) => a.ok)) return false;
  const episode = await store.episode(id);
  if (episode?.closedMs === undefined) return true;
  // The peers may still show what ended a moment ago.
  if (seenMs - episode.closedMs < freshMs) return false;
  const sight = sightOf(episode.ident, answers);
  // it may fire at the peer that could not be asked
  if (sight.state === 'absent') return sight.detail === '';
  const startsWallMs = answers
    .flatMap((a) => (a.ok ? (a.byIdent.get(episode.ident) ?? []) : []))
    .reduce((least, a) => Math.min(least, a.startsAt), Infinity);
  const opened = await store.reopen(id, Number.isFinite(startsWallMs) ? startsWallMs : episode.startsWallMs, seenMs);
  if (opened !== undefined)
    log.warn({ episode: opened, after: id }, 'an alert is active though its episode was closed');
  return true;
}

async function closeIfOver(
  { store, clock, log }: Context,
  absent: ReadonlyMap<string, Absence>,
  id: string,
): Promise<void> {
  const absence = absent.get(id);
  if (absence === undefined) return;
  const episode = await store.episode(id);
  if (episode?.state !== 'open' || episode.alertState !== 'absent') return;
  const nowMs = clock.nowMs();
  const runs = await store.runsOf({ episodeId: id, limit: 100 });
  if (runs.some((r) => r.state !== 'ended')) return;
  const outcome = outcomeOf(episode, absence, await factsHealthy(store, id, nowMs), runs, nowMs);
  if (outcome === undefined) return;
  if (!(await store.closeEpisode(id, episode.version, outcome, nowMs))) return;
  log.info({ episode: id, outcome, alertname: episode.labels['alertname'] }, 'an episode was closed');
}

/**
 * Its source is no longer configured: nobody would ever close it, and people would be told of it without end. Another
 * remediator of the same store may still ask.
 */
async function closeIfLeft({ store, clock, log }: Context, episode: Episode): Promise<void> {
  const { id, version, alertSeenMs = 0, lastFiringMs } = episode;
  const nowMs = clock.nowMs();
  if (nowMs - Math.max(alertSeenMs, lastFiringMs) < vanishedAfterMs) return;
  const outcome = withoutFacts(await store.runsOf({ episodeId: id, limit: 100 }));
  if (!(await store.closeEpisode(id, version, outcome, nowMs))) return;
  log.warn(
    { episode: id, outcome, source: episode.source },
    'an episode was closed: its source is no longer configured',
  );
}

function withoutFacts(runs: readonly Run[]): EpisodeOutcome {
  return runs.some((r) => r.outcome === 'failed' || r.outcome === 'outcome_unknown') ? 'failed' : 'vanished';
}

/** A resolved notification alone means nothing: it also comes when Prometheus or the exporter dies. */
function outcomeOf(
  episode: Episode,
  absence: Absence,
  healthy: boolean,
  runs: readonly Run[],
  nowMs: number,
): EpisodeOutcome | undefined {
  if (healthy && (episode.resolvedHintMs !== undefined || absence.polls >= absentPolls)) {
    return runs.some((r) => r.outcome === 'verified') ? 'repaired' : 'healed';
  }
  if (absence.wholeSinceMs === undefined || nowMs - absence.wholeSinceMs < vanishedAfterMs) return undefined;
  return withoutFacts(runs);
}

/** What the newest evaluation saw: the guard `already_fixed` says no exactly when the facts are healthy. */
async function factsHealthy(store: PollStore, episodeId: string, nowMs: number): Promise<boolean> {
  const decisions = await store.decisionsOf(episodeId);
  const newest = decisions.reduce<(typeof decisions)[number] | undefined>(
    (last, d) => (last === undefined || d.lastMs >= last.lastMs ? d : last),
    undefined,
  );
  if (newest === undefined || nowMs - newest.lastMs > factsFreshMs) return false;
  return newest.trace.some((g) => g.guard === 'already_fixed' && g.result === 'deny');
}
