import { resultOf, type Guard, type PlanInput } from './guard.ts';
import { needsApproval } from './guards/approval.ts';
import { guards as all } from './guards/index.ts';
import type { DecisionVerdict, GuardResult } from './model.ts';

export interface Plan {
  readonly verdict: DecisionVerdict;
  /** `GUARD:CODE` of the first guard that did not allow; `act` when none objects. */
  readonly reasonKey: string;
  readonly because: string;
  readonly trace: readonly GuardResult[];
  /**
   * Whether people are told. Not when they know already (a pause, a silence), when the alert of another target says it
   * (a dependency), or when nothing is wrong any more.
   */
  readonly tell: 'no' | 'at_once' | 'if_it_lasts';
}

/** Nothing but a person's leave is missing. */
export const needsApprovalKey = `approval:${needsApproval}`;

/** Guards whose deny passes by itself; every other deny waits for people. */
const passing: ReadonlySet<string> = new Set([
  'self',
  'alert',
  'maintenance',
  'storm',
  'dependency',
  'already_fixed',
  'active_run',
  'cooldown',
]);
/**
 * Guards whose deny is no news: people have done it, another alert says it, or (a storm) it is told once for all. `mode`
 * is: no policy wants this alert.
 */
const quiet: ReadonlySet<string> = new Set(['switch', 'mode', ...passing]);

/**
 * Decides what to do about one episode. Every guard is asked, for the trace; the first that does not allow gives the
 * verdict. A policy that only observes speaks last: what it would have done is known only when every other guard allows.
 */
export function plan(input: PlanInput, guards: readonly Guard[] = all): Plan {
  const trace = guards.map((guard) => resultOf(guard.name, guard.decide(input)));
  const against = trace.filter((r) => r.result !== 'allow');
  const first = against.find((r) => !isObserving(r)) ?? against[0];
  if (first === undefined) {
    return { verdict: 'act', reasonKey: 'act', because: 'every guard allows it', trace, tell: 'no' };
  }
  const { guard, result, code, because } = first;
  const reason = { reasonKey: `${guard}:${code}`, because, trace };
  if (isObserving(first)) return { ...reason, verdict: 'would_act', tell: 'no' };
  if (isUnasked(first)) return { ...reason, verdict: 'hold', tell: 'at_once' };
  if (guard === 'approval') return { ...reason, verdict: result === 'unknown' ? 'hold' : 'refuse', tell: 'no' };
  // A failover passes, a unit that somebody has stopped does not: which of them it is shows in time.
  if (result === 'unknown' || guard === 'owner') return { ...reason, verdict: 'hold', tell: 'if_it_lasts' };
  return {
    ...reason,
    verdict: passing.has(guard) ? 'hold' : 'refuse',
    tell: quiet.has(guard) ? 'no' : 'at_once',
  };
}

function isObserving({ guard, code }: GuardResult): boolean {
  return guard === 'mode' && code === 'observe';
}

function isUnasked({ guard, code }: GuardResult): boolean {
  return guard === 'approval' && code === needsApproval;
}
