// Gathers what a decision about one episode is made from: the store, the switch, the target and its upstreams, looked at now.
import type { Inventory } from '../exporter/config/inventory.ts';
import { within } from '../exporter/runtime/deadline.ts';
import type { Action, Look } from './action.ts';
import { hashOf } from './canonical.ts';
import type { LedgerClock } from './clock.ts';
import type { PlanInput, Policy } from './guard.ts';
import type { Episode } from './model.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { readSwitchFile, readSwitchStore } from './switch.ts';

/** What is asked of the world here; each action asks for more. */
export interface Surroundings {
  /** Transitive upstreams of the target, each asked for a sign of life. Never throws for a target's fault. */
  readonly upstreams: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
}

export interface SituationDeps<W extends Surroundings> {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly settings: Pick<Settings, 'switchFile' | 'require'>;
  readonly actions: readonly Action<W>[];
  readonly world: W;
  readonly clock: LedgerClock;
}

export interface Situation {
  readonly policy: Policy | undefined;
  /** Named by the alert, beyond doubt. */
  readonly target: string | undefined;
  readonly look: Look<unknown> | undefined;
  readonly evidenceHash: string | undefined;
  readonly input: PlanInput;
}

/** Model 5: permission is an alert seen active this lately. */
export const alertFreshMs = 90_000;
const lookMs = 15_000;

/** @throws for a fault of our own, and StoreError */
export async function situationOf<W extends Surroundings>(
  deps: SituationDeps<W>,
  episode: Episode,
  symptoms: Symptoms,
): Promise<Situation> {
  const { store, clock, inventory, actions, world } = deps;
  const nowMs = clock.nowMs();
  const policies = deps.policies().filter((p) => Object.entries(p.match).every(([k, v]) => episode.labels[k] === v));
  const [policy] = policies;
  const candidates = candidatesOf(inventory, episode.labels);
  const [only] = candidates;
  const target = candidates.length === 1 && only?.by === 'target' ? only.name : undefined;
  const action = actions.find((a) => a.name === policy?.action);
  const fits = action !== undefined && only !== undefined && action.kinds.includes(only.kind);
  const signal = within(lookMs);
  const [look, upstreams] = await Promise.all([
    fits && policy !== undefined && target !== undefined
      ? action.look(target, policy.params, world, signal)
      : undefined,
    target === undefined ? [] : world.upstreams(target, signal),
  ]);
  const evidenceHash = look === undefined ? undefined : hashOf(look.evidence);
  const input: PlanInput = {
    nowMs,
    episode: (await store.episode(episode.id)) ?? episode,
    clock: clock.steady(),
    switches: await readSwitches(store, deps.settings.switchFile, nowMs),
    policies,
    candidates,
    require: deps.settings.require,
    kinds: action?.kinds ?? [],
    latches: [
      ...(await store.latches('global')),
      ...(target === undefined ? [] : await store.latches(scopeOf(target))),
    ],
    upstreams,
    action:
      look === undefined || action === undefined
        ? undefined
        : { name: action.name, alreadyFixed: look.alreadyFixed, preconditions: look.preconditions },
    symptom: symptoms.seen(episode.id, look, evidenceHash),
    ...(await historyOf(store, target, policy, nowMs)),
    alertFreshMs,
  };
  return { policy, target, look, evidenceHash, input };
}

async function historyOf(
  store: Store,
  target: string | undefined,
  policy: Policy | undefined,
  nowMs: number,
): Promise<Pick<PlanInput, 'activeRun' | 'cooldown' | 'budget'>> {
  const elsewhere = (await store.activeRuns()).find((r) => r.state === 'running');
  const runs = target === undefined ? [] : await store.runsOf({ target, limit: 20 });
  const active = (target === undefined ? undefined : await store.activeRunOf(target)) ?? elsewhere;
  const [latest] = runs.toSorted((a, b) => (b.cooldownUntilMs ?? 0) - (a.cooldownUntilMs ?? 0));
  const { maxRuns = 0, windowMs = 0 } = policy?.pace ?? {};
  const used = target === undefined ? 0 : await store.budgetUsed(scopeOf(target), nowMs - windowMs);
  return {
    activeRun: active && { id: active.id, action: active.action, state: active.state, target: active.target },
    cooldown: latest?.cooldownUntilMs === undefined ? undefined : { untilMs: latest.cooldownUntilMs, runId: latest.id },
    budget: { used, max: maxRuns, windowMs },
  };
}

export async function readSwitches(
  store: Pick<Store, 'pauses'>,
  file: string,
  nowMs: number,
): Promise<PlanInput['switches']> {
  return { ...(await readSwitchFile(file)), ...readSwitchStore(await store.pauses(), nowMs) };
}

/** Of leases, budgets and latches. */
export function scopeOf(target: string): string {
  return `target:${target}`;
}

/** Exact names only; a label `instance` is shown to people as a hint, and is never enough to act. */
export function candidatesOf(
  inventory: Pick<Inventory, 'targets'>,
  labels: Readonly<Record<string, string>>,
): PlanInput['candidates'] {
  const named = labels['target'];
  if (named !== undefined && named !== '') {
    const target = inventory.targets.get(named);
    return target === undefined ? [] : [{ name: target.name, kind: target.kind, by: 'target' }];
  }
  const { instance } = labels;
  if (instance === undefined || instance === '') return [];
  return [...inventory.targets.values()]
    .filter((t) => t.instance === instance || t.name === instance)
    .map(({ name, kind }) => ({ name, kind, by: 'instance' }));
}

interface Symptom {
  readonly key: string;
  readonly sinceMonoMs: number;
  readonly looks: number;
}

/** For how long the facts of an episode have said the same: a symptom that only flickers is not acted upon. */
export class Symptoms {
  readonly minimumMs: number;
  readonly #monoMs: () => number;
  readonly #byEpisode = new Map<string, Symptom>();

  constructor(minimumMs: number, monoMs: () => number) {
    this.minimumMs = minimumMs;
    this.#monoMs = monoMs;
  }

  /** @param key of the decision-relevant facts */
  seen(episodeId: string, look: Look<unknown> | undefined, key: string | undefined): PlanInput['symptom'] {
    const nowMono = this.#monoMs();
    const { minimumMs } = this;
    if (look === undefined || key === undefined || look.alreadyFixed.is !== 'allow') {
      this.forget(episodeId);
      return { looks: 0, heldMs: 0, minimumMs };
    }
    const before = this.#byEpisode.get(episodeId);
    const symptom: Symptom =
      before?.key === key ? { ...before, looks: before.looks + 1 } : { key, sinceMonoMs: nowMono, looks: 1 };
    this.#byEpisode.set(episodeId, symptom);
    return { looks: symptom.looks, heldMs: nowMono - symptom.sinceMonoMs, minimumMs };
  }

  forget(episodeId: string): void {
    this.#byEpisode.delete(episodeId);
  }

  /** Keeps only those of episodes that are open. */
  async prune(openIds: () => Promise<readonly string[]>): Promise<void> {
    if (this.#byEpisode.size === 0) return;
    const open = new Set(await openIds());
    for (const id of this.#byEpisode.keys()) if (!open.has(id)) this.#byEpisode.delete(id);
  }
}
