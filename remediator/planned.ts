// What would be done about an episode now: its policy, the link that is due, the object, and the facts as they are.
import type { Inventory } from '../exporter/config/inventory.ts';
import type { Action, Look } from './action.ts';
import { asJson, hashOf } from './canonical.ts';
import type { LinkView, PlanInput, Policy } from './guard.ts';
import { candidatesOf, objectOf, policiesFor } from './identify.ts';
import { limited } from './limited.ts';
import type { Approval, Episode, Json, Run } from './model.ts';
import { failedInEpisode, linkOf } from './past.ts';
import { planOf } from './shown-plan.ts';
import type { Store } from './store/store.ts';

export interface PlannedDeps<W> {
  readonly store: Pick<Store, 'runsOf'>;
  readonly inventory: Inventory;
  readonly policies: () => readonly Policy[];
  readonly actions: readonly Action<W>[];
  readonly world: W;
}

/** What an approval is given on, and what is claimed with it. */
export interface Hashes {
  readonly policyHash: string;
  readonly evidenceHash: string;
  readonly paramsHash: string;
  readonly planHash: string;
}

export interface Chosen<W> {
  /** Those that match; the first one counts. */
  readonly policies: readonly Policy[];
  readonly policy: Policy | undefined;
  readonly candidates: PlanInput['candidates'];
  /** Named by the alert, beyond doubt. */
  readonly target: string | undefined;
  /** Of that target, newest first. */
  readonly runs: readonly Run[];
  readonly action: Action<W> | undefined;
  readonly link: LinkView | undefined;
  readonly object: PlanInput['object'];
  /** With what the alert's labels say. */
  readonly params: Json;
}

export interface Planned {
  readonly look: Look<unknown> | undefined;
  readonly hashes: Hashes | undefined;
  /** What a person is shown who is asked for leave. */
  readonly plan: Json;
}

export const lookMs = 15_000;
const runsLookedAt = 200;

/** By the policies, the alert's labels and what was tried before; the target is not asked. @throws StoreError */
export async function chosenFor<W>(deps: PlannedDeps<W>, episode: Episode): Promise<Chosen<W>> {
  const { store, inventory, actions } = deps;
  const policies = policiesFor(deps.policies(), episode.labels);
  const [policy] = policies;
  const candidates = candidatesOf(inventory, episode.labels);
  const [only] = candidates;
  const target = candidates.length === 1 && only?.by === 'target' ? only.name : undefined;
  const runs = target === undefined ? [] : await store.runsOf({ target, limit: runsLookedAt });
  const chosen = policy && linkOf(policy, failedInEpisode(runs, policy.name, episode.id), highestModeOf(actions));
  const action = actions.find((a) => a.name === chosen?.action);
  const link = action === undefined ? undefined : chosen;
  const object: PlanInput['object'] =
    action === undefined || link === undefined
      ? { is: 'clear', params: {} }
      : objectOf(action, link.params, episode.labels);
  const params = object.is === 'clear' ? object.params : (link?.params ?? {});
  return { policies, policy, candidates, target, runs, action, link, object, params };
}

/** Looks at the target. @throws TargetError `deadline`, and for a fault of our own */
export async function plannedOf<W>(
  { inventory, world }: Pick<PlannedDeps<W>, 'inventory' | 'world'>,
  { policy, candidates: [only], target, action, link, object, params }: Chosen<W>,
  signal: AbortSignal,
): Promise<Planned> {
  const fits = action !== undefined && only !== undefined && action.kinds.includes(only.kind) && object.is === 'clear';
  const look =
    fits && target !== undefined
      ? await limited(action.look(target, params, world, signal), lookMs, 'the facts')
      : undefined;
  const known = target === undefined ? undefined : inventory.targets.get(target);
  const isPlanned = policy !== undefined && link !== undefined && action !== undefined && known !== undefined;
  const plan: Json =
    isPlanned && look !== undefined
      ? planOf({ policy, link, target: known, params, steps: action.steps(known.name, params, world), look })
      : null;
  const hashes =
    policy === undefined || look === undefined
      ? undefined
      : {
          policyHash: hashOf(asJson(policy)),
          evidenceHash: hashOf(look.evidence),
          paramsHash: hashOf(params),
          planHash: hashOf(plan),
        };
  return { look, hashes, plan };
}

/** Was it given, or asked for, on exactly this? */
export function isFor<W>(
  approval: Approval,
  { policy, link, target }: Pick<Chosen<W>, 'policy' | 'link' | 'target'>,
  hashes: Hashes,
): boolean {
  return (
    approval.policy === policy?.name &&
    approval.action === link?.action &&
    approval.target === target &&
    approval.policyHash === hashes.policyHash &&
    approval.evidenceHash === hashes.evidenceHash &&
    approval.paramsHash === hashes.paramsHash &&
    approval.planHash === hashes.planHash
  );
}

function highestModeOf(actions: readonly Pick<Action<never>, 'name' | 'highestMode'>[]) {
  return (name: string): 'approve' | 'auto' => actions.find((a) => a.name === name)?.highestMode ?? 'approve';
}
