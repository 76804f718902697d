export const groupStates = ['stable', 'rebalancing', 'empty', 'dead', 'unknown'] as const;
export type GroupState = (typeof groupStates)[number];
