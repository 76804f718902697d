// What a scrape of a target leaves out because it has more series than it may have.
import type { Target } from '../config/inventory.ts';
import type { Finding } from '../findings.ts';
import { cut } from '../scrape/cut.ts';
import { defaultSeriesLimit } from '../scrape/guard.ts';
import type { Outcome } from '../scrape/outcome.ts';
import { prefixOf } from '../scrape/target-labels.ts';
import { some, wrong } from './wording.ts';

/** @param looks what the collectors have yielded */
export function limitFindings(
  target: Target,
  looks: readonly Pick<Outcome, 'collector' | 'blocks' | 'refused'>[],
): readonly Finding[] {
  const { dropped, samples } = cut(looks, target.seriesLimit, () => prefixOf(target).length);
  const counts = new Map<string, number>();
  for (const ofCollector of dropped.values()) {
    for (const [family, count] of ofCollector) counts.set(family, (counts.get(family) ?? 0) + count);
  }
  const out = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (out === 0) return [];
  const limit = target.seriesLimit ?? defaultSeriesLimit;
  const names = some([...counts.keys()].sort());
  const text = `${out} of ${out + samples} series are left out of each scrape, series_limit is ${limit}: ${names}`;
  const fix = `series_limit: ${2 * (out + samples)} at this target, or options of ${[...dropped.keys()].join(', ')} that yield fewer`;
  return [wrong('series_limit', 'warning', text, fix)];
}
