import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const storm = defineGuard({
  name: 'storm',
  help: 'Not too many targets are in trouble at once, nor were they until just now: the cause would be elsewhere.',
  decide({ storm: state, nowMs }) {
    if (!state.known) return unsure('storm_unknown', state.why);
    const { state: is, enteredMs, inputs, cooldownUntilMs } = state.value;
    if (is === 'calm') return allow('calm', 'no storm', { storm: inputs });
    const why =
      cooldownUntilMs === undefined
        ? 'many targets are in trouble at once: the cause is elsewhere'
        : `many targets were in trouble at once: ${Math.max(0, Math.ceil((cooldownUntilMs - nowMs) / 1000))} s of calm are wanted yet`;
    // as it was when the storm began
    return deny('storm', why, { enteredMs, storm: inputs, cooldownUntilMs: cooldownUntilMs ?? null });
  },
});
