// Sentinels that look after a pair: seen by their connections on its servers, asked where the inventory has them.
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import { attempt } from '../../world.ts';
import { withRedis, type RedisWorld } from './connection.ts';

export interface SentinelView {
  /** At least one is connected to one of the two servers. */
  readonly watches: boolean;
  /** What those of the inventory say of this primary; empty when none of them could be asked. */
  readonly said: readonly SentinelSaid[];
}

export interface SentinelSaid {
  readonly sentinel: string;
  readonly name: string;
  /** `master`, with `s_down`, `o_down`, `failover_in_progress` and others while it is so. */
  readonly flags: string;
}

const mostAsked = 8;
const askMs = 2_000;

export async function readSentinels(
  watchers: readonly Known<readonly string[]>[],
  primary: Known<RedisReplication>,
  world: RedisWorld,
  signal: AbortSignal,
): Promise<Known<SentinelView>> {
  const seen = watchers.some((w) => w.known && w.value.length > 0);
  const [blind] = watchers.filter((w) => !w.known);
  if (!seen) {
    if (blind?.known === false) return unknown(`whether a Sentinel watches: ${blind.why}`);
    return known({ watches: false, said: [] }, world.clock.wallMs());
  }
  const runId = primary.known ? primary.value.server.runId : '';
  const asked = candidates(world).slice(0, mostAsked);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
  const said = await Promise.all(
    asked.map(async (sentinel) => {
      const found = await attempt(world.clock, () => ask(sentinel, runId, world, limit));
      return found.known ? found.value.map((one) => ({ sentinel, ...one })) : [];
    }),
  );
  return known({ watches: true, said: said.flat() }, world.clock.wallMs());
}

/** Redis targets that no pipeline keeps data in. */
function candidates({ inventory }: RedisWorld): readonly string[] {
  const data = new Set(inventory.pipelines.flatMap((p) => (p.cache ? [p.cache.primary, ...p.cache.replicas] : [])));
  return [...inventory.targets.values()].filter((t) => t.kind === 'redis' && !data.has(t.name)).map((t) => t.name);
}

/** @throws TargetError also where it is no Sentinel: then it has no such command */
async function ask(
  target: string,
  runId: string,
  world: RedisWorld,
  signal: AbortSignal,
): Promise<readonly Omit<SentinelSaid, 'sentinel'>[]> {
  return await withRedis(world, target, signal, async (client, call) =>
    mastersOf(await client.send(call, 'SENTINEL', 'MASTERS'), runId),
  );
}

/**
 * What a Sentinel says of the primary with that run id. Not by port or name: 6379 is that of every primary, and the calm
 * of another one says nothing of this one.
 */
export function mastersOf(reply: unknown, runId: string): readonly Omit<SentinelSaid, 'sentinel'>[] {
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'SENTINEL MASTERS: the reply is not a list');
  return reply.flatMap((item: unknown) => {
    if (!Array.isArray(item)) return [];
    const words = item.map(String);
    const of = (field: string): string => words[words.findIndex((w, i) => i % 2 === 0 && w === field) + 1] ?? '';
    return runId !== '' && of('runid') === runId ? [{ name: of('name'), flags: of('flags') }] : [];
  });
}
