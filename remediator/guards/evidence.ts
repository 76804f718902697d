import { allow, defineGuard, unsure } from '../guard.ts';

/** So many ways of looking must agree on the symptom, of an action that looks in several. */
const minimumObservers = 2;

export const evidence = defineGuard({
  name: 'evidence',
  help: 'Every fact that the action needs is known, two observers agree, and the facts have said the same for long enough.',
  decide({ action, symptom }) {
    if (action === undefined) return unsure('no_look', 'the target was not looked at: policy or target is missing');
    const verdicts = Object.entries({ already_fixed: action.alreadyFixed, ...action.preconditions });
    // one clear no is enough for a decision: what else is unknown does not matter then
    if (verdicts.some(([, v]) => v.is === 'deny')) return allow('decided', 'the facts suffice to say no');
    const missing = verdicts.filter(([, v]) => v.is === 'unknown');
    const [first] = missing;
    if (first !== undefined) {
      return unsure(first[1].code, first[1].because, {
        unknown: missing.map(([name, v]) => ({ name, why: v.because })),
      });
    }
    const { observers = [] } = action;
    const inputs = { ...symptom, observers: observers.map(({ by, says }) => ({ by, says })) };
    const healthy = observers.filter((o) => o.says === 'healthy');
    const broken = observers.filter((o) => o.says === 'broken');
    if (healthy.length > 0) {
      return unsure('observers_disagree', `${healthy.map((o) => o.by).join(', ')} sees nothing wrong`, inputs);
    }
    if (action.observers !== undefined && broken.length < minimumObservers) {
      const who = broken.length === 0 ? 'nobody sees it' : `only ${broken.map((o) => o.by).join(', ')} sees it`;
      return unsure('one_observer', `${who}; ${minimumObservers} must`, inputs);
    }
    if (!(symptom.looks >= 2 && symptom.heldMs >= symptom.minimumMs)) {
      return unsure('not_held_yet', `the facts have not said the same for ${symptom.minimumMs} ms yet`, inputs);
    }
    return allow('known', 'every fact is known and has held', inputs);
  },
});
