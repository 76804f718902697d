// Sends what people are to be told to every Alertmanager, again and again until it is over: a posted alert ends by
// itself after its endsAt, and peers do not pass posted alerts on to each other.
import { messageOf, TargetError } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { AlertmanagerClient, PostedAlert } from './alertmanager.ts';
import type { LedgerClock } from './clock.ts';
import type { Metrics } from './metrics.ts';
import type { Store, StoredEscalation } from './store/store.ts';

interface Context {
  readonly store: Pick<Store, 'dueEscalations' | 'markEscalation' | 'undeliveredEscalations' | 'episode'>;
  /** Peers by source. */
  readonly peers: ReadonlyMap<string, readonly Pick<AlertmanagerClient, 'url' | 'post'>[]>;
  readonly externalUrl: string | undefined;
  readonly clock: Pick<LedgerClock, 'nowMs' | 'wallMs' | 'wallOf'>;
  readonly metrics: Pick<Metrics, 'escalationsPending'>;
  readonly log: Log;
}

const repeatMs = 60_000;
const lastsMs = 240_000;
const firstRetryMs = 5000;
/** An alert that could not be ended has ended by itself long since. */
const giveUpEndingAfter = 20;

/** What is told as its episode ends (a run that failed) is ended by nobody else: people have had so long to see it. */
const leftAfterEndMs = 3_600_000;

/** In one request; far below what Alertmanager takes, and a lost one is soon sent again. */
const mostInOne = 100;

/** Posts everything that is due; call it every second. */
export async function sendDue(context: Context, signal: AbortSignal): Promise<void> {
  const { store, clock, metrics } = context;
  const tellPending = async (): Promise<void> => {
    // twice the time of repetition without a taker
    metrics.escalationsPending(await store.undeliveredEscalations(clock.nowMs() - 2 * repeatMs));
  };
  await tellPending(); // also where those who are told are slow to take it
  const due = await store.dueEscalations(clock.nowMs());
  for (const { peers, escalations } of await bySource(context, due)) {
    for (const batch of batchesOf(escalations)) await send(context, peers, batch, signal);
  }
  await tellPending();
}

interface Destined {
  readonly peers: readonly Pick<AlertmanagerClient, 'url' | 'post'>[];
  readonly escalations: readonly StoredEscalation[];
}

async function bySource(
  { store, peers, clock }: Context,
  due: readonly StoredEscalation[],
): Promise<readonly Destined[]> {
  const all = [...peers.values()].flat();
  const found = new Map<string, StoredEscalation[]>();
  for (const escalation of due) {
    const episode = await store.episode(escalation.episodeId);
    const source = episode?.source ?? '';
    const sinceMs = Math.max(episode?.closedMs ?? Infinity, escalation.firstMs);
    const isLeft = clock.nowMs() - sinceMs >= leftAfterEndMs;
    found.set(source, [...(found.get(source) ?? []), isLeft ? { ...escalation, state: 'ending' } : escalation]);
  }
  // The source may have been taken out of the configuration, and a storm has none: then all of them are told.
  return [...found].map(([source, escalations]) => ({ peers: peers.get(source) ?? all, escalations }));
}

/** The same labels are the same alert: of two in one request only one would be kept. */
export function batchesOf(due: readonly StoredEscalation[]): readonly (readonly StoredEscalation[])[] {
  const batches: StoredEscalation[][] = [];
  const lastOf = new Map<string, number>();
  for (const escalation of due) {
    const key = JSON.stringify(Object.entries(escalation.labels).sort());
    // never before one with the same labels that is older
    const from = (lastOf.get(key) ?? -1) + 1;
    let at = from;
    while ((batches[at]?.length ?? 0) >= mostInOne) at += 1;
    (batches[at] ??= []).push(escalation);
    lastOf.set(key, at);
  }
  return batches;
}

async function send(
  context: Context,
  peers: Destined['peers'],
  batch: readonly StoredEscalation[],
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log } = context;
  const posted = batch.map((escalation) => alertOf(context, escalation));
  const results = await Promise.all(peers.map((peer) => post(peer, posted, signal)));
  if (signal.aborted) return;
  const told = [...new Set(results.flat().filter((e) => e !== undefined))];
  if (told.length > 0) {
    const escalations = batch.map((e) => e.dedupeKey).slice(0, 10);
    log.warn({ escalations, errors: told.slice(0, 10) }, 'an Alertmanager did not take a message');
  }
  for (const [i, escalation] of batch.entries()) {
    const errors = results.map((r) => r[i]).filter((e) => e !== undefined);
    const isTaken = errors.length < results.length;
    const nowMs = clock.nowMs();
    const retryMs = Math.min(repeatMs, firstRetryMs * 2 ** Math.min(escalation.tries, 10));
    const over = escalation.state === 'ending' && (errors.length === 0 || escalation.tries >= giveUpEndingAfter);
    await store.markEscalation(escalation.dedupeKey, {
      nextMs: nowMs + (errors.length > 0 ? retryMs : repeatMs),
      ...(isTaken ? { okMs: nowMs } : {}),
      ...(errors.length > 0 ? { error: errors.join('; ').slice(0, 500) } : {}),
      state: over ? 'done' : escalation.state,
    });
  }
}

/** What stood against each of them; undefined: taken. */
async function post(
  peer: Destined['peers'][number],
  alerts: readonly PostedAlert[],
  signal: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  try {
    await peer.post(alerts, signal);
    return alerts.map(() => undefined);
  } catch (error) {
    // One that is not valid must not hold up the others; a peer that is down is not asked for each.
    const isRefused = error instanceof TargetError && error.code === 'failed';
    if (!isRefused || alerts.length === 1) return alerts.map(() => messageOf(error));
    const each: (string | undefined)[] = [];
    for (const alert of alerts) each.push(...(await post(peer, [alert], signal)));
    return each;
  }
}

function alertOf({ clock, externalUrl }: Context, escalation: StoredEscalation): PostedAlert {
  const nowWallMs = clock.wallMs();
  // never after endsAt, which Alertmanager refuses
  const startsMs = Math.min(clock.wallOf(escalation.firstMs), nowWallMs);
  const endsMs = escalation.state === 'ending' ? nowWallMs : nowWallMs + lastsMs;
  return {
    labels: escalation.labels,
    annotations: escalation.annotations,
    startsAt: new Date(startsMs).toISOString(),
    endsAt: new Date(endsMs).toISOString(),
    ...(externalUrl === undefined ? {} : { generatorURL: externalUrl }),
  };
}
