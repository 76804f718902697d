// From stored notifications to episodes: apart from the receiver, so that no sender waits for it.
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Log } from '../exporter/runtime/log.ts';
import type { LedgerClock } from './clock.ts';
import { isOwn, watchdogName } from './episodes.ts';
import type { Metrics } from './metrics.ts';
import type { IncomingAlert } from './model.ts';
import { parseBody } from './payload.ts';
import { StoreError, type EpisodeChange, type ReadWebhook, type Store, type StoredWebhook } from './store/store.ts';

interface Context {
  readonly store: Pick<Store, 'pendingWebhooks' | 'processWebhook' | 'processWebhooks' | 'setMeta'>;
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

/** Read at a time, and processed in one transaction. */
const mostHooks = 50;
/** Of one transaction: leases are renewed and notifications taken between two of them; larger ones hold up their senders. */
const mostAlerts = 200;

/** Processes everything that is pending. @throws StoreError while the store cannot be used: tried again later */
export async function processPending(context: Context): Promise<number> {
  let count = 0;
  for (;;) {
    const hooks = await context.store.pendingWebhooks(mostHooks);
    for (const group of groupsOf(hooks.map(readHook))) {
      await processGroup(context, group);
      count += group.length;
    }
    if (hooks.length < mostHooks) return count;
  }
}

/** A stored notification, with its alerts by what becomes of them. */
interface ReadHook {
  readonly hook: StoredWebhook;
  /** Why it is poison. */
  readonly why: string | undefined;
  readonly taken: readonly IncomingAlert[];
  readonly own: readonly IncomingAlert[];
  readonly watchdogs: readonly IncomingAlert[];
  readonly unfit: number;
  readonly truncated: boolean;
}

function readHook(hook: StoredWebhook): ReadHook {
  const parsed = parseBody(hook.body);
  if (!parsed.ok) {
    return { hook, why: parsed.why, taken: [], own: [], watchdogs: [], unfit: 0, truncated: false };
  }
  const watchdogs = parsed.alerts.filter((a) => a.labels['alertname'] === watchdogName);
  const own = parsed.alerts.filter((a) => isOwn(a.labels) && !watchdogs.includes(a));
  const taken = parsed.alerts.filter((a) => !watchdogs.includes(a) && !own.includes(a));
  return { hook, why: undefined, taken, own, watchdogs, unfit: parsed.unfit, truncated: parsed.truncated > 0 };
}

function groupsOf(read: readonly ReadHook[]): readonly (readonly ReadHook[])[] {
  const groups: ReadHook[][] = [];
  let alerts = Infinity;
  for (const one of read) {
    alerts += one.taken.length;
    if (alerts > mostAlerts) {
      groups.push([]);
      alerts = one.taken.length;
    }
    groups.at(-1)?.push(one);
  }
  return groups;
}

/** In one transaction; when that fails, each in its own: what is wrong with one of them holds up nobody else. */
async function processGroup(context: Context, group: readonly ReadHook[]): Promise<void> {
  const { store, clock, log } = context;
  for (const { hook, watchdogs } of group) {
    if (watchdogs.some((a) => a.status === 'firing')) await sawWatchdog(context, hook);
  }
  let together: readonly (readonly EpisodeChange[])[] = [];
  if (group.length > 1) {
    try {
      together = await store.processWebhooks(group.map(readWebhook), clock.nowMs());
    } catch (error) {
      log.warn({ notifications: group.length, error: messageOf(error) }, 'notifications are processed one by one');
    }
  }
  for (const [i, one] of group.entries()) {
    const changes = together[i];
    if (changes === undefined) await processAlone(context, one);
    else tell(context, one, changes);
  }
}

async function processAlone(context: Context, one: ReadHook): Promise<void> {
  const { store, clock } = context;
  let changes: readonly EpisodeChange[];
  try {
    const { id, alerts, truncated } = readWebhook(one);
    changes = await store.processWebhook(id, alerts, truncated, clock.nowMs());
  } catch (error) {
    if (error instanceof StoreError) throw error;
    // It would fail again and again and hold up what comes after it. The body stays in the store.
    await store.processWebhook(one.hook.id, undefined, false, clock.nowMs());
    tell(context, { ...one, why: messageOf(error) }, []);
    return;
  }
  tell(context, one, changes);
}

function readWebhook({ hook, why, taken, truncated }: ReadHook): ReadWebhook {
  return { id: hook.id, alerts: why === undefined ? taken : undefined, truncated };
}

/** What has become of it, once that is in the store. */
function tell({ metrics, log, changed }: Context, one: ReadHook, changes: readonly EpisodeChange[]): void {
  const { hook, why, taken, own, watchdogs, unfit } = one;
  const { source, id } = hook;
  if (unfit > 0) {
    log.error({ source, webhook: id, alerts: unfit }, 'alerts with too many or too long labels');
    metrics.alerts(source, 'poison', unfit);
  }
  if (why !== undefined) {
    log.error({ source, webhook: id, why }, 'a stored notification cannot be understood');
    metrics.alerts(source, 'poison', Math.max(1, hook.alertCount));
    return;
  }
  metrics.alerts(source, 'taken', taken.length);
  metrics.alerts(source, 'own', own.length);
  metrics.alerts(source, 'watchdog', watchdogs.length);
  if (own.length > 0) {
    log.warn(
      { source, webhook: id, alerts: own.map(nameOf) },
      'alerts of pipemedic itself were sent to it: the route to the remediator is too wide',
    );
  }
  changed(source, changes);
}

async function sawWatchdog({ store, clock, metrics }: Context, hook: StoredWebhook): Promise<void> {
  const wallMs = Math.floor(clock.wallOf(hook.receivedMs));
  await store.setMeta(watchdogKey(hook.source), JSON.stringify({ ledgerMs: hook.receivedMs, wallMs }));
  metrics.watchdog(hook.source, wallMs);
}

function nameOf(alert: IncomingAlert): string {
  return alert.labels['alertname'] ?? '';
}
