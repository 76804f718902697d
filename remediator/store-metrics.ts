// The store with its time and failures counted, and what only its writes tell: relapses, and how long a repair took.
import type { LedgerClock } from './clock.ts';
import type { Metrics, StoreOperation } from './metrics.ts';
import { StoreError, type Hold, type RunEnd, type Store } from './store/store.ts';

interface Watch {
  readonly metrics: Pick<Metrics, 'storeCall' | 'storeError' | 'relapse' | 'alertToRepair'>;
  readonly clock: Pick<LedgerClock, 'monoMs' | 'wallMs'>;
  /** Names of the inventory: other people's labels do not become series. */
  readonly isTarget: (name: string) => boolean;
}

const operations: Readonly<Record<string, StoreOperation>> = {
  appendWebhook: 'intake',
  processWebhook: 'intake',
  processWebhooks: 'intake',
  claim: 'claim',
  appendJournal: 'journal',
  endRun: 'journal',
};

/** The same store: every method of it, also those that are added later, with its results and its errors. */
export function observed<S extends Store>(store: S, watch: Watch): S {
  return new Proxy(store, {
    get: (target, key) => {
      const found: unknown = Reflect.get(target, key, target);
      if (typeof found !== 'function' || typeof key !== 'string') return found;
      return async (...args: readonly unknown[]): Promise<unknown> => {
        const result = await timed(watch, key, () => Reflect.apply(found, target, args) as Promise<unknown>);
        await tell(target, watch, key, args, result);
        return result;
      };
    },
  });
}

async function timed(watch: Watch, key: string, call: () => Promise<unknown>): Promise<unknown> {
  const { metrics, clock } = watch;
  const startMs = clock.monoMs();
  try {
    return await call();
  } catch (error) {
    const code = error instanceof StoreError ? error.code : 'other';
    // A successor has the lease: that is how it is meant to end.
    if (code !== 'fenced') metrics.storeError(code);
    throw error;
  } finally {
    metrics.storeCall(operations[key] ?? 'other', (clock.monoMs() - startMs) / 1000);
  }
}

/** For the metrics only: what fails here is not the caller's failure, whose write is durable. */
async function tell(store: Store, watch: Watch, key: string, args: readonly unknown[], result: unknown): Promise<void> {
  try {
    if (key === 'processWebhook' || key === 'processWebhooks') {
      const changes = (result as Awaited<ReturnType<Store['processWebhook' | 'processWebhooks']>>).flat();
      for (const { episodeId, relapseOf } of changes)
        if (relapseOf !== undefined) await relapse(store, watch, episodeId);
    }
    if (key === 'reopen' && typeof result === 'string') await relapse(store, watch, result);
    if (key === 'endRun') await repaired(store, watch, args as unknown as readonly [Hold, RunEnd]);
  } catch {
    // told by the next call that fails for its caller
  }
}

async function relapse(store: Store, { metrics, isTarget }: Watch, episodeId: string): Promise<void> {
  const episode = await store.episode(episodeId);
  const target = episode?.labels['target'] ?? '';
  if (episode?.relapseOf !== undefined && isTarget(target)) metrics.relapse(target);
}

async function repaired(store: Store, { metrics, clock }: Watch, [hold, end]: readonly [Hold, RunEnd]): Promise<void> {
  if (end.outcome !== 'verified') return;
  const run = await store.run(hold.runId);
  const episode = run === undefined ? undefined : await store.episode(run.episodeId);
  if (run === undefined || episode === undefined) return;
  // The sender's clock may be ahead of ours.
  metrics.alertToRepair(run.action, Math.max(0, clock.wallMs() - episode.startsWallMs) / 1000);
}
