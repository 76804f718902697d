import { allow, defineGuard, deny } from '../guard.ts';

export const latch = defineGuard({
  name: 'latch',
  help: 'No earlier run has left the target to people.',
  decide({ latches }) {
    const [first] = latches;
    if (first === undefined) return allow('none', 'no latch is set');
    return deny('latched', `${first.scope} waits for a person: ${first.reason}`, {
      latches: latches.map((l) => ({ id: l.id, scope: l.scope, reason: l.reason, run: l.runId ?? null })),
    });
  },
});
