// The lag as a canary measures it: at the end of the pipeline, whatever lies between. Pure.
import type { FactBoard } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { canaryFact, type CanaryView, type SeenView } from '../canary/facts-track.ts';

interface Measured {
  readonly canary?: string | undefined;
  readonly replicas: readonly string[];
  readonly cache?: { readonly primary: string; readonly replicas: readonly string[] } | undefined;
}

/**
 * The ends of the pipeline that the canary is looked for at: the cache where there is one; else all but the source's
 * replicas, which lie beside the pipeline; else these.
 */
export function endsOf({ cache, replicas }: Measured, { ends }: CanaryView): readonly SeenView[] {
  if (cache !== undefined) {
    return ends.filter(({ seenAt }) => seenAt === cache.primary || cache.replicas.includes(seenAt));
  }
  const others = ends.filter(({ seenAt }) => !replicas.includes(seenAt));
  return others.length > 0 ? others : ends;
}

/**
 * The latest of the ends counts. Until a token of this run of the exporter has arrived, the age of its first one is only a
 * lower bound: what was written before may wait for much longer. Like other bounds it is told once it is above the
 * objective. Undefined for a pipeline without a canary.
 */
export function measuredLagOf(
  pipeline: Measured & { readonly objective: number },
  board: FactBoard,
): Known<number> | undefined {
  if (pipeline.canary === undefined) return undefined;
  const view = board.read(pipeline.canary, canaryFact);
  if (!view.known) return view;
  let latest: Known<number> = unknown(`${pipeline.canary} is looked for at no end of the pipeline`);
  for (const { seenAt, lagSeconds, sinceSeenSeconds } of endsOf(pipeline, view.value)) {
    if (!lagSeconds.known) return unknown(`${seenAt}: ${lagSeconds.why}`);
    if (sinceSeenSeconds === undefined && lagSeconds.value * 1000 <= pipeline.objective) {
      return unknown(`${seenAt}: no token was seen yet`);
    }
    if (!latest.known || lagSeconds.value > latest.value) latest = known(lagSeconds.value, lagSeconds.observedAtMs);
  }
  return latest;
}
