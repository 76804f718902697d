// How each link was when it was last seen well: tells a primary that was started anew since. Kept in memory; after a
// restart of the remediator only the data sets themselves can be compared.
import type { RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';

export interface GoodMark {
  readonly primaryRunId: string;
  readonly replId: string;
  readonly atMs: number;
}

const byWorld = new WeakMap<object, Map<string, GoodMark>>();

export function goodMarkOf(world: object, target: string): GoodMark | undefined {
  return byWorld.get(world)?.get(target);
}

/** Only a link that is up, has heard lately, and is of this primary's stream counts as well. */
export function markIfGood(
  world: object,
  target: string,
  { replica, primary }: { readonly replica: RedisReplication; readonly primary: RedisReplication },
  silentSeconds: number,
  atMs: number,
): void {
  const { link } = replica;
  const fresh = link?.up === true && (link.lastIoSecondsAgo ?? Infinity) < silentSeconds;
  if (!fresh || replica.replId !== primary.replId || primary.role !== 'primary') return;
  const marks = byWorld.get(world) ?? new Map<string, GoodMark>();
  byWorld.set(world, marks);
  marks.set(target, { primaryRunId: primary.server.runId, replId: primary.replId, atMs });
}
