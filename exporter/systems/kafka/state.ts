export const groupStates = ['stable', 'rebalancing', 'empty', 'dead', 'unknown'] as const;
export type GroupState = (typeof groupStates)[number];

/** What a sweep is made of: each is whole, or a part of it did not answer. */
export const sweepParts = ['metadata', 'groups', 'descriptions', 'commits', 'offsets'] as const;
export type SweepPart = (typeof sweepParts)[number];

export const granularities = ['partition', 'topic'] as const;
export type Granularity = (typeof granularities)[number];
