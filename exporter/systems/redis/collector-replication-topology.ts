import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { RedisClient } from './client.ts';
import { readUnlessSentinel, redisReplicationFact, type RedisReplication } from './facts-replication.ts';
import {
  hasStreamOf,
  nextSyncStates,
  primaryWaitMs,
  redisTopologyFact,
  topologyChecks,
  topologyOf,
  topologyStates,
  type NextSyncState,
  type TopologyState,
} from './facts-replication-topology.ts';
import { topologyFamilies } from './families-replication.ts';

type TopologyEmit = Emit<typeof topologyFamilies>;

/** Whether another server is the primary of one is a matter of both: the primary's own collector has looked at it. */
export const replicationTopology = collectorOf<RedisClient>()({
  name: 'replication_topology',
  help: 'Whether a replica is what the inventory says, and what its next connection would cost; needs its primary in the same pipeline.',
  config: z.strictObject({
    /** Replicas of this replica are meant to be. */
    allow_chain: z.boolean().default(false),
  }),
  families: topologyFamilies,
  state: () => undefined,
  async collect({ client, config, emit, call }) {
    const [own, primaries] = await Promise.all([readUnlessSentinel(client, call), primariesOf(call)]);
    if (own === undefined) {
      for (const check of topologyChecks) emitCheck(emit, check, 'none');
      emitNext(emit, 'none');
      return;
    }
    const found = topologyOf(own, primaryFor(own, primaries), {
      nowMs: call.clock.wallMs(),
      isChainMeant: config.allow_chain,
    });
    call.board.publish(call.target, redisTopologyFact, known(found, call.clock.wallMs()));
    for (const check of topologyChecks) emitCheck(emit, check, found.checks[check].state);
    emitNext(emit, found.nextSync.state);
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, redisTopologyFact, unknown(why));
    const isPaired = (call.peers?.sources.length ?? 0) > 0;
    for (const check of topologyChecks) emitCheck(emit, check, isPaired || check === 'chain' ? 'unknown' : 'none');
    emitNext(emit, 'unknown');
  },
});

/** Of the primaries that the pipelines name for it; there is seldom more than one. */
async function primariesOf({ peers }: CollectorCall): Promise<readonly Known<RedisReplication>[]> {
  if (peers === undefined) return [];
  return await Promise.all(peers.sources.map((name) => peers.fact(name, redisReplicationFact, primaryWaitMs)));
}

/** Where two pipelines name two primaries: the one whose stream it has, else any that is known. */
function primaryFor(
  own: RedisReplication,
  primaries: readonly Known<RedisReplication>[],
): Known<RedisReplication> | undefined {
  const isIts = (f: Known<RedisReplication>): boolean => f.known && hasStreamOf(own, f.value);
  return primaries.find(isIts) ?? primaries.find((f) => f.known) ?? primaries[0];
}

function emitCheck(emit: TopologyEmit, check: string, state: TopologyState): void {
  emitState(
    (value, of) => {
      emit.topology(value, { check, state: of });
    },
    topologyStates,
    state,
  );
}

function emitNext(emit: TopologyEmit, state: NextSyncState): void {
  emitState(
    (value, of) => {
      emit.nextSync(value, { state: of });
    },
    nextSyncStates,
    state,
  );
}
