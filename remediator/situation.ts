// Gathers what a decision about one episode is made from: the store, the switch, the target and its upstreams, looked at now.
import type { Inventory } from '../exporter/config/inventory.ts';
import { within } from '../exporter/runtime/deadline.ts';
import { known } from '../exporter/runtime/known.ts';
import type { Action, Look } from './action.ts';
import type { LedgerClock } from './clock.ts';
import { selfOf, type Sweeping } from './fitness.ts';
import type { ApprovalView, Limits, LinkView, PlanInput, Policy } from './guard.ts';
import type { Approval, Demotion, Episode, Json, Run } from './model.ts';
import { limited } from './limited.ts';
import { answeredOf, dueDemotion, lastFailedOf, ofObject, relapsesOf } from './past.ts';
import { chosenFor, isFor, lookMs, plannedOf, type Chosen, type Hashes } from './planned.ts';
import { maintenanceNow, readSwitches, scopeOf, scopesOf } from './restraint.ts';
import type { Settings } from './settings.ts';
import { changesOf } from './still-asked.ts';
import type { Store } from './store/store.ts';
import type { Symptoms } from './symptoms.ts';
import { isClockChanging, windowAt, windowText } from './windows.ts';

/** What is asked of the world here; each action asks for more. */
export interface Surroundings {
  /** Transitive upstreams of the target, each asked for a sign of life. Never throws for a target's fault. */
  readonly upstreams: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
  /** Some targets that are neither this one nor upstreams of it: asked when no upstream answers. */
  readonly others: (target: string, signal: AbortSignal) => Promise<PlanInput['upstreams']>;
}

export interface SituationDeps<W extends Surroundings> {
  readonly store: Store;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  readonly settings: Pick<Settings, 'switchFile' | 'require'> & Partial<Pick<Settings, 'sources'>>;
  readonly actions: readonly Action<W>[];
  readonly world: W;
  readonly clock: LedgerClock;
}

export interface Situation {
  readonly policy: Policy | undefined;
  readonly link: LinkView | undefined;
  /** Named by the alert, beyond doubt. */
  readonly target: string | undefined;
  /** With what the alert's labels say. */
  readonly params: Json;
  readonly look: Look<unknown> | undefined;
  readonly hashes: Hashes | undefined;
  /** What a person is shown who is asked for leave. */
  readonly plan: Json;
  /** Not stored yet; the decision counts with it already. */
  readonly dueDemotion: Demotion | undefined;
  readonly input: PlanInput;
}

/** Model 5: permission is an alert seen active this lately. */
export const alertFreshMs = 90_000;

/** @throws for a fault of our own, and StoreError */
export async function situationOf<W extends Surroundings>(
  deps: SituationDeps<W>,
  episode: Episode,
  symptoms: Symptoms,
  sweeping: Sweeping,
): Promise<Situation> {
  const { store, clock, inventory, world } = deps;
  const nowMs = clock.nowMs();
  const chosen = await chosenFor(deps, episode);
  const { policies, policy, candidates, target, runs, action, link, object, params } = chosen;
  const signal = within(lookMs);
  const [{ look, hashes, plan }, upstreams] = await Promise.all([
    plannedOf(deps, chosen, signal),
    target === undefined ? [] : limited(world.upstreams(target, signal), lookMs, 'what it stands on'),
  ]);
  const scopes = scopesOf(inventory, target);
  const fresh = (await store.episode(episode.id)) ?? episode;
  const isBroken = look?.alreadyFixed.is === 'allow';
  const own = ofObject(runs, action, params);
  const relapses = policy === undefined ? [] : relapsesOf(own, policy, { episode: fresh, isBroken, nowMs });
  const trust = await trustOf(store, policy, target, runs, relapses, nowMs);
  const input: PlanInput = {
    nowMs,
    episode: fresh,
    clock: clock.steady(),
    switches: await readSwitches(store, deps.settings.switchFile, nowMs, scopes),
    self: await selfOf(deps, fresh.source, target, upstreams, sweeping, signal),
    policies,
    link,
    demotion: trust.demotion,
    window: windowOf(policy, clock.wallMs()),
    candidates,
    require: deps.settings.require,
    kinds: action?.kinds ?? [],
    object,
    latches: (await store.latches()).filter((l) => scopes.includes(l.scope)),
    maintenance: maintenanceNow(await store.maintenances(nowMs), deps.limits().maintenance, scopes, {
      nowMs,
      wallMs: clock.wallMs(),
    }),
    storm: sweeping.storm,
    upstreams,
    action:
      look === undefined || action === undefined
        ? undefined
        : {
            name: action.name,
            alreadyFixed: look.alreadyFixed,
            preconditions: look.preconditions,
            owner: look.owner,
            observers: look.observers,
            progressMark: look.progressMark,
            answered: answeredOf(runs, look.once, nowMs),
          },
    symptom: symptoms.seen(episode.id, look, hashes?.evidenceHash),
    ...(await paceOf(deps, target, policy, runs, nowMs)),
    relapses: {
      count: relapses.filter((ms) => ms > nowMs - (policy?.pace.windowMs ?? 0)).length,
      max: policy?.pace.maxRelapses ?? 0,
      windowMs: policy?.pace.windowMs ?? 0,
    },
    lastFailed: lastFailedOf(own, link?.action),
    approval: await approvalOf(store, { episodeId: episode.id, chosen, hashes, plan }, nowMs),
    alertFreshMs,
  };
  return { policy, link, target, params, look, hashes, plan, dueDemotion: trust.due, input };
}

async function trustOf(
  store: Pick<Store, 'demotions' | 'auditOf'>,
  policy: Policy | undefined,
  target: string | undefined,
  runs: readonly Run[],
  relapses: readonly number[],
  nowMs: number,
): Promise<{ readonly demotion: Demotion | undefined; readonly due: Demotion | undefined }> {
  if (policy === undefined || target === undefined) return { demotion: undefined, due: undefined };
  const stored = (await store.demotions()).find((d) => d.policy === policy.name && d.target === target);
  if (stored !== undefined) return { demotion: stored, due: undefined };
  const lifted = (await store.auditOf({ object: `${policy.name}/${target}`, limit: 20 })).find(
    (entry) => entry.verb === 'lift_demotion',
  );
  const due = dueDemotion(policy, target, runs, relapses, lifted?.atMs, nowMs);
  return { demotion: due, due };
}

function windowOf(policy: Policy | undefined, wallMs: number): PlanInput['window'] {
  const windows = policy?.windows ?? [];
  if (windows.length === 0) return { inside: known(true, wallMs), why: 'always' };
  const changes = isClockChanging(windows, wallMs) ? '; the clock is put forward or back, both times count' : '';
  const why = `${windows.map(windowText).join('; ')}${changes}`;
  return { inside: known(windowAt(windows, wallMs, 'every') !== undefined, wallMs), why };
}

/** Of each scope that a run counts in. */
export function budgetsOf(
  policy: Policy,
  target: string,
  { global }: Limits,
): readonly { readonly scope: string; readonly max: number; readonly windowMs: number }[] {
  const { maxRuns, maxRunsTotal = maxRuns, windowMs } = policy.pace;
  return [
    { scope: scopeOf(target), max: maxRuns, windowMs },
    { scope: `policy:${policy.name}`, max: maxRunsTotal, windowMs },
    { scope: 'global', max: global.maxRuns, windowMs: global.windowMs },
  ];
}

async function paceOf<W extends Surroundings>(
  { store, limits }: SituationDeps<W>,
  target: string | undefined,
  policy: Policy | undefined,
  runs: readonly Run[],
  nowMs: number,
): Promise<Pick<PlanInput, 'activeRun' | 'cooldown' | 'budgets'>> {
  const busy = (await store.activeRuns()).filter((r) => r.state === 'running');
  const elsewhere = busy.length >= limits().global.maxConcurrent ? busy[0] : undefined;
  const active = (target === undefined ? undefined : await store.activeRunOf(target)) ?? elsewhere;
  const [latest] = runs.toSorted((a, b) => (b.cooldownUntilMs ?? 0) - (a.cooldownUntilMs ?? 0));
  const budgets = policy === undefined || target === undefined ? [] : budgetsOf(policy, target, limits());
  return {
    activeRun: active && { id: active.id, action: active.action, state: active.state, target: active.target },
    cooldown: latest?.cooldownUntilMs === undefined ? undefined : { untilMs: latest.cooldownUntilMs, runId: latest.id },
    budgets: await Promise.all(
      budgets.map(async (b) => ({ ...b, used: await store.budgetUsed(b.scope, nowMs - b.windowMs) })),
    ),
  };
}

interface Wanted {
  readonly episodeId: string;
  readonly chosen: Pick<Chosen<never>, 'policy' | 'target' | 'link'>;
  readonly hashes: Hashes | undefined;
  readonly plan: Json;
}

async function approvalOf(
  store: Pick<Store, 'approvals'>,
  { episodeId, chosen, hashes, plan }: Wanted,
  nowMs: number,
): Promise<ApprovalView> {
  const { policy, target } = chosen;
  const role = policy?.approval.role ?? '';
  if (hashes === undefined || target === undefined) return { role, latest: undefined, former: undefined };
  const isSame = (a: Approval): boolean => isFor(a, chosen, hashes);
  const all = (await store.approvals({ episodeId, nowMs, limit: 100 })).filter((a) => a.target === target);
  // One that was used, or that nobody answered in time, is not asked again for a change.
  const [former] = all.filter((a) => !isSame(a));
  const isOtherNow = former !== undefined && former.state !== 'used' && former.state !== 'expired';
  return {
    role,
    latest: all.find(isSame),
    former: isOtherNow
      ? { decidedBy: former.decidedBy, wasRejected: former.state === 'rejected', changes: changesOf(former, plan) }
      : undefined,
  };
}
