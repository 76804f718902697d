import type { Probe } from '../action.ts';

/** Of a step that only looks. */
export const looking = {
  fencing: 'read',
  deadlineMs: 0,
  settleMs: 0,
  maxAttempts: 1,
  lateCopy: 'harmless',
  probe: (): Promise<Probe> => Promise.resolve({ is: 'absent', because: 'this step only looks' }),
} as const;
