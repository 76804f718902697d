import { allow, defineGuard, deny } from '../guard.ts';

/** Codes with which this guard only withholds the permission: the planner lets every other guard speak first. */
export const withheld = { observe: 'observe', approve: 'needs_approval' } as const;

export const mode = defineGuard({
  name: 'mode',
  help: 'A policy matches the alert, and its mode lets the remediator act by itself.',
  decide({ policies }) {
    const [policy] = policies;
    if (policy === undefined) return deny('no_policy', 'no policy matches the labels of the alert');
    const inputs = { policy: policy.name, mode: policy.mode, others: policies.slice(1).map((p) => p.name) };
    switch (policy.mode) {
      case 'auto':
        return allow('auto', `policy ${policy.name} may act by itself`, inputs);
      case 'approve':
        return deny(withheld.approve, `policy ${policy.name} asks a person before it acts`, inputs);
      case 'observe':
        return deny(withheld.observe, `policy ${policy.name} only observes`, inputs);
    }
  },
});
