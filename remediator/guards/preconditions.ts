import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const preconditions = defineGuard({
  name: 'preconditions',
  help: "The action's own conditions: the class of the error, and every fact that makes it dangerous.",
  decide({ action, nowMs }) {
    if (action === undefined) return unsure('no_look', 'the target was not looked at');
    const all = Object.entries(action.preconditions);
    const inputs = Object.fromEntries(
      all.map(([name, v]) => [name, { is: v.is, code: v.code, because: v.because, inputs: v.inputs }]),
    );
    const denied = all.find(([, v]) => v.is === 'deny');
    if (denied !== undefined) return deny(denied[1].code, denied[1].because, inputs);
    const { answered } = action;
    if (answered !== undefined) {
      const hours = Math.floor((nowMs - answered.atMs) / 3_600_000);
      const because = `${answered.what}: run ${answered.runId} has answered that ${hours} h ago, and a repair does so once only`;
      return deny('answered_before', because, { ...inputs, answered });
    }
    const open = all.find(([, v]) => v.is === 'unknown');
    if (open !== undefined) return unsure(open[1].code, open[1].because, inputs);
    return allow('met', `${all.length} conditions of ${action.name} are met`, inputs);
  },
});
