// What one INFO reply says about replication. Everything is taken from the same reply: offsets of two replies differ by
// the traffic between them.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory, type OffsetAge } from '../../runtime/offset-history.ts';
import type { RedisClient } from './client.ts';
import { flagOf, numberOf, parseInfo, textOf, type RedisFields } from './facts-replication-fields.ts';
import { replicasOf, type RedisBacklog, type RedisReplicaSeen } from './facts-replication-replicas.ts';
import type { RedisReplicationState } from './state.ts';

export { parseInfo, type RedisFields } from './facts-replication-fields.ts';
export type { RedisBacklog, RedisReplicaSeen } from './facts-replication-replicas.ts';

export interface RedisReplication {
  readonly role: 'primary' | 'replica';
  readonly state: RedisReplicationState;
  /** Says why when `state` is unknown. */
  readonly why: string | undefined;
  readonly server: RedisServer;
  /** Offsets of two servers are comparable only under the same replication id. */
  readonly replId: string;
  /** The id before the last failover, and up to which offset it is valid; undefined when there was none. */
  readonly replId2: string | undefined;
  readonly secondReplOffset: number | undefined;
  /** On a primary: the end of its stream. On a replica: the end of what it has received and passes on. */
  readonly offset: number;
  readonly backlog: RedisBacklog;
  /** As this server sees them: its direct replicas. Two behind one address and port appear twice. */
  readonly replicas: readonly RedisReplicaSeen[];
  /** Of a replica: the link to its primary. */
  readonly link: RedisLink | undefined;
  readonly syncs: RedisSyncs;
  /** Every field of INFO, as written. */
  readonly fields: RedisFields;
}

export interface RedisServer {
  /** As the inventory has it; undefined for a socket. */
  readonly host: string | undefined;
  /** That it listens on. */
  readonly port: number | undefined;
  /** New at every start of the process: tells two incarnations apart. */
  readonly runId: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly mode: string;
  readonly clusterEnabled: boolean;
  readonly loading: boolean;
  readonly bgsaveInProgress: boolean;
  readonly usedMemoryBytes: number;
  /** 0: no limit is set. */
  readonly maxMemoryBytes: number;
  /** Over all databases; 0 when there is none. Unknown while INFO has no keyspace section. */
  readonly keys: Known<number>;
}

export interface RedisLink {
  readonly host: string;
  readonly port: string;
  readonly up: boolean;
  /** -1 while the link is down (redis/src/server.c, genRedisInfoString). */
  readonly lastIoSecondsAgo: number | undefined;
  readonly syncInProgress: boolean;
  /** Applied. */
  readonly offset: number;
  /** Received; undefined before Redis 7.0. */
  readonly readOffset: number | undefined;
  /** Present only while the link is down; undefined too when it never was up (-1). */
  readonly downSinceSeconds: number | undefined;
  readonly readOnly: boolean;
}

/** Since the start of the process, on the primary's side. */
export interface RedisSyncs {
  readonly full: number;
  readonly partialOk: number;
  readonly partialRefused: number;
}

export const redisReplicationFact = factKey<RedisReplication>('redis.replication');

/** The ages of the places in one server's stream. */
export interface RedisStream {
  readonly replId: string;
  /** Since the byte behind `offset` was written, at the moment of the call. */
  readonly ageOf: (offset: number) => OffsetAge | undefined;
}

/** Of the server whose stream it is. */
export const redisStreamFact = factKey<RedisStream>('redis.stream');

/** How the stream of one server grew, kept from sweep to sweep: without it there are no lags in seconds. */
export class StreamMemory {
  #replId = '';
  #history = new OffsetHistory();

  /** Another replication id is another stream: its offsets have nothing to do with those before. */
  of(replId: string): OffsetHistory {
    if (replId !== this.#replId) this.#history = new OffsetHistory();
    this.#replId = replId;
    return this.#history;
  }
}

/** One INFO. */
export async function readRedisReplication(
  client: RedisClient,
  call: Call,
  memory?: StreamMemory,
): Promise<RedisReplication> {
  return replicationIn(await client.info(call), client, call, memory);
}

function replicationIn(
  text: string,
  client: RedisClient,
  call: Call,
  memory: StreamMemory | undefined,
): RedisReplication {
  const now = { nowMs: call.clock.wallMs(), monoMs: call.clock.monoMs() };
  return redisReplicationOf(parseInfo(text), { ...now, host: client.host, memory });
}

/** For what looks at any kind of server: undefined for a Sentinel, which has neither data nor replication. */
export async function readUnlessSentinel(
  client: RedisClient,
  call: Call,
  memory?: StreamMemory,
): Promise<RedisReplication | undefined> {
  const text = await client.info(call);
  return /^(redis|server)_mode:sentinel\r?$/m.test(text) ? undefined : replicationIn(text, client, call, memory);
}

export interface ReplicationContext {
  readonly host?: string | undefined;
  readonly nowMs: number;
  readonly monoMs: number;
  readonly memory?: StreamMemory | undefined;
}

/** @throws TargetError `protocol` when the reply has no replication section */
export function redisReplicationOf(fields: RedisFields, context: ReplicationContext): RedisReplication {
  const role = roleOf(fields);
  const loading = flagOf(fields, 'loading');
  const offset = numberOf(fields, 'master_repl_offset') ?? 0;
  const backlog: RedisBacklog = {
    active: flagOf(fields, 'repl_backlog_active'),
    sizeBytes: numberOf(fields, 'repl_backlog_size') ?? 0,
    firstByteOffset: numberOf(fields, 'repl_backlog_first_byte_offset') ?? 0,
    historyBytes: numberOf(fields, 'repl_backlog_histlen') ?? 0,
  };
  const replId = textOf(fields, 'master_replid') ?? '';
  const history = context.memory?.of(replId);
  // While it loads, the offset is not yet that of the stream that it will serve
  if (!loading) history?.add(context.monoMs, offset);
  const link = role === 'replica' ? linkOf(fields) : undefined;
  const second = numberOf(fields, 'second_repl_offset');
  const replId2 = textOf(fields, 'master_replid2');
  return {
    role,
    ...stateOf(role, link, loading),
    server: serverOf(fields, context),
    replId,
    replId2: replId2 === undefined || /^0+$/.test(replId2) ? undefined : replId2,
    secondReplOffset: second === undefined || second < 0 ? undefined : second,
    offset,
    backlog,
    replicas: replicasOf(fields, offset, backlog, history, context),
    link,
    syncs: {
      full: numberOf(fields, 'sync_full') ?? 0,
      partialOk: numberOf(fields, 'sync_partial_ok') ?? 0,
      partialRefused: numberOf(fields, 'sync_partial_err') ?? 0,
    },
    fields,
  };
}

function roleOf(fields: RedisFields): RedisReplication['role'] {
  const role = fields.get('role');
  if (role === 'master') return 'primary';
  if (role === 'slave') return 'replica';
  throw new TargetError('protocol', 'INFO has no role of master or slave: is this Redis, and may the user read INFO?');
}

/** A server that still loads its data set answers INFO, but its offsets are not yet those that it will serve. */
function stateOf(
  role: RedisReplication['role'],
  link: RedisLink | undefined,
  loading: boolean,
): Pick<RedisReplication, 'state' | 'why'> {
  if (role === 'primary') {
    return loading
      ? { state: 'unknown', why: 'the server is loading its data set' }
      : { state: 'primary', why: undefined };
  }
  if (link === undefined) return { state: 'unknown', why: 'INFO of a replica has no master_link_status' };
  if (link.up) return { state: 'replica_up', why: undefined };
  return { state: link.syncInProgress || loading ? 'replica_syncing' : 'replica_down', why: undefined };
}

function linkOf(fields: RedisFields): RedisLink | undefined {
  const status = fields.get('master_link_status');
  const host = fields.get('master_host');
  const port = fields.get('master_port');
  if (status === undefined || host === undefined || port === undefined) return undefined;
  const downSince = numberOf(fields, 'master_link_down_since_seconds');
  return {
    host,
    port,
    up: status === 'up',
    lastIoSecondsAgo: numberOf(fields, 'master_last_io_seconds_ago'),
    syncInProgress: flagOf(fields, 'master_sync_in_progress'),
    offset: numberOf(fields, 'slave_repl_offset') ?? 0,
    readOffset: numberOf(fields, 'slave_read_repl_offset'),
    downSinceSeconds: downSince === undefined || downSince < 0 ? undefined : downSince,
    readOnly: flagOf(fields, 'slave_read_only'),
  };
}

function serverOf(fields: RedisFields, context: ReplicationContext): RedisServer {
  return {
    host: context.host,
    port: numberOf(fields, 'tcp_port'),
    runId: textOf(fields, 'run_id') ?? '',
    version: textOf(fields, 'valkey_version') ?? textOf(fields, 'redis_version') ?? '',
    uptimeSeconds: numberOf(fields, 'uptime_in_seconds') ?? 0,
    mode: textOf(fields, 'redis_mode') ?? textOf(fields, 'server_mode') ?? '',
    clusterEnabled: flagOf(fields, 'cluster_enabled'),
    loading: flagOf(fields, 'loading'),
    bgsaveInProgress: flagOf(fields, 'rdb_bgsave_in_progress'),
    usedMemoryBytes: numberOf(fields, 'used_memory') ?? 0,
    maxMemoryBytes: numberOf(fields, 'maxmemory') ?? 0,
    keys: keysOf(fields, context.nowMs),
  };
}

/** `db0:keys=3,expires=0,avg_ttl=0`, one line per database that is not empty. */
function keysOf(fields: RedisFields, nowMs: number): Known<number> {
  if (!fields.has('# keyspace')) return unknown('INFO has no keyspace section');
  let keys = 0;
  // The fields are hundreds, and the expression is made anew for each that it is held against.
  for (const name of fields.keys()) {
    if (name.startsWith('db') && /^db\d+$/.test(name))
      keys += Number(/keys=(\d+)/.exec(fields.get(name) ?? '')?.[1] ?? 0);
  }
  return known(keys, nowMs);
}
