// What holds a repair back wherever it stands: the switch, maintenance, and a policy that may do less than it did.
import type { Inventory } from '../exporter/config/inventory.ts';
import { messageOf } from '../exporter/runtime/errors.ts';
import type { Limits, PlanInput, Policy } from './guard.ts';
import { lowerMode, type Mode } from './guards/mode.ts';
import { policiesFor } from './identify.ts';
import type { Demotion, Episode, Maintenance, Run } from './model.ts';
import { keptOf } from './past.ts';
import type { Store } from './store/store.ts';
import { readSwitchFile, readSwitchStore } from './switch.ts';
import { windowAt, windowText } from './windows.ts';

/** Of leases, budgets and latches. */
export function scopeOf(target: string): string {
  return `target:${target}`;
}

export function pipelinesOf(inventory: Pick<Inventory, 'members'>, target: string): readonly string[] {
  return [...new Set(inventory.members.filter((m) => m.target === target).map((m) => m.pipeline))].sort();
}

/** Everything that a pause, a latch or a maintenance may be set on and that concerns the target. */
export function scopesOf(inventory: Pick<Inventory, 'members'>, target: string | undefined): readonly string[] {
  if (target === undefined) return ['global'];
  return ['global', scopeOf(target), ...pipelinesOf(inventory, target).map((p) => `pipeline:${p}`)];
}

/** Maintenance in force: of the store, in ledger time, and the recurring ones of policies.yml, in wall time. */
export function maintenanceNow(
  stored: readonly Maintenance[],
  recurring: Limits['maintenance'],
  scopes: readonly string[],
  { nowMs, wallMs }: { readonly nowMs: number; readonly wallMs: number },
): PlanInput['maintenance'] {
  return [
    ...stored
      .filter((m) => scopes.includes(m.scope) && m.startsMs <= nowMs && nowMs < m.endsMs)
      .map(({ scope, owner, reason }) => ({ scope, by: owner, reason })),
    ...recurring
      .filter((m) => scopes.includes(m.scope))
      .flatMap(({ scope, windows, reason }) => {
        const inside = windowAt(windows, wallMs, 'any');
        return inside === undefined ? [] : [{ scope, by: `policies.yml (${windowText(inside)})`, reason }];
      }),
  ];
}

export async function readSwitches(
  store: Pick<Store, 'pauses'>,
  file: string,
  nowMs: number,
  scopes: readonly string[] = ['global'],
): Promise<PlanInput['switches']> {
  const pauses = await store.pauses();
  const row = readSwitchStore(pauses, nowMs);
  const narrow = pauses.find(
    (p) =>
      p.scope !== 'global' && scopes.includes(p.scope) && p.paused && (p.untilMs === undefined || p.untilMs > nowMs),
  );
  const narrowed =
    narrow === undefined || row.store !== 'clear'
      ? row
      : { store: 'set' as const, storeDetail: `${narrow.scope} is paused by ${narrow.by}: ${narrow.reason}` };
  return { ...(await readSwitchFile(file)), ...narrowed };
}

/**
 * Why a run may no longer go on by the policies of now; an edit that allows more changes nothing for it. A run that a
 * person has approved needs a policy that still asks, one of the remediator's own needs one that still acts by itself.
 */
export function whyLowered(
  run: Pick<Run, 'policy' | 'action' | 'actor' | 'target'>,
  policies: readonly Policy[],
  demotions: readonly Demotion[] = [],
): string | undefined {
  const { policy: name } = keptOf(run);
  const policy = policies.find((p) => p.name === name);
  if (policy === undefined) return `policy ${name} is there no more`;
  const links = [{ action: policy.action, mode: policy.mode }, ...policy.chain].filter((l) => l.action === run.action);
  if (links.length === 0) return `policy ${name} no longer has the action ${run.action}`;
  const demotion = demotions.find((d) => d.policy === name && d.target === run.target);
  const modes = links.map((l) => lowerMode(lowerMode(l.mode, policy.mode), demotion?.mode ?? 'auto'));
  const needed: Mode = run.actor.startsWith('human:') ? 'approve' : 'auto';
  if (modes.some((mode) => lowerMode(mode, needed) === needed)) return undefined;
  return needed === 'auto' ? `policy ${name} no longer acts by itself` : `policy ${name} only observes now`;
}

/** Its policy matches less than it did, or another one comes before it. */
function whyAnotherAnswers(
  run: Pick<Run, 'policy'>,
  policies: readonly Policy[],
  episode: Episode | undefined,
): string | undefined {
  if (episode === undefined) return undefined;
  const { policy: name } = keptOf(run);
  const [answers] = policiesFor(policies, episode.labels);
  if (answers?.name === name) return undefined;
  return `policy ${name} no longer answers this alert, ${answers === undefined ? 'nor does another one' : `${answers.name} does`}`;
}

export interface RestraintDeps {
  readonly store: Pick<Store, 'pauses' | 'maintenances' | 'demotions' | 'episode'>;
  readonly inventory: Pick<Inventory, 'members'>;
  readonly settings: { readonly switchFile: string };
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  readonly clock: { readonly nowMs: () => number; readonly wallMs: () => number };
}

/** Why a run that is under way stops at its next safe point; what cannot be read stops it too. Never throws. */
export async function whyHeldBack(deps: RestraintDeps, run: Run): Promise<string | undefined> {
  const { store, clock } = deps;
  const scopes = scopesOf(deps.inventory, run.target);
  try {
    const nowMs = clock.nowMs();
    const switches = await readSwitches(store, deps.settings.switchFile, nowMs, scopes);
    if (switches.file !== 'clear') return `paused: ${switches.fileDetail}`;
    if (switches.store !== 'clear') return `paused: ${switches.storeDetail}`;
    const wallMs = clock.wallMs();
    const [work] = maintenanceNow(await store.maintenances(nowMs), deps.limits().maintenance, scopes, {
      nowMs,
      wallMs,
    });
    if (work !== undefined) return `${work.by} works on ${work.scope}: ${work.reason}`;
    const policies = deps.policies();
    return (
      whyLowered(run, policies, await store.demotions()) ??
      whyAnotherAnswers(run, policies, await store.episode(run.episodeId))
    );
  } catch (error) {
    return `what holds it back cannot be read: ${messageOf(error)}`;
  }
}
