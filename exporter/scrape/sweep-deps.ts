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
  readonly others?: {
    readonly facts: SharedFacts;
    readonly sourcesOf: (target: string) => readonly string[];
    /** The end of the sweep of a target that is swept now. */
    readonly underWay: (target: string) => Promise<void> | undefined;
  };
}

interface Round {
  /** What is shared since then is of the present round. */
  readonly sinceMs: number;
  /** Until it aborts it is awaited. */
  readonly signal: AbortSignal;
  /** How long a target that is swept now is awaited. One that is far away takes longer than whoever asks is ready to wait for nothing. */
  readonly patienceMs: number;
}

export function peersOf({ others }: SweepDeps, target: string, round: Round): { readonly peers?: Peers } {
  if (others === undefined) return {};
  return {
    peers: {
      sources: others.sourcesOf(target),
      fact: (of, key, waitMs) => {
        const ended = of === target || waitMs === 0 ? undefined : others.underWay(of);
        const mostMs = ended === undefined ? waitMs : Math.max(waitMs, round.patienceMs);
        return others.facts.newest(of, key, { ...round, waitMs: mostMs, ended });
      },
    },
  };
}
