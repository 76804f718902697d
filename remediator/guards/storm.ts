import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const storm = defineGuard({
  name: 'storm',
  help: 'Not too many targets are in trouble at once, nor were they until just now: the cause would be elsewhere.',
  decide({ storm: state }) {
    if (!state.known) return unsure('storm_unknown', state.why);
    const { state: is, enteredMs, inputs } = state.value;
    if (is === 'calm') return allow('calm', 'no storm', { storm: inputs });
    return deny('storm', 'many targets are in trouble at once: the cause is elsewhere', { enteredMs, storm: inputs });
  },
});
