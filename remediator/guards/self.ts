import { allow, defineGuard, deny, unsure } from '../guard.ts';

/** So many times the promised interval without a watchdog, and alerts no longer come through. */
const missedWatchdogs = 3;

export const self = defineGuard({
  name: 'self',
  help: 'The remediator can judge: its store takes writes, it has just not started, alerts come through, it sees others.',
  decide({ self: { store, sweeps, minimumSweeps, watchdog, others }, upstreams }) {
    const inputs = {
      sweeps,
      minimumSweeps,
      watchdogAgeMs: watchdog?.ageMs ?? null,
      asked: others.asked,
      answering: others.answering,
    };
    if (!store.known) return unsure('store_not_writable', `the store takes no writes: ${store.why}`, inputs);
    if (!(sweeps >= minimumSweeps)) {
      return deny('starting', `sweep ${sweeps} of ${minimumSweeps} since the start`, inputs);
    }
    if (watchdog !== undefined && !(watchdog.ageMs <= missedWatchdogs * watchdog.everyMs)) {
      const seconds = Math.round(watchdog.ageMs / 1000);
      return unsure('watchdog_missing', `no watchdog came from ${watchdog.source} for ${seconds} s`, inputs);
    }
    if (others.asked === 0) return allow('alone', 'fit; there is no other target to compare with', inputs);
    if (others.answering > 0) return allow('fit', 'fit, and other targets answer', inputs);
    // an upstream that is down by a positive finding is a fault of its own: the guard on dependencies names it
    if (upstreams.some(({ up }) => up.known && !up.value)) return allow('upstream_down', 'an upstream is down', inputs);
    return unsure('blind', `none of ${others.asked} other targets answers: it may be us who is cut off`, inputs);
  },
});
