// What one INFO reply says about replication. Everything is taken from the same reply: offsets of two replies differ by
// the traffic between them.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory } from '../../runtime/offset-history.ts';
import type { RedisClient } from './client.ts';
import type { RedisReplicationState } from './state.ts';

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

export interface RedisBacklog {
  readonly active: boolean;
  readonly sizeBytes: number;
  readonly firstByteOffset: number;
  readonly historyBytes: number;
}

export interface RedisReplicaSeen {
  readonly ip: string;
  readonly port: string;
  /** online, or wait_bgsave, send_bulk, send_bulk_and_stream… while it is being copied to */
  readonly state: string;
  /** Last offset that it acknowledged (once a second); 0 while it is not online. */
  readonly offset: number;
  /** Seconds since the last acknowledgement; 0 while it is not online. Says nothing about data. */
  readonly ackAgeSeconds: number | undefined;
  /** Bytes of the stream that it has not acknowledged. Unknown while it is not online: its offset is 0 then. */
  readonly behindBytes: Known<number>;
  /** How much further it may fall behind before a reconnect costs a full copy; below 0 it would already. */
  readonly backlogHeadroomBytes: Known<number>;
  /** Age of the oldest byte that it has not acknowledged. Needs the history of an earlier sweep. */
  readonly lag: Known<RedisLag>;
}

export interface RedisLag {
  readonly seconds: number;
  /** True: the lag is older than the history, and at least this. */
  readonly atLeast: boolean;
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

export type RedisFields = ReadonlyMap<string, string>;

export const redisReplicationFact = factKey<RedisReplication>('redis.replication');

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
  const text = await client.info(call);
  const now = { nowMs: call.clock.wallMs(), monoMs: call.clock.monoMs() };
  return redisReplicationOf(parseInfo(text), { ...now, host: client.host, memory });
}

/** https://redis.io/docs/latest/commands/info/: `field:value` lines under `# Section` headings, CRLF. */
export function parseInfo(text: string): RedisFields {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('# ')) {
      fields.set(line.trim().toLowerCase(), '');
      continue;
    }
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
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
  const loading = flag(fields, 'loading');
  const offset = number(fields, 'master_repl_offset') ?? 0;
  const backlog: RedisBacklog = {
    active: flag(fields, 'repl_backlog_active'),
    sizeBytes: number(fields, 'repl_backlog_size') ?? 0,
    firstByteOffset: number(fields, 'repl_backlog_first_byte_offset') ?? 0,
    historyBytes: number(fields, 'repl_backlog_histlen') ?? 0,
  };
  const replId = text(fields, 'master_replid') ?? '';
  const history = context.memory?.of(replId);
  // While it loads, the offset is not yet that of the stream that it will serve
  if (!loading) history?.add(context.monoMs, offset);
  const link = role === 'replica' ? linkOf(fields) : undefined;
  const second = number(fields, 'second_repl_offset');
  const replId2 = text(fields, 'master_replid2');
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
      full: number(fields, 'sync_full') ?? 0,
      partialOk: number(fields, 'sync_partial_ok') ?? 0,
      partialRefused: number(fields, 'sync_partial_err') ?? 0,
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
  const downSince = number(fields, 'master_link_down_since_seconds');
  return {
    host,
    port,
    up: status === 'up',
    lastIoSecondsAgo: number(fields, 'master_last_io_seconds_ago'),
    syncInProgress: flag(fields, 'master_sync_in_progress'),
    offset: number(fields, 'slave_repl_offset') ?? 0,
    readOffset: number(fields, 'slave_read_repl_offset'),
    downSinceSeconds: downSince === undefined || downSince < 0 ? undefined : downSince,
    readOnly: flag(fields, 'slave_read_only'),
  };
}

function serverOf(fields: RedisFields, context: ReplicationContext): RedisServer {
  return {
    host: context.host,
    port: number(fields, 'tcp_port'),
    runId: text(fields, 'run_id') ?? '',
    version: text(fields, 'valkey_version') ?? text(fields, 'redis_version') ?? '',
    uptimeSeconds: number(fields, 'uptime_in_seconds') ?? 0,
    mode: text(fields, 'redis_mode') ?? text(fields, 'server_mode') ?? '',
    clusterEnabled: flag(fields, 'cluster_enabled'),
    loading: flag(fields, 'loading'),
    bgsaveInProgress: flag(fields, 'rdb_bgsave_in_progress'),
    usedMemoryBytes: number(fields, 'used_memory') ?? 0,
    maxMemoryBytes: number(fields, 'maxmemory') ?? 0,
    keys: keysOf(fields, context.nowMs),
  };
}

/** `db0:keys=3,expires=0,avg_ttl=0`, one line per database that is not empty. */
function keysOf(fields: RedisFields, nowMs: number): Known<number> {
  if (!fields.has('# keyspace')) return unknown('INFO has no keyspace section');
  let keys = 0;
  for (const [name, value] of fields) {
    if (/^db\d+$/.test(name)) keys += Number(/keys=(\d+)/.exec(value)?.[1] ?? 0);
  }
  return known(keys, nowMs);
}

/** `slave0:ip=127.0.0.1,port=6380,state=online,offset=70,lag=1` */
function replicasOf(
  fields: RedisFields,
  end: number,
  backlog: RedisBacklog,
  history: OffsetHistory | undefined,
  context: ReplicationContext,
): RedisReplicaSeen[] {
  const replicas: RedisReplicaSeen[] = [];
  for (const [name, value] of fields) {
    if (!/^slave\d+$/.test(name)) continue;
    const parts = new Map(
      value.split(',').map((part) => {
        const at = part.indexOf('=');
        return [part.slice(0, at), part.slice(at + 1)] as const;
      }),
    );
    const offset = number(parts, 'offset') ?? 0;
    const state = parts.get('state') ?? '';
    const online = state === 'online';
    const behind = Math.max(0, end - offset);
    const notOnline = unknown(`the replica is not online but ${state}: its offset is not known`);
    replicas.push({
      ip: parts.get('ip') ?? '',
      port: parts.get('port') ?? '',
      state,
      offset,
      ackAgeSeconds: number(parts, 'lag'),
      behindBytes: online ? known(behind, context.nowMs) : notOnline,
      backlogHeadroomBytes: !online
        ? notOnline
        : backlog.active
          ? known(headroomOf(offset, end, backlog), context.nowMs)
          : unknown('there is no replication backlog'),
      lag: online ? lagOf(offset, behind, history, context) : notOnline,
    });
  }
  return replicas;
}

/**
 * Bytes that may still be written until the byte after `offset` leaves the backlog (it keeps the last `sizeBytes`).
 * Below 0 it has left already: the next reconnect is a full copy.
 */
function headroomOf(offset: number, end: number, backlog: RedisBacklog): number {
  const kept = offset + 1 - backlog.firstByteOffset;
  return kept < 0 ? kept : backlog.sizeBytes - (end - offset);
}

function lagOf(
  offset: number,
  behind: number,
  history: OffsetHistory | undefined,
  context: ReplicationContext,
): Known<RedisLag> {
  if (behind === 0) return known({ seconds: 0, atLeast: false }, context.nowMs);
  const age = history?.ageAt(offset, context.monoMs);
  if (age === undefined) return unknown('there is no history of the stream');
  if (age.atLeast && age.seconds === 0) return unknown('the history of the stream begins only now');
  return known(age, context.nowMs);
}

function text(fields: RedisFields, name: string): string | undefined {
  const value = fields.get(name);
  return value === '' ? undefined : value;
}

function number(fields: RedisFields, name: string): number | undefined {
  const value = fields.get(name);
  if (value === undefined || !/^-?\d+(\.\d+)?$/.test(value)) return undefined;
  return Number(value);
}

function flag(fields: RedisFields, name: string): boolean {
  return fields.get(name) === '1';
}
