import { allow, defineGuard, deny, unsure } from '../guard.ts';
import { modeOf } from './mode.ts';

/** Denied only for want of a person's leave: the one deny that asks for it. */
export const needsApproval = 'needs_approval';

export const approval = defineGuard({
  name: 'approval',
  help: 'The policy may act by itself at this hour, or a person has agreed to exactly this repair on exactly these facts.',
  decide(input) {
    const { approval: asked, window, nowMs } = input;
    const mode = modeOf(input);
    const { latest, role } = asked;
    const inputs = { mode, role, approval: latest?.id ?? null, state: latest?.state ?? null, window: window.why };
    if (mode === 'observe') return allow('not_asked', 'what only observes asks nobody', inputs);
    // Also within its hours: somebody has said no to exactly this. It holds until the facts or the policy change.
    if (latest?.state === 'rejected') {
      const comment = latest.comment === undefined || latest.comment === '' ? '' : `: ${latest.comment}`;
      return deny('rejected', `${latest.decidedBy ?? 'a person'} has said no${comment}`, inputs);
    }
    if (mode === 'auto') {
      if (!window.inside.known) return unsure('window_unknown', window.inside.why, inputs);
      if (window.inside.value) return allow('not_needed', 'the policy may act by itself now', inputs);
    }
    const why = mode === 'auto' ? `outside its hours (${window.why})` : `in mode ${mode}`;
    const wanted = `the policy asks ${role} ${why}`;
    if (latest?.state === 'approved' && nowMs < latest.expiresMs) {
      return allow('approved', `approved by ${latest.decidedBy ?? 'a person'}`, inputs);
    }
    return deny(needsApproval, wanted, inputs);
  },
});
