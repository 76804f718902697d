// Settings of a server against what its replication needs. Only named parameters are read: the others hold passwords.
import { z } from 'zod';
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { durationMs } from '../../fields.ts';
import { classOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { RedisClient } from './client.ts';
import type { RedisReplication } from './facts-replication.ts';

export const configChecks = [
  'backlog_size',
  'repl_timeout',
  'tcp_keepalive',
  'replica_output_buffer',
  'replica_read_only',
  'replica_serve_stale_data',
  'replica_evicts',
  'min_replicas',
  'empty_restart',
] as const;
export type ConfigCheck = (typeof configChecks)[number];

/** `not_applicable`: nothing of this server depends on it now. `denied`, `missing`: CONFIG GET is not to be had. */
export const configStates = ['ok', 'wrong', 'not_applicable', 'denied', 'missing', 'unknown'] as const;
export type ConfigState = (typeof configStates)[number];

export interface ConfigFinding {
  readonly state: ConfigState;
  /** What is so, for people. */
  readonly text: string;
  /** What mends it. */
  readonly fix?: string;
}

export interface ConfigWanted {
  readonly minBacklogBytes: number;
  /** How long a link may be broken without a full copy. */
  readonly coverMs: number;
  readonly minTimeoutSeconds: number;
  readonly maxTimeoutSeconds: number;
  readonly maxKeepaliveSeconds: number;
  readonly ignored: readonly ConfigCheck[];
  readonly replicaBuffer: { readonly hardBytes: number; readonly softBytes: number; readonly softSeconds: number };
}

/** Redis' own defaults are small: 1 MB of backlog lasts a second under load, and what is written during a large full copy needs more than 256 MB. */
export const recommended: ConfigWanted = {
  minBacklogBytes: 16 * 1024 * 1024,
  coverMs: 60_000,
  minTimeoutSeconds: 30,
  maxTimeoutSeconds: 120,
  maxKeepaliveSeconds: 60,
  ignored: [],
  replicaBuffer: { hardBytes: 512 * 1024 * 1024, softBytes: 128 * 1024 * 1024, softSeconds: 60 },
};

/** Of the collector replication_config. */
export const configOptions = z.strictObject({
  /** How long a link may be broken without a full copy, at the present write rate. */
  cover: durationMs.default(recommended.coverMs),
  min_backlog_bytes: z.int().min(16_384).default(recommended.minBacklogBytes),
  min_replica_buffer_bytes: z.int().min(1_048_576).default(recommended.replicaBuffer.hardBytes),
  /** What is so on purpose. */
  ignore: z.array(z.enum(configChecks)).default([]),
});

export function wantedOf(options: z.output<typeof configOptions>): ConfigWanted {
  return {
    ...recommended,
    minBacklogBytes: options.min_backlog_bytes,
    coverMs: options.cover,
    replicaBuffer: { ...recommended.replicaBuffer, hardBytes: options.min_replica_buffer_bytes },
    ignored: options.ignore,
  };
}

/** By their names since Redis 5; Valkey takes them too. */
const parameters = [
  'repl-timeout',
  'repl-ping-replica-period',
  'tcp-keepalive',
  'client-output-buffer-limit',
  'replica-serve-stale-data',
  'replica-ignore-maxmemory',
  'min-replicas-to-write',
  'min-replicas-max-lag',
  'save',
] as const;

export type Settings = ReadonlyMap<string, string>;

/** Why there are no settings. */
export interface NoSettings {
  readonly state: 'denied' | 'missing' | 'unknown';
  readonly why: string;
}

/** @throws TargetError unless it is a refusal: that is a fact. */
export async function readSettings(client: RedisClient, call: Call, version: string): Promise<Settings | NoSettings> {
  try {
    // Several parameters in one command since 7.0
    const asked = Number(version.split('.')[0]) >= 7 ? [[...parameters]] : parameters.map((p) => [p]);
    const found = new Map<string, string>();
    for (const names of asked) {
      const reply = await client.send(call, 'CONFIG', 'GET', ...names);
      for (const [name, value] of pairsOf(reply)) found.set(name, value);
    }
    return found;
  } catch (error) {
    if (!(error instanceof TargetError)) throw error;
    const refused = { denied: 'denied', unsupported: 'missing' } as const;
    const found = classOf(error);
    if (found !== 'denied' && found !== 'unsupported') throw error;
    return { state: refused[found], why: messageOf(error) };
  }
}

function pairsOf(reply: unknown): [string, string][] {
  if (!Array.isArray(reply)) throw new TargetError('protocol', 'CONFIG GET: the reply is no list');
  const texts = reply.map(String);
  return texts.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, texts[i + 1] ?? '']] : []));
}

/**
 * What INFO tells too is known without CONFIG.
 *
 * @param bytesPerSecond present write rate of the stream; undefined when it is not known
 */
export function checkConfig(
  found: RedisReplication,
  settings: Settings | NoSettings,
  bytesPerSecond: number | undefined,
  wanted: ConfigWanted,
): Readonly<Record<ConfigCheck, ConfigFinding>> {
  const by = (judge: (given: Settings) => ConfigFinding): ConfigFinding =>
    'why' in settings ? { state: settings.state, text: settings.why } : judge(settings);
  const checks: Record<ConfigCheck, ConfigFinding> = {
    backlog_size: backlogSize(found, bytesPerSecond, wanted),
    repl_timeout: by((given) => replTimeout(given, wanted)),
    tcp_keepalive: by((given) => keepalive(given, wanted)),
    replica_output_buffer: by((given) => outputBuffer(given, found, wanted)),
    replica_read_only: readOnly(found),
    replica_serve_stale_data: found.role === 'primary' ? ofReplicas : by(staleData),
    replica_evicts: evicts(found, by),
    min_replicas: found.role === 'replica' ? ofPrimaries : by((given) => minReplicas(given, found)),
    empty_restart: emptyRestart(found, by),
  };
  for (const name of wanted.ignored) checks[name] = { state: 'not_applicable', text: 'left out by the inventory' };
  return checks;
}

function numberOf(settings: Settings, name: string): number | undefined {
  const text = settings.get(name);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** How often it writes a PING into the stream while nobody else writes: https://github.com/redis/redis/blob/7.0/redis.conf */
export function pingPeriodSeconds(settings: Settings | NoSettings): number | undefined {
  return 'why' in settings ? undefined : numberOf(settings, 'repl-ping-replica-period');
}

/** Of a primary, for its replicas: which of their links is silent hangs on it. */
export const redisPingPeriodFact = factKey<number>('redis.ping_period');

/**
 * A link that counts as up and has heard nothing for longer is silent: after three pings of the primaries that a replica may
 * have, and not before 30 s. rules/redis.rules.yml (pipemedic:redis_silent_seconds) says the same in PromQL.
 *
 * @param pingPeriodsSeconds those that are known
 */
export function silentSecondsOf(pingPeriodsSeconds: readonly number[]): number {
  return Math.max(30, 3 * Math.max(0, ...pingPeriodsSeconds));
}

const ofReplicas: ConfigFinding = { state: 'not_applicable', text: 'a matter of replicas' };
const ofPrimaries: ConfigFinding = { state: 'not_applicable', text: 'a matter of primaries' };

function untold(name: string): ConfigFinding {
  return { state: 'unknown', text: `CONFIG GET says nothing of ${name}` };
}

/** Twice what is written in that time: the rate is an average. A replica needs it too: it is what the next primary has. https://redis.io/docs/latest/operate/oss_and_stack/management/replication/ */
function backlogSize({ fields, backlog }: RedisReplication, rate: number | undefined, o: ConfigWanted): ConfigFinding {
  if (!fields.has('repl_backlog_size')) return { state: 'unknown', text: 'INFO says nothing of repl_backlog_size' };
  const need = Math.max(o.minBacklogBytes, Math.ceil((2 * (rate ?? 0) * o.coverMs) / 1_000));
  const text = `repl-backlog-size is ${mib(backlog.sizeBytes)}, ${mib(need)} are wanted`;
  if (backlog.sizeBytes >= need) return { state: 'ok', text };
  const fix = `CONFIG SET repl-backlog-size ${String(2 ** Math.ceil(Math.log2(need)))}, and the same in its file`;
  return { state: 'wrong', text, fix };
}

function replTimeout(given: Settings, o: ConfigWanted): ConfigFinding {
  const seconds = numberOf(given, 'repl-timeout');
  if (seconds === undefined) return untold('repl-timeout');
  const text = `repl-timeout is ${String(seconds)} s, ${String(o.minTimeoutSeconds)} to ${String(o.maxTimeoutSeconds)} are wanted`;
  const isOk = seconds >= o.minTimeoutSeconds && seconds <= o.maxTimeoutSeconds;
  return isOk ? { state: 'ok', text } : { state: 'wrong', text, fix: 'CONFIG SET repl-timeout 60, on both sides' };
}

function keepalive(given: Settings, o: ConfigWanted): ConfigFinding {
  const seconds = numberOf(given, 'tcp-keepalive');
  if (seconds === undefined) return untold('tcp-keepalive');
  const text = `tcp-keepalive is ${String(seconds)} s, at most ${String(o.maxKeepaliveSeconds)} are wanted`;
  const isOk = seconds > 0 && seconds <= o.maxKeepaliveSeconds;
  return isOk ? { state: 'ok', text } : { state: 'wrong', text, fix: 'CONFIG SET tcp-keepalive 60' };
}

/**
 * `normal 0 0 0 slave 268435456 67108864 60 pubsub …`; 0 is no limit. What is written during a full copy waits there: when
 * it is more, the copy is broken off and begins anew, without end.
 */
function outputBuffer(given: Settings, { backlog }: RedisReplication, o: ConfigWanted): ConfigFinding {
  const line = given.get('client-output-buffer-limit');
  const [, hard, soft, seconds] = /(?:slave|replica) (\d+) (\d+) (\d+)/.exec(line ?? '')?.map(Number) ?? [];
  if (hard === undefined || soft === undefined || seconds === undefined) return untold('client-output-buffer-limit');
  const { hardBytes, softBytes, softSeconds } = o.replicaBuffer;
  const least = Math.max(hardBytes, backlog.sizeBytes);
  const isHardOk = hard === 0 || hard >= least;
  const isSoftOk = soft === 0 || seconds === 0 || (soft >= softBytes && seconds >= softSeconds);
  const text = `client-output-buffer-limit for replicas is ${mib(hard)} ${mib(soft)} ${String(seconds)} s (0: none), ${mib(least)} ${mib(softBytes)} ${String(softSeconds)} s are wanted`;
  if (isHardOk && isSoftOk) return { state: 'ok', text };
  const fix = `CONFIG SET client-output-buffer-limit "replica ${String(least)} ${String(softBytes)} ${String(softSeconds)}"`;
  return { state: 'wrong', text, fix };
}

/** What is written on a replica is lost with the next full copy, and nobody else has it. */
function readOnly({ role, link }: RedisReplication): ConfigFinding {
  if (role === 'primary') return ofReplicas;
  if (link === undefined) return { state: 'unknown', text: 'INFO has no link' };
  if (link.readOnly) return { state: 'ok', text: 'the replica takes no writes' };
  const fix = 'CONFIG SET replica-read-only yes; then compare what it holds with its primary';
  return { state: 'wrong', text: 'the replica takes writes: replica-read-only is no', fix };
}

/** With `no` a replica whose link is down refuses reads (MASTERDOWN): its readers fail with the link. */
function staleData(given: Settings): ConfigFinding {
  const value = given.get('replica-serve-stale-data');
  if (value === undefined) return untold('replica-serve-stale-data');
  const text = `replica-serve-stale-data is ${value}`;
  if (value === 'yes') return { state: 'ok', text };
  return {
    state: 'wrong',
    text: `${text}: without a link it refuses reads`,
    fix: 'CONFIG SET replica-serve-stale-data yes',
  };
}

type By = (judge: (given: Settings) => ConfigFinding) => ConfigFinding;

/** A replica that evicts on its own has other keys than its primary: replica-ignore-maxmemory keeps it from that. */
function evicts({ role, server, fields }: RedisReplication, by: By): ConfigFinding {
  if (role === 'primary') return ofReplicas;
  const policy = fields.get('maxmemory_policy');
  if (server.maxMemoryBytes === 0 || policy === 'noeviction') return { state: 'ok', text: 'it evicts nothing' };
  return by((given) => {
    const value = given.get('replica-ignore-maxmemory');
    if (value === undefined) return untold('replica-ignore-maxmemory');
    const text = `maxmemory is set, its policy is ${policy ?? 'not told'}, replica-ignore-maxmemory is ${value}`;
    if (value === 'yes') return { state: 'ok', text };
    return {
      state: 'wrong',
      text: `${text}: the replica evicts on its own`,
      fix: 'CONFIG SET replica-ignore-maxmemory yes',
    };
  });
}

/** With too few replicas that keep up, a primary refuses all writes (NOREPLICAS). */
function minReplicas(given: Settings, { fields, replicas }: RedisReplication): ConfigFinding {
  const wanted = numberOf(given, 'min-replicas-to-write');
  const maxLag = numberOf(given, 'min-replicas-max-lag');
  if (wanted === undefined || maxLag === undefined) return untold('min-replicas-to-write');
  if (wanted === 0 || maxLag === 0) return { state: 'not_applicable', text: 'min-replicas-to-write is not set' };
  const good = Number(fields.get('min_slaves_good_slaves') ?? Number.NaN);
  if (Number.isNaN(good)) return { state: 'unknown', text: 'INFO says nothing of min_slaves_good_slaves' };
  const text = `min-replicas-to-write is ${String(wanted)}, ${String(good)} of ${String(replicas.length)} replicas lag at most ${String(maxLag)} s`;
  if (good >= wanted) return { state: 'ok', text };
  return { state: 'wrong', text: `${text}: it refuses writes (NOREPLICAS)`, fix: 'bring its replicas back' };
}

/**
 * A primary that keeps nothing on disk comes back empty after a crash, and its replicas copy that (or what the last full
 * copy has left on its disk, which is old): "Safety of replication when master has persistence turned off",
 * https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
 */
function emptyRestart({ role, fields, backlog, replicas }: RedisReplication, by: By): ConfigFinding {
  if (role === 'replica') return ofPrimaries;
  if (!backlog.active && replicas.length === 0) return { state: 'not_applicable', text: 'it has no replicas' };
  if (fields.get('aof_enabled') === '1') return { state: 'ok', text: 'appendonly is on' };
  return by((given) => {
    const save = given.get('save');
    if (save === undefined) return untold('save');
    if (save !== '') return { state: 'ok', text: `it saves its data set (save ${save})` };
    const fix = 'CONFIG SET appendonly yes, or save; or make sure that nothing starts it again by itself';
    return { state: 'wrong', text: 'it keeps nothing on disk: restarted, it is empty, and so are its replicas', fix };
  });
}

function mib(bytes: number): string {
  return bytes < 1024 * 1024 ? `${String(bytes)} bytes` : `${String(Math.round(bytes / 1024 / 1024))} MiB`;
}
