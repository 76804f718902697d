// Whether the remediator itself can judge: its store, how long it has looked, whether alerts and others reach it.
import { messageOf } from '../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../exporter/runtime/known.ts';
import type { LedgerClock } from './clock.ts';
import type { PlanInput, SelfView } from './guard.ts';
import { watchdogKey } from './intake.ts';
import type { Storm } from './model.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';

/** What was left open before the start is looked at again before anything is done. */
const minimumSweeps = 2;

/** What only the running evaluator knows. */
export interface Sweeping {
  /** Over the open episodes, since the start, this one included. */
  readonly sweeps: number;
  readonly startedMs: number;
  readonly storm: PlanInput['storm'];
  readonly store: Known<'writable'>;
}

/** Of somebody who only looks: what only a server can know is assumed to be well. @param storm as a server has left it */
export function onlyLooking(clock: Pick<LedgerClock, 'nowMs'>, storm: Storm | undefined): Sweeping {
  const nowMs = clock.nowMs();
  const calm = { state: 'calm', enteredMs: nowMs, cooldownUntilMs: undefined, inputs: {} } as const;
  const weather = known(storm ?? calm, nowMs);
  return { sweeps: minimumSweeps, startedMs: nowMs, storm: weather, store: known('writable', nowMs) };
}

interface FitnessDeps {
  readonly store: Pick<Store, 'meta'>;
  readonly clock: LedgerClock;
  readonly settings: Partial<Pick<Settings, 'sources'>>;
  readonly world: { readonly others: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']> };
}

export async function selfOf(
  deps: FitnessDeps,
  source: string,
  target: string | undefined,
  upstreams: PlanInput['upstreams'],
  { sweeps, startedMs, store: writes }: Sweeping,
  signal: AbortSignal,
): Promise<SelfView> {
  const { world } = deps;
  const isUp = ({ up }: PlanInput['upstreams'][number]): boolean => up.known && up.value;
  const others =
    upstreams.some(isUp) || target === undefined ? upstreams : [...upstreams, ...(await world.others(target, signal))];
  return {
    store: writes,
    sweeps,
    minimumSweeps,
    watchdog: await watchdogOf(deps, source, startedMs),
    others: { asked: others.length, answering: others.filter(isUp).length },
  };
}

/** Tried once for each sweep. */
export async function writable(store: Pick<Store, 'setMeta'>, nowMs: number): Promise<Known<'writable'>> {
  try {
    await store.setMeta('evaluated', String(nowMs));
    return known('writable', nowMs);
  } catch (error) {
    return unknown(messageOf(error));
  }
}

/** Before the first one its time is counted from the start. */
async function watchdogOf(
  { store, clock, settings }: FitnessDeps,
  source: string,
  startedMs: number,
): Promise<SelfView['watchdog']> {
  const everyMs = settings.sources?.find((s) => s.name === source)?.watchdogMs ?? 0;
  if (everyMs === 0) return undefined;
  const text = await store.meta(watchdogKey(source));
  const seenMs = text === undefined ? 0 : (JSON.parse(text) as { readonly ledgerMs: number }).ledgerMs;
  return { ageMs: clock.nowMs() - Math.max(seenMs, startedMs), everyMs, source };
}
