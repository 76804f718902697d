// What a person is asked to agree to, whole: an approval holds for exactly this, and for nothing else. Pure.
import { asJson } from './canonical.ts';
import type { Look, Step } from './action.ts';
import type { LinkView, Policy } from './guard.ts';
import type { Json } from './model.ts';
import type { Target } from '../exporter/config/inventory.ts';

export interface ShownPlan {
  readonly policy: Policy;
  readonly link: Pick<LinkView, 'action' | 'position'>;
  readonly target: Pick<Target, 'name' | 'kind' | 'instance' | 'address'>;
  readonly params: Json;
  readonly steps: readonly Pick<Step<unknown>, 'name' | 'fencing' | 'compensate'>[];
  readonly look: Pick<Look<unknown>, 'owner' | 'evidence'>;
}

/** No moving numbers: the facts are those that the action has declared to decide. Addresses hold no secrets. */
export function planOf({ policy, link, target, params, steps, look }: ShownPlan): Json {
  return {
    action: link.action,
    link: link.position + 1,
    target: {
      name: target.name,
      kind: target.kind,
      instance: target.instance ?? null,
      address: target.address === undefined ? null : asJson(target.address),
    },
    params,
    steps: steps.map(({ name, fencing, compensate }) => ({
      name,
      fencing,
      undo: compensate === 'none' ? null : compensate.name,
    })),
    owner: look.owner === undefined ? null : `${look.owner.is}: ${look.owner.code}`,
    facts: look.evidence,
    policy: asJson(policy),
  };
}

const mostTold = 5;
const longestValue = 60;

/** `facts.running was 1, is 7`, in the order of the plan's keys; the rest is counted. */
export function changesIn(before: Json, now: Json): readonly string[] {
  const found: string[] = [];
  compare('', before, now, found);
  const left = found.length - mostTold;
  return left <= 0 ? found : [...found.slice(0, mostTold), `and ${left} more`];
}

function compare(path: string, before: Json | undefined, now: Json | undefined, found: string[]): void {
  if (isNode(before) && isNode(now) && Array.isArray(before) === Array.isArray(now)) {
    const [a, b] = [before, now] as Readonly<Record<string, Json>>[];
    for (const key of new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])) {
      compare(path === '' ? key : `${path}.${key}`, a?.[key], b?.[key], found);
    }
    return;
  }
  const [was, is] = [told(before), told(now)];
  if (was !== is) found.push(`${path} was ${was}, is ${is}`);
}

function isNode(value: Json | undefined): value is readonly Json[] | { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null;
}

function told(value: Json | undefined): string {
  if (value === undefined) return 'not there';
  const text = JSON.stringify(value);
  return text.length <= longestValue ? text : `${text.slice(0, longestValue)}…`;
}
