import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const killSwitch = defineGuard({
  name: 'switch',
  help: 'Nobody has paused the remediator: neither by the file nor in the store. What cannot be read counts as paused.',
  decide({ switches }) {
    const inputs = { file: switches.file, store: switches.store };
    if (switches.file === 'set') return deny('paused_by_file', switches.fileDetail, inputs);
    if (switches.store === 'set') return deny('paused', switches.storeDetail, inputs);
    if (switches.file === 'unreadable') return unsure('file_unreadable', switches.fileDetail, inputs);
    if (switches.store === 'missing') return unsure('store_missing', switches.storeDetail, inputs);
    return allow('clear', 'not paused', inputs);
  },
});
