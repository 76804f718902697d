import { allow, defineGuard, deny } from '../guard.ts';

export const activeRun = defineGuard({
  name: 'active_run',
  help: 'Nothing else is being repaired: not this target, and no other one before it has come to its soak.',
  decide({ activeRun: run, candidates }) {
    if (run === undefined) return allow('none', 'no run is active');
    const inputs = { run: run.id, action: run.action, state: run.state, target: run.target };
    if (candidates.some((c) => c.name === run.target)) {
      return deny('active_run', `${run.action} works on ${run.target} already`, inputs);
    }
    return deny('busy_elsewhere', `${run.action} works on ${run.target}: one at a time`, inputs);
  },
});
