// Whether ending the link of a replica can help, and can do no harm. Pure.
import type { RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import { nextSyncOf } from '../../../exporter/systems/redis/facts-replication-topology.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Look } from '../../action.ts';
import { isAddress } from './clients.ts';
import { isServed, ownEntries } from './entries.ts';
import type { PairFacts } from './facts.ts';
import { failover, minReplicas, primaryData, reachable, roles, type Pair } from './verdicts.ts';
import type { GoodMark } from './marks.ts';

export interface ReconnectParams {
  /** A link that has heard nothing for this long is silent; a primary sends a PING every 10 s. */
  readonly silentSeconds: number;
  /** The part of the backlog that must still lie between the replica and the first byte that is lost to it. */
  readonly backlogShare: number;
}

/** Healthy, silent, or nothing that a reconnect could mend. */
export function symptom(facts: PairFacts, { silentSeconds }: ReconnectParams): Verdict {
  if (!facts.replica.known) return unsure('replica_unknown', facts.replica.why);
  const { role, link } = facts.replica.value;
  if (role !== 'replica' || link === undefined) return allow('no_link', 'it has no link to a primary');
  if (!link.up) return allow('link_down', 'the link is down');
  const ago = link.lastIoSecondsAgo;
  if (ago === undefined) return unsure('silence_unknown', 'INFO says nothing of master_last_io_seconds_ago');
  const inputs = { lastIoSecondsAgo: ago, silentSeconds };
  if (ago < silentSeconds) return deny('healthy', `the link is up and was heard ${String(ago)} s ago`, inputs);
  return allow('link_silent', `the link counts as up and has been silent for ${String(ago)} s`, inputs);
}

export function reconnectPreconditions(
  facts: PairFacts,
  params: ReconnectParams,
  good: GoodMark | undefined,
): Record<string, Verdict> {
  const both = reachable(facts);
  if (!facts.replica.known || !facts.primary.known || both.is !== 'allow') return { reachable: both };
  const pair: Pair = { replica: facts.replica.value, primary: facts.primary.value };
  return {
    reachable: both,
    roles: roles(pair, facts.link),
    failover: failover(pair),
    primary_data: primaryData(pair, good),
    link: linkToEnd(facts, pair.replica),
    partial: partialPossible(pair, params.backlogShare),
    min_replicas: minReplicas(pair, facts.settings.primary),
  };
}

/** A replica whose link is down tries again every second by itself: there is nothing that could be ended. */
function linkToEnd({ link: end, fed }: PairFacts, { link }: RedisReplication): Verdict {
  if (link?.syncInProgress === true)
    return deny('copying', 'it is being copied to: an end of the link would begin that anew');
  if (!end.known) return unsure('link_unknown', end.why);
  if (link?.up !== true || end.value === null) {
    const since = link?.downSinceSeconds;
    const text = since === undefined ? 'the link is down' : `the link has been down for ${String(since)} s`;
    return deny('nothing_to_end', `${text}: Redis itself tries again every second, and there is no connection to end`);
  }
  const { laddr, addr } = end.value;
  if (laddr === undefined)
    return deny('too_old', 'the server does not tell its own address of the link: Redis 6.2 does');
  if (!isAddress(laddr)) return deny('no_address', `the link has no address that could be named: ${laddr}`);
  // Behind a NAT or a proxy the primary lists another address, or none any more: the replica's own is what is named
  const listedByPrimary = fed.known ? fed.value.some((client) => client.addr === laddr) : null;
  return allow('link_found', `one connection, ${laddr} to ${addr}`, { laddr, addr, listedByPrimary });
}

/** As Redis decides at the next connection: else a reconnect costs a full copy, which people are to decide on. */
export function partialPossible({ replica, primary }: Pair, backlogShare: number): Verdict {
  const { link } = replica;
  if (link === undefined) return unsure('no_link_told', 'INFO of the replica has no link');
  const next = nextSyncOf({ ...replica, state: 'replica_down' }, primary);
  const { sizeBytes } = primary.backlog;
  const headroomBytes = sizeBytes - (primary.offset - link.offset);
  const inputs = { headroomBytes, backlogBytes: sizeBytes, replicaOffset: link.offset, primaryOffset: primary.offset };
  switch (next.state) {
    case 'partial':
      return headroomBytes >= sizeBytes * backlogShare
        ? allow('partial', next.why, inputs)
        : deny('backlog_short', `the backlog ends in ${String(headroomBytes)} bytes: a full copy may follow`, inputs);
    case 'full':
      return deny('full_copy', `a reconnect would be a full copy (${next.why})`, inputs);
    case 'linked':
    case 'syncing':
    case 'unknown':
    case 'none':
      return unsure('next_sync_unknown', next.why, inputs);
  }
}

/** The replica by the age of what it heard, its primary by what it has written and what it hears from the replica. */
export function observersOf(
  facts: PairFacts,
  { silentSeconds }: Pick<ReconnectParams, 'silentSeconds'>,
): NonNullable<Look<unknown>['observers']> {
  const { replica, primary } = facts;
  const ago = replica.known ? replica.value.link?.lastIoSecondsAgo : undefined;
  const up = replica.known && replica.value.link?.up === true;
  const byReplica = !replica.known ? 'unknown' : up && ago !== undefined && ago < silentSeconds ? 'healthy' : 'broken';
  return [
    { by: 'replica', says: byReplica },
    { by: 'primary', says: replica.known && primary.known ? primarySays({ replica: replica.value, primary: primary.value }, facts.link, silentSeconds) : 'unknown' }, // prettier-ignore
  ];
}

function primarySays(pair: Pair, link: PairFacts['link'], silentSeconds: number): 'broken' | 'healthy' | 'unknown' {
  if (pair.primary.offset > (pair.replica.link?.offset ?? 0)) return 'broken';
  const { entries, isSure } = ownEntries(pair, link);
  if (!entries.some((r) => isServed(r, silentSeconds))) return 'broken';
  return isSure ? 'healthy' : 'unknown';
}
