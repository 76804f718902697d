import type { Peers } from '../collector.ts';
import type { SharedFacts } from '../facts.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';

/** What the sweeps of all targets have in common. */
export interface SweepDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** A part of this program threw what it must not: counted, and served as a metric. */
  readonly fault: (part: string, error: unknown) => void;
  /** The other targets of the inventory; a sweep by itself has none. */
  readonly others?: { readonly facts: SharedFacts; readonly sourcesOf: (target: string) => readonly string[] };
}

/** @param round what is shared since then is of the present round; until its signal aborts it is awaited */
export function peersOf(
  { others }: SweepDeps,
  target: string,
  round: { readonly sinceMs: number; readonly signal: AbortSignal },
): { readonly peers?: Peers } {
  if (others === undefined) return {};
  return {
    peers: {
      sources: others.sourcesOf(target),
      fact: (of, key, waitMs) => others.facts.newest(of, key, { ...round, waitMs }),
    },
  };
}
