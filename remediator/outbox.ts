// Sends what people are to be told to every Alertmanager, again and again until it is over: a posted alert ends by
// itself after its endsAt, and peers do not pass posted alerts on to each other.
import { messageOf } from '../exporter/runtime/errors.ts';
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
  readonly clock: LedgerClock;
  readonly metrics: Metrics;
  readonly log: Log;
}

const repeatMs = 60_000;
const lastsMs = 240_000;
const firstRetryMs = 5000;
/** An alert that could not be ended has ended by itself long since. */
const giveUpEndingAfter = 20;

/** Posts everything that is due; call it every second. */
export async function sendDue(context: Context, signal: AbortSignal): Promise<void> {
  const { store, clock, metrics } = context;
  for (const escalation of await store.dueEscalations(clock.nowMs())) await send(context, escalation, signal);
  // twice the time of repetition without a taker
  metrics.escalationsPending(await store.undeliveredEscalations(clock.nowMs() - 2 * repeatMs));
}

async function send(context: Context, escalation: StoredEscalation, signal: AbortSignal): Promise<void> {
  const { store, peers, clock, log } = context;
  const episode = await store.episode(escalation.episodeId);
  // The source may have been taken out of the configuration: then all of them are told.
  const wanted = peers.get(episode?.source ?? '') ?? [...peers.values()].flat();
  const alert = alertOf(context, escalation);
  const results = await Promise.allSettled(wanted.map((peer) => peer.post([alert], signal)));
  if (signal.aborted) return;
  const errors = results.flatMap((r) => (r.status === 'rejected' ? [messageOf(r.reason)] : []));
  const taken = results.some((r) => r.status === 'fulfilled');
  if (errors.length > 0)
    log.warn({ escalation: escalation.dedupeKey, errors }, 'an Alertmanager did not take a message');
  const nowMs = clock.nowMs();
  const retryMs = Math.min(repeatMs, firstRetryMs * 2 ** Math.min(escalation.tries, 10));
  const over = escalation.state === 'ending' && (errors.length === 0 || escalation.tries >= giveUpEndingAfter);
  await store.markEscalation(escalation.dedupeKey, {
    nextMs: nowMs + (errors.length > 0 ? retryMs : repeatMs),
    ...(taken ? { okMs: nowMs } : {}),
    ...(errors.length > 0 ? { error: errors.join('; ').slice(0, 500) } : {}),
    state: over ? 'done' : escalation.state,
  });
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
