import { allow, defineGuard, deny } from '../guard.ts';

export const maintenance = defineGuard({
  name: 'maintenance',
  help: 'Nobody has said that people work on the target, on a pipeline of it, or on everything.',
  decide({ maintenance: open }) {
    const [first] = open;
    if (first === undefined) return allow('none', 'no maintenance is under way');
    return deny('maintenance', `${first.by} works on ${first.scope}: ${first.reason}`, {
      maintenance: open.map(({ scope, by, reason }) => ({ scope, by, reason })),
    });
  },
});
