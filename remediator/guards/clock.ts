import { allow, defineGuard, unsure } from '../guard.ts';

export const clock = defineGuard({
  name: 'clock',
  help: 'The time that budgets and cooldowns are counted in can be trusted.',
  decide({ clock: state }) {
    return state.known ? allow('steady', 'the clock is steady') : unsure('unsteady', state.why);
  },
});
