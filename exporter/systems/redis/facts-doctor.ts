// What `doctor` says of a Redis: how it is, its settings, and what the user may not ask.
import { access, constants } from 'node:fs/promises';
import type { Call, Peers } from '../../collector.ts';
import { clockFindingOf, type Finding } from '../../findings.ts';
import { messageOf } from '../../runtime/errors.ts';
import { grantOf } from './client-refusals.ts';
import type { RedisClient } from './client.ts';
import {
  checkConfig,
  configChecks,
  configOptions,
  readSettings,
  redisPingPeriodFact,
  silentSecondsOf,
  wantedOf,
  type ConfigFinding,
  type ConfigWanted,
} from './facts-config.ts';
import { unlessRefused } from './facts-refused.ts';
import { readUnlessSentinel, type RedisReplication } from './facts-replication.ts';

/** The oldest version of which replies were seen. */
const oldestSeen = 7;

/**
 * @param configWritten the options of replication_config, as written; false when it is switched off
 * @param peers what the primaries that it may have are known to do
 */
export async function examineRedis(
  client: RedisClient,
  call: Call,
  configWritten: unknown = {},
  peers?: Peers,
): Promise<readonly Finding[]> {
  // Without INFO nothing is known but what the user lacks
  const found = await unlessRefused(readUnlessSentinel(client, call));
  if (found === undefined) return commandsOf(client);
  return [
    versionOf(found),
    stateOf(found, await pingPeriodsOf(peers)),
    await clockOf(client, call),
    backlogOf(found),
    ...(configWritten === false
      ? []
      : await settingsOf(found, client, call, wantedOf(configOptions.parse(configWritten)))),
    await logOf(client),
    ...commandsOf(client),
  ];
}

function versionOf({ server, fields }: RedisReplication): Finding {
  const product = fields.get('server_name') === 'valkey' || fields.has('valkey_version') ? 'Valkey' : 'Redis';
  const mode = server.mode === '' ? '' : `, ${server.mode}`;
  const text = `${product} ${server.version}${mode}`;
  const isSeen = Number(server.version.split('.')[0]) >= oldestSeen;
  if (isSeen) return { check: 'redis_version', ok: true, text };
  return { check: 'redis_version', ok: 'unknown', text: `${text}: older than what pipemedic was tried with` };
}

/** By INFO (seen on Redis 7.0): TIME would be one more command to allow. */
async function clockOf(client: RedisClient, call: Call): Promise<Finding> {
  const check = 'redis_clock';
  const begunMs = call.clock.wallMs();
  const text = await client.info(call);
  const endedMs = call.clock.wallMs();
  const [, usec] = /^server_time_usec:(\d+)/m.exec(text) ?? [];
  if (usec === undefined) return { check, ok: 'unknown', text: 'the server does not tell its time' };
  // It is the time of its last turn of the event loop.
  const offsetMs = Number(usec) / 1000 - (begunMs + endedMs) / 2;
  return clockFindingOf(check, "the server's clock", { offsetMs, uncertaintyMs: (endedMs - begunMs) / 2 + 1 });
}

/** Of the primaries that the pipelines name for it, those that are known. */
async function pingPeriodsOf(peers: Peers | undefined): Promise<readonly number[]> {
  if (peers === undefined) return [];
  const found = await Promise.all(peers.sources.map((name) => peers.fact(name, redisPingPeriodFact, 0)));
  return found.flatMap((fact) => (fact.known ? [fact.value] : []));
}

function stateOf(
  { state, why, role, link, replicas }: RedisReplication,
  pingPeriodsSeconds: readonly number[],
): Finding {
  const check = 'redis_role';
  if (why !== undefined) return { check, ok: 'unknown', text: why };
  if (role === 'primary') return { check, ok: true, text: `a primary; replicas: ${String(replicas.length)}` };
  const of = link === undefined ? '' : ` of ${link.host}:${link.port}`;
  const ago = link?.lastIoSecondsAgo ?? 0;
  if (state === 'replica_up' && ago > silentSecondsOf(pingPeriodsSeconds)) {
    const pings =
      pingPeriodsSeconds.length > 0
        ? `its primary sends a PING every ${String(Math.max(...pingPeriodsSeconds))} s`
        : 'a primary sends a PING every 10 s unless its repl-ping-replica-period says otherwise, which is not known here';
    const text = `a replica${of}: the link counts as up and has been silent for ${String(ago)} s; ${pings}`;
    return {
      check,
      ok: false,
      text,
      fix: 'CLIENT KILL TYPE master on it: it connects anew, see RedisReplicationLinkSilent',
    };
  }
  if (state === 'replica_down') {
    const since = link?.downSinceSeconds;
    const text = `a replica${of}: the link ${since === undefined ? 'is down' : `has been down for ${String(since)} s`}; Redis tries again every second`;
    const fix = 'its log says why (refused, timed out, NOAUTH, WRONGPASS): see RedisReplicationLinkDown';
    return { check, ok: false, text, fix };
  }
  return { check, ok: state === 'replica_up' ? true : 'unknown', text: `a replica${of}: ${state}` };
}

function backlogOf({ backlog, replicas, role, syncs }: RedisReplication): Finding {
  const check = 'redis_full_copies';
  const text = `${String(syncs.full)} full and ${String(syncs.partialOk)} partial copies were given, ${String(syncs.partialRefused)} partial ones refused`;
  if (role === 'replica' || backlog.active) return { check, ok: true, text };
  const none = replicas.length === 0 ? 'no replica has connected lately' : 'there is no backlog';
  return { check, ok: true, text: `${text}; ${none}: bytes behind and write rate are not known` };
}

async function settingsOf(
  found: RedisReplication,
  client: RedisClient,
  call: Call,
  wanted: ConfigWanted,
): Promise<readonly Finding[]> {
  const settings = await readSettings(client, call, found.server.version);
  const checks = checkConfig(found, settings, undefined, wanted);
  return configChecks.flatMap((name) => findingOf(`redis_replication_config_${name}`, checks[name]));
}

/** What is refused is told once, with the command. */
function findingOf(check: string, { state, text, fix }: ConfigFinding): readonly Finding[] {
  if (state === 'denied' || state === 'missing' || state === 'not_applicable') return [];
  const ok = state === 'ok' ? true : state === 'wrong' ? false : 'unknown';
  return [{ check, ok, text, ...(fix === undefined ? {} : { fix }) }];
}

async function logOf({ logFile }: RedisClient): Promise<Finding> {
  const check = 'redis_log';
  if (logFile === undefined) {
    const text = 'what its log says of broken links and refused copies is not counted';
    return { check, ok: 'unknown', text, fix: 'set log_file, where the exporter can read it' };
  }
  try {
    await access(logFile, constants.R_OK);
    return { check, ok: true, text: `${logFile} can be read` };
  } catch (error) {
    return { check, ok: false, text: messageOf(error), fix: `let the user of this program read ${logFile}` };
  }
}

function commandsOf({ commands, user }: RedisClient): readonly Finding[] {
  return [...commands].flatMap(([name, { state, why }]): Finding[] => {
    const check = `redis_command_${name.replace('|', '_')}`;
    if (state === 'accepted') return [];
    if (state === 'denied') {
      return [{ check, ok: 'unknown', text: `what ${name} tells is not served: ${why}`, fix: grantOf(name, user) }];
    }
    return [{ check, ok: 'unknown', text: `the server has no ${name}, or not under this name: ${why}` }];
  });
}
