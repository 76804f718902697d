import { defineGuard, unsure } from '../guard.ts';

export const alreadyFixed = defineGuard({
  name: 'already_fixed',
  help: 'The facts still show what the alert is about.',
  decide({ action }) {
    return action?.alreadyFixed ?? unsure('no_look', 'the target was not looked at');
  },
});
