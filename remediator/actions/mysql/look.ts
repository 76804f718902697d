import { asJson } from '../../canonical.ts';
import type { Look } from '../../action.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Json } from '../../model.ts';
import type { World } from '../../world.ts';
import { comparePositions } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { adviceFor } from './advice.ts';
import type { Before } from './before.ts';
import type { Thread } from './dialect.ts';
import {
  readFacts,
  sourceOf,
  type ReplicaFacts,
  type RestartFacts,
  type SourceView,
  type WatchedChannel,
} from './facts.ts';
import {
  chooseChannel,
  chooseThread,
  classifyThread,
  distanceOf,
  isBroken,
  isIoBroken,
  judgeErrant,
  judgeIncarnation,
  judgePurged,
  judgeSource,
  judgeTrap,
  relayApplied,
  type ThreadLimits,
} from './judge.ts';

export interface LookParams extends ThreadLimits {
  readonly thread: Thread | 'auto';
  /** What the alert calls it on MySQL and on MariaDB; compared with the server's own list, and nothing else. */
  readonly channel: string | undefined;
  readonly connection: string | undefined;
}

export async function lookAt(
  target: string,
  params: LookParams,
  world: World,
  signal: AbortSignal,
): Promise<Look<Before>> {
  return judge(await readFacts(target, world, signal), params, world.clock.wallMs());
}

/** Pure, so that every verdict can be seen without a server. */
export function judge(facts: RestartFacts, params: LookParams, wallMs: number): Look<Before> {
  const { replica } = facts;
  if (!replica.known) return blind(unsure('replica_unknown', replica.why), facts);
  const [wanted, ofOther] =
    replica.value.server.flavour === 'mariadb'
      ? [params.connection, params.channel]
      : [params.channel, params.connection];
  const chosen = chooseChannel(replica.value.channels, wanted, ofOther);
  if ('code' in chosen) return blind(chosen, facts);
  const { channel } = chosen;
  const thread = chooseThread(channel, params.thread);
  const view = sourceOf(channel, facts.sources);
  const errorClass = classOf(chosen, thread, params, replica.value);
  const primary = judgeSource(channel, facts.sources, view);
  const purged = judgePurged(channel, view, facts.gtids);
  const trap = judgeTrap({
    flavour: replica.value.server.flavour,
    channel,
    thread,
    relayApplied: relayApplied(channel, replica.observedAtMs),
    primary,
    purged,
  });
  const before = beforeOf(facts, replica.value, chosen, thread, view, wallMs);
  const progress = { received: channel.received ?? null, executed: channel.executed ?? null };
  return {
    alreadyFixed: isBroken(channel, thread)
      ? allow('broken', channel.why, { channel: chosen.name, thread })
      : deny('healthy', channel.why, { channel: chosen.name, thread }),
    preconditions: {
      channel: allow('channel', chosen.name === '' ? 'the default channel' : chosen.name),
      relay_log: trap,
      error_class: errorClass,
      primary,
      purged,
      errant: judgeErrant(channel, replica.value.server.logBin, facts.gtids),
      thread: judgeIncarnation(chosen, thread),
    },
    observers: observersOf(chosen, thread, view, facts),
    progressMark: JSON.stringify(progress),
    evidence: evidenceOf(chosen, thread, errorClass, replica.value),
    seen: seenOf(facts),
    before,
    advice: adviceFor(chosen, thread, { errorClass, trap }, view),
  };
}

function blind(why: Verdict, facts: RestartFacts): Look<Before> {
  return {
    // a clear no is the condition's to say: nobody can tell whether what is not there works
    alreadyFixed: why.is === 'deny' ? allow('not_asked', why.because) : unsure(why.code, why.because, why.inputs),
    preconditions: { channel: why },
    evidence: { channel: null, code: why.code },
    seen: seenOf(facts),
    before: undefined,
    advice: [],
  };
}

/**
 * When the thread is chosen here, nothing may be against the other one either. Where the policy names the applier, a
 * receiver that somebody has stopped is: a STOP of both leaves the error that the applier had. A receiver is started beside
 * an applier that was stopped (a backup is taken), and asked for by name.
 */
function classOf(watched: WatchedChannel, thread: Thread, params: LookParams, replica: ReplicaFacts): Verdict {
  const own = classifyThread(thread, watched, params, replica.alsoRetried);
  const other = thread === 'io' ? 'sql' : 'io';
  if (own.is !== 'allow' || params.thread === 'io' || !isBroken(watched.channel, other)) return own;
  const also = classifyThread(other, watched, params, replica.alsoRetried);
  if (params.thread === 'sql' && also.code !== 'intentional_stop') return own;
  return also.is === 'allow' ? own : also;
}

/** Who look in different ways: the replica at its threads, the source at what the replica has, the list of threads. */
function observersOf(
  { channel, incarnation }: WatchedChannel,
  thread: Thread,
  view: SourceView | undefined,
  facts: RestartFacts,
): NonNullable<Look<Before>['observers']> {
  const isGone = thread === 'io' && incarnation.known && incarnation.value === null;
  return [
    { by: 'replica status', says: isBroken(channel, thread) ? 'broken' : 'healthy' },
    { by: view === undefined ? 'source' : `source ${view.target}`, says: sourceSays(channel, thread, view, facts) },
    ...(isGone ? [{ by: 'list of threads', says: 'broken' } as const] : []),
  ];
}

/** Behind, or (a receiver) not even reading the binary log: broken. All there, and read: healthy. */
function sourceSays(
  channel: ReplicaChannel,
  thread: Thread,
  view: SourceView | undefined,
  facts: RestartFacts,
): 'broken' | 'healthy' | 'unknown' {
  if (view?.facts.known !== true) return 'unknown';
  const { binlogs, dumpThreads } = view.facts.value;
  const distance = distanceOf(channel, facts.gtids);
  const missing = distance.known && distance.value.missing.known ? distance.value.missing.value : undefined;
  const place = thread === 'io' ? channel.received : channel.executed;
  const current = binlogs.known ? binlogs.value.current : undefined;
  const order = place === undefined || current === undefined ? undefined : comparePositions(place, current);
  const isBehind = missing === undefined ? order === -1 : missing > 0;
  if (isBehind) return 'broken';
  const isThere = missing === 0 || order === 0;
  if (thread === 'sql') return isThere && channel.sqlRunning ? 'healthy' : 'unknown';
  if (!dumpThreads.known) return 'unknown';
  const user = channel.columns.get('master_user') ?? channel.columns.get('source_user') ?? '';
  const readers = dumpThreads.value.filter((t) => t.user === user);
  if (readers.length === 0) return 'broken';
  return isThere && !isIoBroken(channel) ? 'healthy' : 'unknown';
}

/** What decides, and nothing that moves by itself: it is compared between the decision and the run. */
function evidenceOf(
  { channel, name }: WatchedChannel,
  thread: Thread,
  errorClass: Verdict,
  { server }: ReplicaFacts,
): Json {
  return {
    channel: name,
    thread,
    class: errorClass.code,
    ioRunning: channel.ioRunning === 'no' ? 'no' : 'alive',
    sqlRunning: channel.sqlRunning,
    replica: server.serverUuid ?? String(server.serverId),
    source: channel.sourceUuid === '' ? String(channel.sourceServerId) : channel.sourceUuid,
  };
}

function seenOf({ replica, sources, gtids }: RestartFacts): Json {
  return asJson({
    gtids,
    sources,
    replica: replica.known
      ? {
          server: replica.value.server,
          gtids: replica.value.gtids,
          alsoRetried: [...replica.value.alsoRetried],
          channels: replica.value.channels.map(({ channel, ...watched }) => ({
            ...watched,
            status: Object.fromEntries(channel.columns),
            why: channel.why,
          })),
        }
      : replica,
  });
}

function beforeOf(
  facts: RestartFacts,
  replica: ReplicaFacts,
  watched: WatchedChannel,
  thread: Thread,
  view: SourceView | undefined,
  wallMs: number,
): Before | undefined {
  const { channel, name, incarnation } = watched;
  if (view?.facts.known !== true) return undefined;
  const mustStop = thread === 'io' && channel.ioRunning !== 'no';
  if (mustStop && !incarnation.known) return undefined;
  const { dumpThreads } = view.facts.value;
  const distance = distanceOf(channel, facts.gtids);
  const { serverId, serverUuid = null } = replica.server;
  return {
    server: { serverId, serverUuid },
    channel: name,
    thread,
    mustStop,
    incarnation: incarnation.known ? incarnation.value : null,
    sqlRunning: channel.sqlRunning,
    received: channel.received ?? null,
    executed: channel.executed ?? null,
    missing: distance.known && distance.value.missing.known ? distance.value.missing.value : null,
    dumpIds: dumpThreads.known ? dumpThreads.value.map((t) => t.id) : null,
    heartbeats: channel.heartbeats?.received ?? null,
    source: view.target,
    snapshot: {
      takenAt: new Date(wallMs).toISOString(),
      flavour: replica.server.flavour,
      channels: replica.channels.map((c) => ({ name: c.name, status: Object.fromEntries(c.channel.columns) })),
    },
  };
}
