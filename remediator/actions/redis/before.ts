import type { RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import type { Look } from '../../action.ts';
import { replicaofCalls, type PairFacts } from './facts.ts';
import type { Pair } from './verdicts.ts';

/** Frozen under the claim; goes through the journal as JSON. */
export interface Before {
  readonly replicaRunId: string;
  readonly primaryTarget: string;
  readonly primaryRunId: string;
  readonly replId: string;
  /** Where the replica is pointed at, as it tells itself. */
  readonly host: string;
  readonly port: string;
  /** The replica's end of the link: one connection, never another one. null: there was none. */
  readonly laddr: string | null;
  readonly replicaOffset: number;
  readonly primaryOffset: number;
  readonly replicaKeys: number;
  readonly primaryKeys: number;
  readonly syncs: { readonly full: number; readonly partialOk: number };
  readonly replicaofCalls: number;
  readonly takenAt: string;
  /** Where the replica keeps its file, for people. */
  readonly file: string | null;
}

export function beforeOf(facts: PairFacts, { replica, primary }: Pair, wallMs: number): Before | undefined {
  const { link: end, primaryTarget, settings } = facts;
  const { link, server } = replica;
  if (!end.known || !primaryTarget.known || link === undefined) return undefined;
  if (!server.keys.known || !primary.server.keys.known) return undefined;
  const { dir, dbfilename } = settings.replica.known ? settings.replica.value : {};
  return {
    replicaRunId: server.runId,
    primaryTarget: primaryTarget.value,
    primaryRunId: primary.server.runId,
    replId: replica.replId,
    host: link.host,
    port: link.port,
    laddr: end.value?.laddr ?? null,
    replicaOffset: link.offset,
    primaryOffset: primary.offset,
    replicaKeys: server.keys.value,
    primaryKeys: primary.server.keys.value,
    syncs: { full: primary.syncs.full, partialOk: primary.syncs.partialOk },
    replicaofCalls: replicaofCalls(replica),
    takenAt: new Date(wallMs).toISOString(),
    file: dir === undefined || dbfilename === undefined ? null : `${dir}/${dbfilename}`,
  };
}

/** The same server, of the same start, and pointed at the same primary: else somebody else has been at work. */
export function sameReplica(before: Before, now: RedisReplication): string | undefined {
  if (now.server.runId !== before.replicaRunId) return 'the replica was started anew';
  if (now.role !== 'replica') return 'it is a primary now';
  if (now.link === undefined) return 'it tells of no link';
  if (now.link.host !== before.host || now.link.port !== before.port) {
    return `it was pointed at ${now.link.host}:${now.link.port}`;
  }
  return undefined;
}

/**
 * Why a run must not go on from what was frozen: it may have been taken up again much later, and Redis compares nothing
 * by itself. undefined: every condition still holds, of the same two servers.
 */
export function changedSince(
  before: Before,
  { preconditions, before: now }: Pick<Look<Before>, 'preconditions' | 'before'>,
): string | undefined {
  const against = Object.values(preconditions).find((verdict) => verdict.is !== 'allow');
  if (against !== undefined) return `${against.code}: ${against.because}`;
  if (now === undefined) return 'a fact is unknown now';
  const same = ['replicaRunId', 'primaryRunId', 'primaryTarget', 'host', 'port'] as const;
  const other = same.find((name) => now[name] !== before[name]);
  return other === undefined ? undefined : `${other} was ${before[other]} and is ${now[other]}`;
}

export function snapshotOf(before: Before): { readonly name: string; readonly text: string } {
  const { host, port, file } = before;
  const text = [
    `# A Redis replica before a repair, at ${before.takenAt}`,
    `# pointed at ${host}:${port}, replication id ${before.replId}, offset ${String(before.replicaOffset)}`,
    `# ${String(before.replicaKeys)} keys; its primary ${String(before.primaryKeys)}, offset ${String(before.primaryOffset)}`,
    '# Its place in the topology, to be put back by hand where it was changed (never while it is well):',
    `redis-cli -h REPLICA REPLICAOF ${host} ${port}`,
    ...(file === null ? [] : [`# Its file (a full copy takes its place): ${file}`]),
    '',
  ];
  return { name: 'redis-replica.txt', text: text.join('\n') };
}
