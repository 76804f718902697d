// Every fact that makes a forced full copy dangerous: the primary forks and sends its whole data set, the replica throws
// its own away. Pure.
import type { Known } from '../../../exporter/runtime/known.ts';
import type { RedisReplicaSeen } from '../../../exporter/systems/redis/facts-replication-replicas.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import { fieldOf, type PairFacts, type RedisSettings } from './facts.ts';
import type { GoodMark } from './marks.ts';
import { partialPossible } from './reconnect-verdicts.ts';
import { failover, minReplicas, plainHost, primaryData, reachable, roles, type Pair } from './verdicts.ts';

export interface ResyncParams {
  readonly silentSeconds: number;
  /** `visible`: the numbers of keys differ, or only a full copy helps. `alert`: what the alert says is proof enough. */
  readonly divergence: 'visible' | 'alert';
  readonly divergenceShare: number;
  readonly primaryUpSeconds: number;
  readonly copyOnWriteShare: number;
  /** Go on although no other replica is well: until the copy is there, the primary is alone. */
  readonly lastReplica: boolean;
  /** A person has seen that there is room for the file of a copy, where the servers do not tell. */
  readonly diskConfirmed: boolean;
}

/** Below this many keys a difference is one of a moment. */
const leastDifference = 100;

export function divergence(facts: PairFacts, params: ResyncParams): Verdict {
  const { replica, primary } = facts;
  if (!replica.known) return unsure('replica_unknown', replica.why);
  if (!primary.known) return unsure('primary_unknown', primary.why);
  if (replica.value.role !== 'replica') return allow('not_a_replica', 'it is a primary');
  const { link } = replica.value;
  if (link?.syncInProgress === true) return deny('copying', 'it is being copied to already');
  const pair: Pair = { replica: replica.value, primary: primary.value };
  const silent = link?.up === true && (link.lastIoSecondsAgo ?? 0) >= params.silentSeconds;
  if (silent && partialPossible(pair, 0).code === 'full_copy') {
    return allow('full_only', 'the link is silent, and a reconnect would be a full copy anyway');
  }
  if (link?.up !== true) {
    return deny('link_down', 'the link is down: Redis copies by itself as soon as it can connect; see why it cannot');
  }
  const [own, its] = [replica.value.server.keys, primary.value.server.keys];
  if (!own.known) return unsure('keys_unknown', own.why);
  if (!its.known) return unsure('keys_unknown', its.why);
  const difference = Math.abs(own.value - its.value);
  const inputs = { replicaKeys: own.value, primaryKeys: its.value };
  const text = `the replica has ${String(own.value)} keys, its primary ${String(its.value)}`;
  if (difference > Math.max(leastDifference, its.value * params.divergenceShare))
    return allow('keys_differ', text, inputs);
  if (params.divergence === 'alert') return allow('by_alert', `${text}; the alert says that they differ`, inputs);
  return deny('healthy', `the link is up, and ${text}: no difference is to be seen from here`, inputs);
}

export function resyncPreconditions(
  facts: PairFacts,
  params: ResyncParams,
  good: GoodMark | undefined,
): Record<string, Verdict> {
  const both = reachable(facts);
  if (!facts.replica.known || !facts.primary.known || both.is !== 'allow') return { reachable: both };
  const pair: Pair = { replica: facts.replica.value, primary: facts.primary.value };
  const { settings } = facts;
  return {
    reachable: both,
    roles: roles(pair, facts.link),
    failover: failover(pair),
    primary_data: primaryData(pair, good),
    primary_life: primaryLife(pair, params.primaryUpSeconds, good),
    same_primary: samePrimary(pair),
    primary_busy: primaryBusy(pair),
    primary_persistence: persistence(pair),
    primary_memory: primaryMemory(pair, params.copyOnWriteShare),
    primary_disk: primaryDisk(pair, settings.primary, params.diskConfirmed),
    output_buffer: outputBuffer(pair, settings.primary),
    replica_room: replicaRoom(pair, settings.replica),
    replica_busy: replicaBusy(pair),
    other_replicas: otherReplicas(pair, params),
    sub_replicas: subReplicas(pair),
    min_replicas: minReplicas(pair, settings.primary),
    address: address(pair),
  };
}

/** What a server that has just begun holds is not what it will hold: it may still be filled from somewhere. */
function primaryLife({ primary }: Pair, wantedSeconds: number, good: GoodMark | undefined): Verdict {
  const { uptimeSeconds, runId } = primary.server;
  const restarted = good !== undefined && good.primaryRunId !== runId;
  const inputs = { uptimeSeconds, restarted: good === undefined ? 'unknown' : restarted };
  if (uptimeSeconds < wantedSeconds) {
    const text = `its primary was started ${String(uptimeSeconds)} s ago, ${String(wantedSeconds)} s are wanted`;
    return unsure('primary_young', text, inputs);
  }
  const text = restarted ? 'was started anew since the link was last seen well, and its data is plausible' : 'is up';
  return allow('primary_up', `its primary ${text}, for ${String(uptimeSeconds)} s`, inputs);
}

/** A full copy from a stranger would replace the data by other data. */
function samePrimary({ replica, primary }: Pair): Verdict {
  if (replica.replId === primary.replId || replica.replId === primary.replId2) {
    return allow('same_stream', 'what it has comes from the primary of the inventory');
  }
  return deny(
    'other_stream',
    'what it has is of no stream that the primary of the inventory knows: who is its primary?',
  );
}

function primaryBusy({ primary }: Pair): Verdict {
  const flags = ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress', 'module_fork_in_progress', 'async_loading'];
  const busy = flags.filter((name) => fieldOf(primary, name) === 1);
  if (busy.length > 0) return unsure('primary_forks', `its primary is at work: ${busy.join(', ')}`);
  const acknowledges = (r: RedisReplicaSeen): boolean => r.state === 'online' && (r.offset > 0 || primary.offset === 0);
  const address = (r: RedisReplicaSeen): string => `${r.ip}:${r.port}`;
  const served = new Set(primary.replicas.filter(acknowledges).map(address));
  // One of the same address that acknowledges: then this is what is left of its connection before
  const copying = primary.replicas.filter((r) => !acknowledges(r) && !served.has(address(r)));
  if (copying.length > 0) {
    const who = copying.map((r) => `${r.ip}:${r.port} (${r.state})`).join(', ');
    return unsure('another_copies', `its primary copies to another one: ${who}`);
  }
  return allow('idle', 'its primary writes no file and copies to nobody');
}

/** A copy begins with a fork and, without diskless sync, a file: what failed at the last save fails again. */
function persistence({ primary }: Pair): Verdict {
  const of = (name: string): string => primary.fields.get(name) ?? 'unknown';
  const [bgsave, aof, write] = [
    of('rdb_last_bgsave_status'),
    of('aof_last_bgrewrite_status'),
    of('aof_last_write_status'),
  ];
  const inputs = { bgsave, aof, write };
  if (bgsave === 'unknown') return unsure('saves_unknown', 'INFO of its primary has no rdb_last_bgsave_status', inputs);
  if (bgsave !== 'ok') return deny('save_failed', 'the last save of its primary failed: see its log', inputs);
  if (aof === 'err' || write === 'err')
    return deny('aof_failed', 'its primary cannot write its append only file', inputs);
  return allow('saves', 'the last save of its primary succeeded, or there was none', inputs);
}

/** In the worst case every page is written to while the child lives. Other programs of the machine are not seen. */
function primaryMemory({ primary }: Pair, copyOnWriteShare: number): Verdict {
  const total = fieldOf(primary, 'total_system_memory');
  const resident = fieldOf(primary, 'used_memory_rss');
  if (total === undefined || total === 0 || resident === undefined) {
    return unsure('memory_unknown', 'INFO of its primary does not tell total_system_memory and used_memory_rss');
  }
  const needed = Math.round(resident * (1 + copyOnWriteShare));
  const inputs = { totalBytes: total, residentBytes: resident, neededBytes: needed };
  if (needed <= total) return allow('memory', 'its primary has the memory to fork', inputs);
  return deny('no_memory_to_fork', `its primary may need ${mib(needed)} of ${mib(total)} while it copies`, inputs);
}

/** No server tells how much room is left; that it wrote such a file before is the next best. */
function primaryDisk({ primary }: Pair, settings: Known<RedisSettings>, confirmed: boolean): Verdict {
  if (!settings.known) return unsure('settings_unknown', settings.why);
  if (settings.value['repl-diskless-sync'] === 'yes') return allow('diskless', 'its primary copies without a file');
  if (confirmed) return allow('confirmed', 'the policy says that there is room for the file of a copy');
  if ((fieldOf(primary, 'rdb_saves') ?? 0) > 0)
    return allow('saved_before', 'its primary has written such a file before');
  return unsure('disk_unknown', 'whether its primary has room for the file: set diskConfirmed in the policy, or repl-diskless-sync yes'); // prettier-ignore
}

/** What is written meanwhile waits there: too little, and the copy is broken off and begins anew, without end. */
function outputBuffer({ primary }: Pair, settings: Known<RedisSettings>): Verdict {
  if (!settings.known) return unsure('settings_unknown', settings.why);
  const line = settings.value['client-output-buffer-limit'];
  const [, hard, soft] = /(?:slave|replica) (\d+) (\d+) (\d+)/.exec(line ?? '')?.map(Number) ?? [];
  if (hard === undefined || soft === undefined) return unsure('buffer_unknown', 'CONFIG GET says nothing of the limit');
  const inputs = { hardBytes: hard, softBytes: soft };
  const least = Math.max(primary.backlog.sizeBytes, 64 * 1024 * 1024);
  if (hard !== 0 && hard < least) {
    const fix = `CONFIG SET client-output-buffer-limit "replica ${String(least * 4)} ${String(least)} 60"`;
    return deny('buffer_small', `what is written during a copy may wait up to ${mib(hard)} only: ${fix}`, inputs);
  }
  return allow('buffer', hard === 0 ? 'no limit to what waits for a copy' : `${mib(hard)} may wait for a copy`, inputs);
}

function replicaRoom({ replica, primary }: Pair, settings: Known<RedisSettings>): Verdict {
  if (!settings.known) return unsure('settings_unknown', settings.why);
  const total = fieldOf(replica, 'total_system_memory');
  if (total === undefined || total === 0) return unsure('memory_unknown', 'INFO does not tell total_system_memory');
  const incoming = primary.server.usedMemoryBytes;
  // By swapdb the old data set stays until the new one is loaded
  const keepsBoth = settings.value['repl-diskless-load'] === 'swapdb';
  const needed = incoming + (keepsBoth ? replica.server.usedMemoryBytes : 0);
  const inputs = { totalBytes: total, neededBytes: needed, keepsBoth };
  if (needed > total) return deny('no_memory_to_load', `the replica may need ${mib(needed)} of ${mib(total)}`, inputs);
  const { maxMemoryBytes } = replica.server;
  const ignores = settings.value['replica-ignore-maxmemory'] !== 'no';
  if (maxMemoryBytes > 0 && !ignores && incoming > maxMemoryBytes) {
    return deny('maxmemory', `the replica may use ${mib(maxMemoryBytes)}, its primary uses ${mib(incoming)}`, inputs);
  }
  return allow('room', 'the replica has the memory for the copy', inputs);
}

/** Its own child would hold the old data set while the new one is loaded, and then write the old one over the new file. */
function replicaBusy({ replica }: Pair): Verdict {
  const busy = ['rdb_bgsave_in_progress', 'aof_rewrite_in_progress'].filter((name) => fieldOf(replica, name) === 1);
  if (busy.length > 0) return unsure('replica_forks', `the replica writes its own file: ${busy.join(', ')}`);
  return allow('idle', 'the replica writes no file');
}

/**
 * By address, and itself apart, which is told by its port. The primary keeps a connection that hangs beside the new one of
 * the same replica until repl-timeout (seen on Redis 7.0.15): the same address twice is one replica.
 */
function otherReplicas({ replica, primary }: Pair, { lastReplica, silentSeconds }: ResyncParams): Verdict {
  const online = primary.replicas.filter((r) => r.state === 'online' && (r.ackAgeSeconds ?? Infinity) < silentSeconds);
  const well = new Set(online.map((r) => `${r.ip}:${r.port}`));
  const own = online.some((r) => r.port === String(replica.server.port)) ? 1 : 0;
  const others = Math.max(0, well.size - own);
  const inputs = { well: [...well], own, others };
  if (others > 0) return allow('others', `${String(others)} other replicas are well`, inputs);
  if (lastReplica) return allow('waived', 'no other replica is well; the policy allows for that', inputs);
  return deny('last_replica', 'no other replica is well: until the copy is there, its primary would be alone', inputs);
}

function subReplicas({ replica }: Pair): Verdict {
  if (replica.replicas.length === 0) return allow('none', 'nobody replicates from it');
  const text = `${String(replica.replicas.length)} replicate from it, and would be copied anew with it`;
  return deny('sub_replicas', text);
}

function address({ replica }: Pair): Verdict {
  const { link } = replica;
  if (link === undefined) return unsure('no_link_told', 'INFO of the replica has no link');
  const isPort = /^\d{1,5}$/.test(link.port) && Number(link.port) > 0 && Number(link.port) < 65_536;
  if (isPort && plainHost(link.host))
    return allow('address', `it is pointed at ${link.host}:${link.port}, and stays so`);
  return deny('no_address', 'the address of its primary is none that could be given back to it');
}

function mib(bytes: number): string {
  return `${String(Math.round(bytes / 1024 / 1024))} MiB`;
}
