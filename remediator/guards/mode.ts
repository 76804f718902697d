import { allow, defineGuard, deny, type PlanInput, type Policy } from '../guard.ts';

export type Mode = Policy['mode'];
const order: readonly Mode[] = ['observe', 'approve', 'auto'];

export function lowerMode(a: Mode, b: Mode): Mode {
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}

/** The lowest of what the file, the link, the action and a demotion allow. */
export function modeOf({
  policies: [policy],
  link,
  demotion,
}: Pick<PlanInput, 'policies' | 'link' | 'demotion'>): Mode {
  if (policy === undefined || link === undefined) return 'observe';
  const limits: readonly Mode[] = [link.mode, link.highestMode, demotion?.mode ?? 'auto'];
  return limits.reduce(lowerMode, policy.mode);
}

export const mode = defineGuard({
  name: 'mode',
  help: 'A policy matches the alert, and its mode lets the remediator do more than observe.',
  decide(input) {
    const {
      policies: [policy, ...others],
      link,
      demotion,
    } = input;
    if (policy === undefined) return deny('no_policy', 'no policy matches the labels of the alert');
    const inputs = {
      policy: policy.name,
      mode: policy.mode,
      action: link?.action ?? null,
      link: link === undefined ? null : link.position + 1,
      demoted: demotion?.mode ?? null,
      others: others.map((p) => p.name),
    };
    if (link === undefined) return deny('no_action', `policy ${policy.name} names no action that is known`, inputs);
    const why = demotion === undefined ? '' : ` (demoted: ${demotion.reason})`;
    const now = modeOf(input);
    switch (now) {
      case 'auto':
        return allow('auto', `policy ${policy.name} may act by itself`, inputs);
      case 'approve':
        return allow('approve', `policy ${policy.name} asks a person before it acts${why}`, inputs);
      case 'observe':
        return deny('observe', `policy ${policy.name} only observes${why}`, inputs);
    }
  },
});
