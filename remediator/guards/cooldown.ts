import { allow, defineGuard, deny } from '../guard.ts';

export const cooldown = defineGuard({
  name: 'cooldown',
  help: 'Enough time has gone by since the last run on the target ended.',
  decide({ cooldown: last, nowMs }) {
    if (last === undefined || nowMs >= last.untilMs) return allow('over', 'no cooldown');
    const leftMs = last.untilMs - nowMs;
    return deny('cooldown', `${Math.ceil(leftMs / 1000)} s of the cooldown after the last run are left`, {
      run: last.runId,
      untilMs: last.untilMs,
      leftMs,
    });
  },
});
