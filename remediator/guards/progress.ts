import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const progress = defineGuard({
  name: 'progress',
  help: 'Something has moved since the last attempt that failed, and a link of the chain is left to try.',
  decide({ lastFailed, action, link }) {
    if (link?.over === true) {
      return deny('chain_over', `all ${link.length} links of the chain were tried`, { links: link.length });
    }
    const mark = action?.progressMark;
    const inputs = { mark: mark ?? null, run: lastFailed?.runId ?? null, markThen: lastFailed?.mark ?? null };
    if (lastFailed === undefined) return allow('first', 'no attempt has failed', inputs);
    if (lastFailed.mark === undefined) {
      return allow('no_mark', `how far the data had come was not kept with run ${lastFailed.runId}`, inputs);
    }
    if (mark === undefined) return unsure('mark_unknown', 'how far the data has come cannot be seen now', inputs);
    if (mark !== lastFailed.mark) return allow('moved', 'the data has moved since the last attempt', inputs);
    return deny('no_progress', `nothing has moved since run ${lastFailed.runId} failed`, inputs);
  },
});
