import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import type { Emit } from '../../families.ts';
import type { RedisClient } from './client.ts';
import { mostCounted, redisInfoOf, type CommandStats, type RedisInfo } from './facts-info.ts';
import { configNumber } from './facts-info-config.ts';
import { unlessRefused } from './facts-refused.ts';
import { infoFamilies } from './families-info.ts';

type InfoEmit = Emit<typeof infoFamilies>;

/** redis_exporter takes this number, the server's default, where it may not ask. */
const usualDatabases = 16;

/** How many databases a server has: not to be changed while it runs, so it is asked for once. */
interface Databases {
  /** Undefined until it was asked. */
  runId: string | undefined;
  count: number;
}

export const redisInfo = collectorOf<RedisClient>()({
  name: 'redis_info',
  help: 'Server, clients, memory, persistence, statistics, commands, errors and keys, from INFO, named as in redis_exporter.',
  config: z.strictObject({
    /** Those called most often; no server has as many unless modules bring them. */
    max_commands: z.int().min(0).default(400),
    /** Those that occurred most often: scripts may invent any number of them. */
    max_errors: z.int().min(0).default(100),
  }),
  families: infoFamilies,
  state: (): Databases => ({ runId: undefined, count: usualDatabases }),
  async collect({ client, config, emit, call, state }) {
    const info = redisInfoOf(await client.info(call));
    for (const [field, value] of info.values) emit[field](value);
    emitInstance(emit, info.fields);
    const uptimeSeconds = info.values.get('uptime_in_seconds');
    if (uptimeSeconds !== undefined) emit.startTime(Math.floor(call.clock.wallMs() / 1000) - uptimeSeconds);
    const commands = mostCounted(info.commands, (c) => c.calls, config.max_commands);
    for (const command of commands) emitCommand(emit, command);
    const errors = mostCounted([...info.errors], ([, count]) => count, config.max_errors);
    for (const [err, count] of errors) emit.errors(count, { err });
    emit.leftOut(info.commands.length - commands.length, { of: 'commands' });
    emit.leftOut(info.errors.size - errors.length, { of: 'errors' });
    if (info.keyspace !== undefined) emitKeyspace(emit, info.keyspace, await databasesOf(client, call, info, state));
  },
});

function emitInstance(emit: InfoEmit, fields: ReadonlyMap<string, string>): void {
  const text = (name: string): string => fields.get(name) ?? '';
  emit.instanceInfo(1, {
    role: text('role'),
    redis_version: text('redis_version'),
    redis_build_id: text('redis_build_id'),
    redis_mode: fields.get('redis_mode') ?? text('server_mode'),
    os: text('os'),
    maxmemory_policy: text('maxmemory_policy'),
    tcp_port: text('tcp_port'),
    run_id: text('run_id'),
    process_id: text('process_id'),
    master_replid: text('master_replid'),
    // Empty is the same as not there
    valkey_version: text('valkey_version'),
    valkey_release_stage: text('valkey_release_stage'),
    availability_zone: text('availability_zone'),
  });
}

function emitCommand(emit: InfoEmit, stats: CommandStats): void {
  const labels = { cmd: stats.command };
  emit.commands(stats.calls, labels);
  emit.commandSeconds(stats.usec / 1e6, labels);
  if (stats.rejected !== undefined) emit.commandsRejected(stats.rejected, labels);
  if (stats.failed !== undefined) emit.commandsFailed(stats.failed, labels);
  if (stats.slow !== undefined) {
    emit.commandsSlow(stats.slow.count, labels);
    emit.commandsSlowSeconds(stats.slow.sumMs / 1e3, labels);
    emit.commandsSlowMax(stats.slow.maxMs / 1e3, labels);
  }
  if (stats.percentiles.size > 0) {
    emit.commandPercentiles({ count: stats.calls, sum: stats.usec, quantiles: stats.percentiles }, labels);
  }
}

/** INFO lists the databases that have keys; the others have none. */
function emitKeyspace(emit: InfoEmit, keyspace: NonNullable<RedisInfo['keyspace']>, databases: number): void {
  for (const [db, stats] of keyspace) {
    emit.dbKeys(stats.keys, { db });
    emit.dbExpiring(stats.expiring, { db });
    if (stats.averageTtlSeconds !== undefined) emit.dbAverageTtl(stats.averageTtlSeconds, { db });
    if (stats.cached !== undefined) emit.dbCached(stats.cached, { db });
    if (stats.withExpiringItems !== undefined) emit.dbExpiringItems(stats.withExpiringItems, { db });
  }
  for (let i = 0; i < databases; i++) {
    const db = `db${String(i)}`;
    if (keyspace.has(db)) continue;
    emit.dbKeys(0, { db });
    emit.dbExpiring(0, { db });
  }
}

/** More than this many empty databases are not listed: they say nothing. */
const mostDatabases = 64;

async function databasesOf(
  client: RedisClient,
  call: CollectorCall,
  info: RedisInfo,
  state: Databases,
): Promise<number> {
  if (info.mode === 'cluster') return 1;
  const runId = info.fields.get('run_id') ?? '';
  if (runId === state.runId) return state.count;
  const found = await unlessRefused(configNumber(client, call, 'databases').then((count) => ({ count })));
  if (found === undefined) return usualDatabases; // not allowed, or not there: the client remembers that
  state.count = Math.min(found.count ?? usualDatabases, mostDatabases);
  state.runId = runId;
  return state.count;
}
