import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const preconditions = defineGuard({
  name: 'preconditions',
  help: "The action's own conditions: the class of the error, and every fact that makes it dangerous.",
  decide({ action }) {
    if (action === undefined) return unsure('no_look', 'the target was not looked at');
    const all = Object.entries(action.preconditions);
    const inputs = Object.fromEntries(
      all.map(([name, v]) => [name, { is: v.is, code: v.code, because: v.because, inputs: v.inputs }]),
    );
    const denied = all.find(([, v]) => v.is === 'deny');
    if (denied !== undefined) return deny(denied[1].code, denied[1].because, inputs);
    const open = all.find(([, v]) => v.is === 'unknown');
    if (open !== undefined) return unsure(open[1].code, open[1].because, inputs);
    return allow('met', `${all.length} conditions of ${action.name} are met`, inputs);
  },
});
