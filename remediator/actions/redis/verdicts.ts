// What both repairs of a replica ask before they do anything. Pure.
import type { Known } from '../../../exporter/runtime/known.ts';
import type { RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import { failoverState, fieldOf, type PairFacts, type RedisSettings } from './facts.ts';
import type { GoodMark } from './marks.ts';
import type { SentinelView } from './sentinels.ts';

/** A smaller part of its replica's keys than this is no plausible data set of a primary. */
const plausibleShare = 0.8;
/** Data sets below this are mostly the server's own buffers, which come and go. */
const judgedBytes = 16 * 1024 * 1024;

/** Two known servers; without both there is nothing to decide on. */
export interface Pair {
  readonly replica: RedisReplication;
  readonly primary: RedisReplication;
}

export function reachable(facts: PairFacts): Verdict {
  if (!facts.primaryTarget.known) return deny('no_primary', facts.primaryTarget.why);
  if (!facts.replica.known) return unsure('replica_unknown', facts.replica.why);
  if (!facts.primary.known) return unsure('primary_unknown', `its primary: ${facts.primary.why}`);
  return allow('both_answer', `it and its primary ${facts.primaryTarget.value} answer`);
}

/** @param end of the replica: whom it is really connected to, whatever name it was given */
export function roles({ replica, primary }: Pair, end: PairFacts['link']): Verdict {
  if (replica.server.clusterEnabled || primary.server.clusterEnabled) {
    return deny('cluster', 'it is a node of a cluster: the cluster decides who replicates from whom');
  }
  if (replica.role !== 'replica')
    return deny('not_a_replica', 'the inventory has it as a replica, and it is a primary');
  if (primary.role !== 'primary') return deny('primary_is_replica', 'what should be its primary is a replica itself');
  if (replica.link === undefined) return unsure('no_link_told', 'INFO of the replica has no link');
  const { host, port } = replica.link;
  const feeds = [`${host}:${port}`, ...(end.known && end.value !== null ? [end.value.addr] : [])];
  const between = primary.replicas.find((r) => feeds.includes(`${r.ip}:${r.port}`));
  if (between !== undefined) {
    // Of one stream, so that nothing else tells them apart; but backlog, memory and saves asked about are the primary's
    const because = `it is fed by ${between.ip}:${between.port}, a replica of that primary: what its primary has says nothing of that one`;
    return deny('chained', because);
  }
  if (replica.server.loading) return unsure('replica_loading', 'the replica loads its data set');
  if (primary.server.loading) return unsure('primary_loading', 'its primary loads its data set');
  return allow('as_written', 'a replica and its primary, as the inventory has them');
}

export function failover({ replica, primary }: Pair): Verdict {
  const [own, its] = [failoverState(replica), failoverState(primary)];
  const inputs = { replica: own, primary: its };
  if (own === 'no-failover' && its === 'no-failover')
    return allow('no_failover', 'no planned swap is under way', inputs);
  return deny('failover_running', `a planned swap is under way (${its})`, inputs);
}

/** A Sentinel gives a replica its primary: whatever is done beside it, it may undo, or mistake for a fault. */
export function sentinelVerdict(sentinel: Known<SentinelView>, action: 'reconnect' | 'full-resync'): Verdict {
  if (!sentinel.known) return unsure('sentinel_unknown', sentinel.why);
  const { watches, said } = sentinel.value;
  const inputs = { watches, said: said.map((s) => ({ ...s })) };
  if (!watches) return allow('no_sentinel', 'no Sentinel is connected to either server', inputs);
  if (action === 'full-resync') {
    return deny('sentinel_owns', 'a Sentinel looks after it: it points replicas at primaries, nobody else', inputs);
  }
  if (said.length === 0) {
    const fix = 'add the Sentinels to the inventory as targets of kind redis, for them to be asked';
    return unsure('sentinel_not_asked', `a Sentinel looks after it, and none could be asked: ${fix}`, inputs);
  }
  const busy = said.find((s) => /failover_in_progress|force_failover|[so]_down|reconf/.test(s.flags));
  if (busy !== undefined) {
    return deny('sentinel_at_work', `${busy.sentinel} has ${busy.name} as ${busy.flags}`, inputs);
  }
  return allow('sentinel_calm', 'a Sentinel looks after it and sees nothing wrong; a link is not its business', inputs);
}

/**
 * A primary that came back empty empties its replica with the next full copy: until then the replica has what nobody
 * else has.
 */
export function primaryData({ replica, primary }: Pair, good: GoodMark | undefined): Verdict {
  const [own, its] = [replica.server.keys, primary.server.keys];
  if (!own.known) return unsure('keys_unknown', own.why);
  if (!its.known) return unsure('keys_unknown', `its primary: ${its.why}`);
  const bytes = { replica: datasetBytes(replica), primary: datasetBytes(primary) };
  const restarted = good === undefined ? 'unknown' : good.primaryRunId !== primary.server.runId;
  const uptimeSeconds = primary.server.uptimeSeconds;
  const inputs = { replicaKeys: own.value, primaryKeys: its.value, bytes, restarted, uptimeSeconds };
  const text = `the replica has ${String(own.value)} keys, its primary ${String(its.value)}`;
  const since = restarted === true ? ', and it was started anew since the link was last seen well' : '';
  if (own.value > 0 && its.value === 0) {
    return deny('primary_empty', `${text}: a primary that came back empty${since}`, inputs);
  }
  if (its.value < own.value * plausibleShare) return deny('primary_shrank', `${text}${since}`, inputs);
  if (bytes.replica >= judgedBytes && bytes.primary < bytes.replica * plausibleShare) {
    const mib = (n: number): string => `${String(Math.round(n / 1024 / 1024))} MiB`;
    const much = `${mib(bytes.replica)} of data, its primary ${mib(bytes.primary)}`;
    return deny('primary_shrank', `the replica has ${much}${since}`, inputs);
  }
  return allow('plausible', text, inputs);
}

/** In unsigned numbers a difference below zero is near 2^64 (seen on Redis 8.0.6): that is as good as nothing. */
function datasetBytes(of: RedisReplication): number {
  const bytes = fieldOf(of, 'used_memory_dataset') ?? 0;
  return bytes > of.server.usedMemoryBytes ? 0 : bytes;
}

/** With too few replicas that keep up a primary refuses all writes (NOREPLICAS): one less must not make it so. */
export function minReplicas({ primary }: Pair, settings: Known<RedisSettings>): Verdict {
  if (!settings.known) return unsure('settings_unknown', settings.why);
  const wanted = Number(settings.value['min-replicas-to-write'] ?? Number.NaN);
  const maxLag = Number(settings.value['min-replicas-max-lag'] ?? Number.NaN);
  if (Number.isNaN(wanted) || Number.isNaN(maxLag)) {
    return unsure('min_replicas_unknown', 'CONFIG GET of its primary says nothing of min-replicas-to-write');
  }
  if (wanted === 0 || maxLag === 0) return allow('not_asked_for', 'min-replicas-to-write is not set');
  const good = fieldOf(primary, 'min_slaves_good_slaves');
  if (good === undefined) return unsure('min_replicas_unknown', 'INFO says nothing of min_slaves_good_slaves');
  const inputs = { wanted, good };
  const text = `its primary wants ${String(wanted)} replicas that keep up and has ${String(good)}`;
  // Below already: writes are refused as it is, and what brings a replica back can only help
  if (good < wanted || good - 1 >= wanted) return allow('enough', text, inputs);
  return deny('writes_would_stop', `${text}: one less, and it refuses writes`, inputs);
}

/** What goes into a command must be an address and nothing else; it is what the server itself has listed. */
export function plainHost(host: string): boolean {
  return /^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,252}$/.test(host) && !/^no$/i.test(host);
}
