import type { Evaluator } from '../../remediator/evaluator.ts';

/** Decides nothing: for tests of all that is around it. */
export const idleEvaluator: Pick<Evaluator, 'begin' | 'resume' | 'drain' | 'stillAsked'> = {
  begin: () => Promise.resolve(),
  resume: () => Promise.resolve(),
  drain: () => Promise.resolve(),
  stillAsked: () => Promise.resolve({ is: 'same' }),
};
