// When many targets are in trouble at once, no repair of one of them begins: entered by two thresholds, left after calm.
import type { Inventory, Target } from '../exporter/config/inventory.ts';
import type { Limits, Policy } from './guard.ts';
import type { Episode, Storm } from './model.ts';
import type { KnownAction } from './policies.ts';

/** What a storm is judged by. */
export interface Weather {
  /** Distinct targets with an open episode that was seen firing in the window. */
  readonly firing: readonly string[];
  /** Of these, those whose group Alertmanager had cut: there are more than it shows. */
  readonly truncated: readonly string[];
  /** Targets that a policy is for. */
  readonly of: number;
}

/** Targets that some policy could act upon. */
export function coveredTargets(
  inventory: Pick<Inventory, 'targets'>,
  policies: readonly Policy[],
  actions: readonly KnownAction[],
): ReadonlySet<string> {
  const kindsOf = (name: string): readonly string[] => actions.find((a) => a.name === name)?.kinds ?? [];
  const covers = (target: Target, { match, action, chain }: Policy): boolean =>
    (match['target'] === undefined || match['target'] === target.name) &&
    [action, ...chain.map((link) => link.action)].some((name) => kindsOf(name).includes(target.kind));
  return new Set(
    [...inventory.targets.values()].filter((t) => policies.some((p) => covers(t, p))).map((target) => target.name),
  );
}

/** States of an alert that is in trouble still, as far as anybody can tell. */
const troubled: ReadonlySet<Episode['alertState']> = new Set(['active', 'unknown', 'unreachable']);

export function weatherOf(
  episodes: readonly Episode[],
  covered: ReadonlySet<string>,
  windowMs: number,
  nowMs: number,
): Weather {
  const firing = episodes.filter(
    (e) => troubled.has(e.alertState) && nowMs - Math.max(e.lastFiringMs, e.alertSeenMs ?? 0) <= windowMs,
  );
  const targetsOf = (some: readonly Episode[]): string[] =>
    [...new Set(some.map((e) => e.labels['target'] ?? '').filter((name) => covered.has(name)))].sort();
  return {
    firing: targetsOf(firing),
    truncated: [...new Set(firing.filter((e) => e.truncated).map((e) => e.labels['target'] ?? e.id))].sort(),
    of: covered.size,
  };
}

/**
 * The next state. Active is left only after an unbroken `cooldownMs` below the thresholds: each new crossing starts it
 * over. The same object when nothing changes.
 */
export function nextStorm(before: Storm | undefined, weather: Weather, limits: Limits['storm'], nowMs: number): Storm {
  const { firing, truncated, of } = weather;
  const { minTargets, percent, cooldownMs } = limits;
  const isStormy =
    truncated.length > 0 || (firing.length >= minTargets && of > 0 && 100 * firing.length >= percent * of);
  const inputs = { firing: [...firing], truncated: [...truncated], of, minTargets, percent };
  if (before?.state !== 'active') {
    if (isStormy) return { state: 'active', enteredMs: nowMs, cooldownUntilMs: undefined, inputs };
    return before ?? { state: 'calm', enteredMs: nowMs, cooldownUntilMs: undefined, inputs };
  }
  if (isStormy) return before.cooldownUntilMs === undefined ? before : { ...before, cooldownUntilMs: undefined };
  if (before.cooldownUntilMs === undefined) return { ...before, cooldownUntilMs: nowMs + cooldownMs };
  if (nowMs < before.cooldownUntilMs) return before;
  return { state: 'calm', enteredMs: nowMs, cooldownUntilMs: undefined, inputs };
}
