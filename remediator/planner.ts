import { resultOf, type Guard, type PlanInput } from './guard.ts';
import { guards as all } from './guards/index.ts';
import { withheld } from './guards/mode.ts';
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

export const needsApprovalKey = `mode:${withheld.approve}`;

/** Guards whose deny passes by itself; every other deny waits for people. */
const passing: ReadonlySet<string> = new Set(['alert', 'dependency', 'already_fixed', 'active_run', 'cooldown']);
/** Guards whose deny is no news: people have done it, or another alert says it. `mode` is: no policy wants this alert. */
const quiet: ReadonlySet<string> = new Set(['switch', 'mode', ...passing]);

/**
 * Decides what to do about one episode. Every guard is asked, for the trace; the first that does not allow gives the
 * verdict. A policy that observes, or asks first, speaks last: what it would have done is known only when every other
 * guard allows.
 */
export function plan(input: PlanInput, guards: readonly Guard[] = all): Plan {
  const trace = guards.map((guard) => resultOf(guard.name, guard.decide(input)));
  const against = trace.filter((r) => r.result !== 'allow');
  const first = against.find((r) => !isWithheld(r)) ?? against[0];
  if (first === undefined) {
    return { verdict: 'act', reasonKey: 'act', because: 'every guard allows it', trace, tell: 'no' };
  }
  const { guard, result, code, because } = first;
  const reason = { reasonKey: `${guard}:${code}`, because, trace };
  if (isWithheld(first)) {
    return code === withheld.observe
      ? { ...reason, verdict: 'would_act', tell: 'no' }
      : { ...reason, verdict: 'hold', tell: 'at_once' };
  }
  if (result === 'unknown') return { ...reason, verdict: 'hold', tell: 'if_it_lasts' };
  return {
    ...reason,
    verdict: passing.has(guard) ? 'hold' : 'refuse',
    tell: quiet.has(guard) ? 'no' : 'at_once',
  };
}

function isWithheld({ guard, code }: GuardResult): boolean {
  return guard === 'mode' && (code === withheld.observe || code === withheld.approve);
}
