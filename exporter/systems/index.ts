import type { System } from '../system.ts';

/** The registry: one line per system. */
export const systems: readonly System[] = [];
