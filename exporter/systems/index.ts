import type { System } from '../system.ts';
import { kinds } from './kinds.ts';

/** All that there are, in the order of the registry. */
export const systems: readonly System[] = await Promise.all(Object.values(kinds).map((load) => load()));
