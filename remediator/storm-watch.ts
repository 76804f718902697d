// Watches for storms: one state for all targets, kept in the store and told to people once.
import type { Inventory } from '../exporter/config/inventory.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import { known, unknown } from '../exporter/runtime/known.ts';
import type { Log } from '../exporter/runtime/log.ts';
import { stormEpisode, stormy } from './escalate.ts';
import type { Limits, PlanInput, Policy } from './guard.ts';
import type { KnownAction } from './policies.ts';
import type { Store } from './store/store.ts';
import { coveredTargets, nextStorm, weatherOf } from './storms.ts';

interface StormDeps {
  readonly store: Pick<Store, 'storm' | 'setStorm' | 'openEpisodes' | 'enqueue' | 'endEscalations'>;
  readonly clock: { readonly nowMs: () => number };
  readonly log: Log;
  readonly inventory: Pick<Inventory, 'targets'>;
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  readonly actions: readonly KnownAction[];
}

/**
 * One state for all targets, kept in the store. What cannot be judged is unknown, and unknown is no permission.
 */
export async function judgeStorm(deps: StormDeps): Promise<PlanInput['storm']> {
  const { store, clock, log, actions } = deps;
  try {
    const nowMs = clock.nowMs();
    const { storm: limits } = deps.limits();
    const before = await store.storm();
    const covered = coveredTargets(deps.inventory, deps.policies(), actions);
    const weather = weatherOf(await store.openEpisodes(), covered, limits.windowMs, nowMs);
    const storm = nextStorm(before, weather, limits, nowMs);
    if (storm !== before) await store.setStorm(storm);
    // told after it is kept, and again until it is taken: a crash may lie between
    if (storm.state === 'active') await store.enqueue(stormy(storm), nowMs);
    if (storm.state === 'calm' && before?.state === 'active') await store.endEscalations(stormEpisode, nowMs);
    if (storm.state !== (before?.state ?? 'calm')) log.warn({ storm: storm.state, inputs: storm.inputs }, 'storm');
    return known(storm, nowMs);
  } catch (error) {
    log.error({ error: messageOf(error) }, 'a storm cannot be judged');
    return unknown(`a storm cannot be judged: ${messageOf(error)}`);
  }
}
