import { allow, defineGuard, deny } from '../guard.ts';

export const relapse = defineGuard({
  name: 'relapse',
  help: 'The same trouble did not come back too often after repairs that were verified.',
  decide({ relapses: { count, max, windowMs } }) {
    const inputs = { count, max, windowMs };
    // written so that a number that is none denies
    if (count < max) return allow('few', `${count} relapses, ${max} are too many`, inputs);
    const minutes = Math.round(windowMs / 60_000);
    return deny('relapses', `it came back ${count} times within ${minutes} min: this repair is no remedy`, inputs);
  },
});
