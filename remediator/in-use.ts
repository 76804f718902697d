// The policies that are in use, and how far back they look. They are read again while the program serves, so whoever needs
// to know asks each time: a window that has become longer counts at once, for the store, the clock and the retention.
import type { Log } from '../exporter/runtime/log.ts';
import type { Limits, Policy, PolicyFile } from './guard.ts';
import { demotionWindowMs } from './past.ts';
import { longestWindowMs } from './policies.ts';
import { keptMs } from './store/retention.ts';
import type { Retention } from './store/store-of-people.ts';

export interface InUse {
  readonly policies: () => readonly Policy[];
  readonly limits: () => Limits;
  /** The longest of all policies: which one an alert is for is not known when its episode is opened. */
  readonly relapseMs: () => number;
  /** How far back the longest window, cooldown or relapse reaches. */
  readonly longestMs: () => number;
  /** What the store must keep for them, and for demotions. */
  readonly keep: () => Retention;
  /** Others instead. */
  readonly take: (file: PolicyFile) => void;
}

export function policiesInUse(
  first: PolicyFile,
  retention: Pick<Retention, 'episodesMs' | 'webhookBytes'>,
  log: Pick<Log, 'warn'>,
): InUse {
  let now = first;
  const longestOf = ({ policies, limits }: PolicyFile): number => longestWindowMs(policies, limits);
  const keepFor = (longestMs: number): Retention => ({
    ...retention,
    longestWindowMs: Math.max(longestMs, demotionWindowMs),
  });
  return {
    policies: () => now.policies,
    limits: () => now.limits,
    relapseMs: () => Math.max(0, ...now.policies.map((p) => p.relapseMs)),
    longestMs: () => longestOf(now),
    keep: () => keepFor(longestOf(now)),
    take: (file) => {
      const beforeMs = keptMs(keepFor(longestOf(now)));
      const longestMs = longestOf(file);
      now = file;
      if (longestMs <= beforeMs) return;
      const hours = (ms: number): number => Math.round(ms / 360_000) / 10;
      log.warn(
        { windowHours: hours(longestMs), keptHours: hours(beforeMs) },
        'a window now reaches back further than what was kept: older runs do not count in it. Set the policies to observe until it has passed, or a shorter window',
      );
    },
  };
}
