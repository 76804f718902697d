// From stored notifications to episodes: apart from the receiver, so that no sender waits for it.
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { LedgerClock } from './clock.ts';
import { isOwn, watchdogName } from './episodes.ts';
import type { Metrics } from './metrics.ts';
import type { IncomingAlert } from './model.ts';
import { parseBody } from './payload.ts';
import { StoreError, type EpisodeChange, type Store, type StoredWebhook } from './store/store.ts';

interface Context {
  readonly store: Pick<Store, 'pendingWebhooks' | 'processWebhook' | 'setMeta'>;
  readonly clock: LedgerClock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Told of each delivery that touched an episode. */
  readonly changed: (source: string, changes: readonly EpisodeChange[]) => void;
}

/** Ledger time and wall time of the last watchdog of a source. */
export function watchdogKey(source: string): string {
  return `watchdog:${source}`;
}

/** Processes everything that is pending. @throws StoreError while the store cannot be used: tried again later */
export async function processPending(context: Context): Promise<number> {
  let count = 0;
  for (;;) {
    const hooks = await context.store.pendingWebhooks(50);
    if (hooks.length === 0) return count;
    for (const hook of hooks) {
      await processHook(context, hook);
      count++;
    }
  }
}

async function processHook(context: Context, hook: StoredWebhook): Promise<void> {
  const { store, clock, metrics, log, changed } = context;
  const parsed = parseBody(hook.body);
  if (!parsed.ok) {
    await poison(context, hook, parsed.why);
    return;
  }
  if (parsed.unfit > 0) {
    log.error(
      { source: hook.source, webhook: hook.id, alerts: parsed.unfit },
      'alerts with too many or too long labels',
    );
    metrics.alerts(hook.source, 'poison', parsed.unfit);
  }
  const watchdogs = parsed.alerts.filter((a) => a.labels['alertname'] === watchdogName);
  const own = parsed.alerts.filter((a) => isOwn(a.labels) && !watchdogs.includes(a));
  const taken = parsed.alerts.filter((a) => !watchdogs.includes(a) && !own.includes(a));
  if (watchdogs.some((a) => a.status === 'firing')) await sawWatchdog(context, hook);
  let changes: readonly EpisodeChange[];
  try {
    changes = await store.processWebhook(hook.id, taken, parsed.truncated > 0, clock.nowMs());
  } catch (error) {
    if (error instanceof StoreError) throw error;
    await poison(context, hook, messageOf(error));
    return;
  }
  metrics.alerts(hook.source, 'taken', taken.length);
  metrics.alerts(hook.source, 'own', own.length);
  metrics.alerts(hook.source, 'watchdog', watchdogs.length);
  if (own.length > 0) {
    log.warn(
      { source: hook.source, webhook: hook.id, alerts: own.map(nameOf) },
      'alerts of pipemedic itself were sent to it: the route to the remediator is too wide',
    );
  }
  changed(hook.source, changes);
}

/** It would fail again and again and hold up what comes after it. The body stays in the store. */
async function poison({ store, clock, metrics, log }: Context, hook: StoredWebhook, why: string): Promise<void> {
  log.error({ source: hook.source, webhook: hook.id, why }, 'a stored notification cannot be understood');
  metrics.alerts(hook.source, 'poison', Math.max(1, hook.alertCount));
  await store.processWebhook(hook.id, undefined, false, clock.nowMs());
}

async function sawWatchdog({ store, clock, metrics }: Context, hook: StoredWebhook): Promise<void> {
  const wallMs = Math.floor(clock.wallOf(hook.receivedMs));
  await store.setMeta(watchdogKey(hook.source), JSON.stringify({ ledgerMs: hook.receivedMs, wallMs }));
  metrics.watchdog(hook.source, wallMs);
}

function nameOf(alert: IncomingAlert): string {
  return alert.labels['alertname'] ?? '';
}
