import { allow, defineGuard, unsure } from '../guard.ts';

export const owner = defineGuard({
  name: 'owner',
  help: 'Whoever else starts and stops the target (a restart policy, Sentinel, an orchestrator) is not at work on it.',
  decide({ action }) {
    if (action === undefined) return unsure('no_look', 'the target was not looked at');
    return action.owner ?? allow('none', `${action.name} knows of no other owner`);
  },
});
