// Is a replica what the inventory says, and what would its next connection cost? Pure: of the facts of both servers.
import { factKey } from '../../facts.ts';
import type { Known } from '../../runtime/known.ts';
import type { RedisReplication } from './facts-replication.ts';

/** How long the facts of the same round are waited for; a primary that is slower is compared as it was the last time. */
export const primaryWaitMs = 500;

/** A primary that was not read for longer than this is not compared with any more. */
export const primaryAtMostMs = 300_000;

export const topologyChecks = ['role', 'primary', 'replication_id', 'dataset', 'chain'] as const;
export type TopologyCheck = (typeof topologyChecks)[number];

/** `none`: there is nothing to compare with, or the question does not arise. */
export const topologyStates = ['ok', 'wrong', 'unknown', 'none'] as const;
export type TopologyState = (typeof topologyStates)[number];

export interface TopologyFinding {
  readonly state: TopologyState;
  /** For people. */
  readonly why: string;
}

/**
 * What the next connection of a replica to its primary would be. `linked`: none is needed. `none`: it is no replica, or
 * the inventory names no primary for it.
 */
export const nextSyncStates = ['linked', 'syncing', 'partial', 'full', 'unknown', 'none'] as const;
export type NextSyncState = (typeof nextSyncStates)[number];

export interface NextSync {
  readonly state: NextSyncState;
  /** For people. */
  readonly why: string;
}

export interface Topology {
  readonly checks: Readonly<Record<TopologyCheck, TopologyFinding>>;
  readonly nextSync: NextSync;
}

export const redisTopologyFact = factKey<Topology>('redis.topology');

/**
 * @param primary of the inventory; undefined when it names none for this target
 * @param given `nowMs` on the wall clock; whether replicas of this one are meant to be
 */
export function topologyOf(
  own: RedisReplication,
  primary: Known<RedisReplication> | undefined,
  { nowMs, isChainMeant = false }: { readonly nowMs: number; readonly isChainMeant?: boolean },
): Topology {
  const chain = isChainMeant ? meant : chainOf(own);
  if (primary === undefined) {
    const nobody: TopologyFinding = { state: 'none', why: 'the inventory names no primary for it' };
    return {
      checks: { role: nobody, primary: nobody, replication_id: nobody, dataset: nobody, chain },
      nextSync: nextSyncNone(own),
    };
  }
  if (own.role === 'primary') {
    const why = 'the inventory has it as a replica, and it is a primary';
    const open: TopologyFinding = { state: 'none', why };
    const checks = {
      role: { state: 'wrong', why },
      primary: open,
      replication_id: open,
      dataset: open,
      chain,
    } as const;
    return { checks, nextSync: { state: 'none', why } };
  }
  const other = primary.known && nowMs - primary.observedAtMs > primaryAtMostMs ? old : primary;
  if (!other.known) {
    const unknown: TopologyFinding = { state: 'unknown', why: `its primary: ${other.why}` };
    const checks = { role: asWritten, primary: unknown, replication_id: unknown, dataset: unknown, chain };
    return { checks, nextSync: own.state === 'replica_up' ? linked : unknownSync(unknown.why) };
  }
  const { value } = other;
  const role: TopologyFinding =
    value.role === 'primary'
      ? asWritten
      : { state: 'wrong', why: 'what the inventory has as its primary is a replica itself' };
  const checks = {
    role,
    primary: primaryOf(own, value),
    replication_id: idOf(own, value),
    dataset: datasetOf(own, value),
    chain,
  };
  return { checks, nextSync: nextSyncOf(own, value) };
}

const asWritten: TopologyFinding = { state: 'ok', why: 'as the inventory has it' };
const meant: TopologyFinding = { state: 'none', why: 'the inventory allows for replicas of a replica' };
const old = { known: false, why: 'was not read lately' } as const;
const linked: NextSync = { state: 'linked', why: 'the link is up' };

function unknownSync(why: string): NextSync {
  return { state: 'unknown', why };
}

function nextSyncNone({ role, state }: RedisReplication): NextSync {
  if (role === 'primary') return { state: 'none', why: 'it is a primary' };
  return state === 'replica_up' ? linked : { state: 'none', why: 'the inventory names no primary for it' };
}

/** Seen on the one in the middle: whoever replicates from a replica loses its stream with it. */
function chainOf({ role, replicas }: RedisReplication): TopologyFinding {
  if (role === 'primary') return { state: 'none', why: 'it is a primary' };
  if (replicas.length === 0) return { state: 'ok', why: 'nobody replicates from it' };
  return { state: 'wrong', why: `it is a replica, and ${String(replicas.length)} replicate from it` };
}

/**
 * By the replication id, not by the address: the way to a primary may lead over a name, a proxy or a NAT, but an id is
 * drawn at random and passed on (redis/src/replication.c). While the link is down, an id of before says where it has
 * replicated from; while it is up, that of before the failover is the stream of the server that was replaced.
 */
function primaryOf(own: RedisReplication, primary: RedisReplication): TopologyFinding {
  const isIts = own.state === 'replica_up' ? own.replId === primary.replId : hasStreamOf(own, primary);
  if (isIts) return { state: 'ok', why: 'it has the stream of its primary' };
  const address = own.link === undefined ? 'nobody' : `${own.link.host}:${own.link.port}`;
  if (own.state === 'replica_up') {
    return { state: 'wrong', why: `it replicates from ${address}, which is not the primary of the inventory` };
  }
  return { state: 'unknown', why: `it is not connected to ${address}, and has no stream of its primary` };
}

function idOf(own: RedisReplication, primary: RedisReplication): TopologyFinding {
  if (own.state === 'replica_syncing') return { state: 'unknown', why: 'it is being copied to' };
  if (own.replId === primary.replId) return { state: 'ok', why: 'both have the same replication id' };
  if (own.state !== 'replica_up' && own.replId === primary.replId2) {
    return { state: 'ok', why: 'it has the id of before the last failover, which its primary still knows' };
  }
  return { state: 'wrong', why: `its replication id ${own.replId} is none of its primary's` };
}

/** A smaller part of its replica's keys than this is no plausible data set of a primary. */
const plausibleShare = 0.8;
/** Fewer keys are not judged. */
const leastKeys = 1_000;

/**
 * A primary that came back empty empties its replicas, too: with their next full copy. While the link is up, both change
 * together; before that there is time to keep what the replica has.
 */
function datasetOf(own: RedisReplication, primary: RedisReplication): TopologyFinding {
  if (own.state === 'replica_up') return { state: 'ok', why: 'the link is up' };
  const [its, theirs] = [own.server.keys, primary.server.keys];
  if (own.server.loading || primary.server.loading) return { state: 'unknown', why: 'one of them is loading' };
  if (!its.known) return { state: 'unknown', why: its.why };
  if (!theirs.known) return { state: 'unknown', why: theirs.why };
  const text = `it has ${String(its.value)} keys, its primary ${String(theirs.value)}`;
  if (its.value < leastKeys) return { state: 'none', why: `${text}: too few to judge` };
  return { state: theirs.value >= its.value * plausibleShare ? 'ok' : 'wrong', why: text };
}

/** Now, or up to the last failover of that one. */
export function hasStreamOf(own: RedisReplication, primary: RedisReplication): boolean {
  return own.replId === primary.replId || own.replId === primary.replId2;
}

/** As masterTryPartialResync() in redis/src/replication.c decides it. */
export function nextSyncOf(own: RedisReplication, primary: RedisReplication): NextSync {
  if (own.link === undefined) return unknownSync('it tells of no link');
  if (own.state === 'replica_up') return linked;
  if (own.state === 'replica_syncing') return { state: 'syncing', why: 'it is being copied to' };
  if (primary.server.loading) return unknownSync('its primary is loading its data set');
  const from = own.link.offset + 1;
  const isSecond = own.replId === primary.replId2 && from <= (primary.secondReplOffset ?? -1);
  if (own.replId !== primary.replId && !isSecond) {
    const why =
      own.replId === primary.replId2 ? 'it has gone further than the last failover' : 'another replication id';
    return { state: 'full', why };
  }
  const { active, firstByteOffset, historyBytes } = primary.backlog;
  if (!active) return { state: 'full', why: 'its primary has no backlog' };
  if (from < firstByteOffset) {
    return { state: 'full', why: `its primary's backlog begins ${String(firstByteOffset - from)} bytes after it` };
  }
  if (from > firstByteOffset + historyBytes) return { state: 'full', why: 'it is further than its primary' };
  return { state: 'partial', why: `${String(firstByteOffset + historyBytes - from)} bytes of the backlog` };
}
