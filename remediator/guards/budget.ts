import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const budget = defineGuard({
  name: 'budget',
  help: 'Neither the target, nor the policy, nor all together were repaired too often lately: it would not be the remedy.',
  decide({ budgets }) {
    const inputs = { budgets: budgets.map(({ scope, used, max, windowMs }) => ({ scope, used, max, windowMs })) };
    if (budgets.length === 0) return unsure('no_budget', 'without a policy and a target there is no budget');
    // written so that a number that is none denies
    const spent = budgets.find(({ used, max }) => !(used < max));
    if (spent === undefined) {
      return allow('left', budgets.map((b) => `${b.scope}: ${b.used} of ${b.max} runs used`).join(', '), inputs);
    }
    const { scope, used, max, windowMs } = spent;
    return deny(
      'spent',
      `${scope}: ${used} of ${max} runs within ${Math.round(windowMs / 60_000)} min are used`,
      inputs,
    );
  },
});
