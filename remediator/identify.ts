// From an alert's labels to what is meant: the target, and the object within it.
import type { Inventory } from '../exporter/config/inventory.ts';
import type { Action } from './action.ts';
import type { PlanInput, Policy } from './guard.ts';
import type { Json } from './model.ts';

/** Those that answer an alert; the first one counts. */
export function policiesFor(policies: readonly Policy[], labels: Readonly<Record<string, string>>): readonly Policy[] {
  return policies.filter((p) => Object.entries(p.match).every(([k, v]) => labels[k] === v));
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

/**
 * The action's parameters: the policy's, and from the alert's labels those that name the object. Both must agree, and
 * together they must be what the action's schema allows: a label's value goes no further without that.
 */
export function objectOf(
  action: Pick<Action<never>, 'name' | 'objectLabels' | 'params'>,
  given: Json,
  labels: Readonly<Record<string, string>>,
): PlanInput['object'] {
  const params = new Map<string, Json>(
    typeof given === 'object' && given !== null && !Array.isArray(given) ? Object.entries(given) : [],
  );
  const missing: string[] = [];
  for (const [param, label] of Object.entries(action.objectLabels)) {
    const value = labels[label];
    const set = params.get(param);
    if (value === undefined || value === '') {
      if (set === undefined) missing.push(label);
      continue;
    }
    if (set !== undefined && set !== value) {
      return { is: 'other', because: `the alert is about ${label}="${value}", the policy about another ${param}` };
    }
    params.set(param, value);
  }
  const checked = action.params.safeParse(Object.fromEntries(params));
  if (checked.success) return { is: 'clear', params: Object.fromEntries(params) };
  const [issue] = checked.error.issues;
  const at = issue?.path.map(String).join('.') ?? '';
  const label = action.objectLabels[at];
  if (label !== undefined && missing.includes(label)) {
    return { is: 'missing', because: `${action.name} needs the label ${label} on the alert, and it is not there` };
  }
  return {
    is: 'invalid',
    because: `${action.name} does not take ${at === '' ? 'these parameters' : at}: ${issue?.message ?? ''}`,
  };
}
