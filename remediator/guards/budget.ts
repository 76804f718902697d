import { allow, defineGuard, deny } from '../guard.ts';

export const budget = defineGuard({
  name: 'budget',
  help: 'The target was not repaired too often lately: then repairing is not the remedy.',
  decide({ budget: { used, max, windowMs } }) {
    const inputs = { used, max, windowMs };
    // written so that a number that is none denies
    if (used < max) return allow('left', `${used} of ${max} runs used`, inputs);
    return deny('spent', `${used} of ${max} runs within ${Math.round(windowMs / 60_000)} min are used`, inputs);
  },
});
