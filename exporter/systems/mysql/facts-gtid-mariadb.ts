// MariaDB's GTIDs. A server keeps no sets: by domain it knows the last transaction, and by domain and origin the last
// one in its binary log (gtid_binlog_state). Sequence numbers grow by one within a domain, whoever writes.
// https://mariadb.com/kb/en/gtid/
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { pacer } from '../../runtime/pacing.ts';
import type { MysqlClient } from './client.ts';
import type { ServerIdentity } from './facts-binlog-server.ts';
import { boundGtidText } from './facts-gtid-sets.ts';
import { atLeast } from './facts-version.ts';
import { parseMariadbGtids, type MariadbGtid } from './facts-values.ts';

export interface MariadbGtids {
  readonly flavour: 'mariadb';
  /** Without a binary log nobody knows what this server has written itself. */
  readonly logBin: boolean;
  /** The last transaction in the binary log, one per domain. */
  readonly binlogPos: readonly MariadbGtid[];
  /** The last one in the binary log, one per domain and origin; older ones stay known when files are purged. */
  readonly binlogState: readonly MariadbGtid[];
  /** The last one that was applied as a replica, one per domain. */
  readonly slavePos: readonly MariadbGtid[];
  /** The last ones before the begin of the oldest binary log; undefined while that is not known. */
  readonly oldest: readonly MariadbGtid[] | undefined;
}

interface OldestPosition {
  readonly file: string;
  readonly text: string;
}

/** The begin of a file does not change: it is asked once. */
const oldestOf = new WeakMap<MysqlClient, OldestPosition>();

/**
 * BINLOG_GTID_POS() at the begin of a file reads its first events only, and is NULL for a file that is gone (seen on
 * 10.11, where it needs no grants).
 */
export async function readMariadbGtids(
  client: MysqlClient,
  oldestFile: string | undefined,
  call: Call,
): Promise<ServerIdentity & { readonly gtids: MariadbGtids }> {
  if (!atLeast(client, 10, 0, 2))
    throw new TargetError('unsupported', `mysql ${client.at}: has no GTIDs before 10.0.2`);
  const kept = oldestOf.get(client);
  const asks = oldestFile !== undefined && kept?.file !== oldestFile;
  const [row] = await client.query(
    `SELECT @@GLOBAL.gtid_binlog_pos AS binlog_pos, @@GLOBAL.gtid_binlog_state AS binlog_state,
            @@GLOBAL.gtid_slave_pos AS slave_pos, @@GLOBAL.server_id AS id${asks ? ', BINLOG_GTID_POS(?, 4) AS oldest' : ''}`,
    asks ? [oldestFile] : [],
    call,
  );
  const answer = row?.['oldest'];
  if (asks && typeof answer === 'string') {
    oldestOf.set(client, { file: oldestFile, text: textOf(answer, 'BINLOG_GTID_POS()', client) });
  }
  const turn = pacer(call.clock);
  const gtids = async (name: string): Promise<readonly MariadbGtid[]> => {
    await turn();
    return parseMariadbGtids(textOf(row?.[name], `gtid_${name}`, client));
  };
  const [binlogPos, binlogState] = [await gtids('binlog_pos'), await gtids('binlog_state')];
  const slavePos = await gtids('slave_pos');
  const oldest = oldestOf.get(client);
  await turn();
  return {
    serverId: Number(row?.['id']),
    serverUuid: undefined,
    gtids: {
      flavour: 'mariadb',
      logBin: client.logBin,
      binlogPos,
      binlogState,
      slavePos,
      oldest: oldest === undefined || oldest.file !== oldestFile ? undefined : parseMariadbGtids(oldest.text),
    },
  };
}

/** A position is text, and empty where there is none. @throws TargetError `protocol` for anything else, and far too long */
export function textOf(value: unknown, name: string, client: MysqlClient): string {
  const where = `mysql ${client.at}: ${name}`;
  if (typeof value === 'string') return boundGtidText(value, where);
  throw new TargetError('protocol', `${where}: a GTID position that is no text`);
}

/**
 * What the replica lacks, by domain: the source's last sequence number minus the last one that both have. That is what was
 * applied from a source, or what it has in its binary log and the source has too: a former source that replicates by
 * current_pos has applied nothing. What the replica wrote itself and the source has not does not count, though gtid_current_pos holds
 * it. Of a domain that the replica has never seen it lacks everything.
 *
 * @param wanted the domains that the replica takes
 */
export function mariadbMissing(
  source: MariadbGtids,
  replica: MariadbGtids,
  wanted: (domain: string) => boolean,
):
  | { readonly missing: number; readonly missingPurged: number | undefined }
  | { readonly state: 'off' | 'unrelated'; readonly why: string } {
  if (!source.logBin) return { state: 'off', why: 'the source writes no binary logs' };
  const applied = lastByDomain([...replica.slavePos, ...inBothLogs(source, replica)]);
  const theirs = lastByDomain(source.binlogPos);
  if (applied.size > 0 && theirs.size > 0 && ![...theirs.keys()].some((domain) => applied.has(domain))) {
    return { state: 'unrelated', why: 'source and replica share no domain' };
  }
  const lacks = (positions: ReadonlyMap<string, number>): number => {
    let sum = 0;
    for (const [domain, last] of positions) if (wanted(domain)) sum += Math.max(0, last - (applied.get(domain) ?? 0));
    return sum;
  };
  return {
    missing: lacks(theirs),
    missingPurged: source.oldest === undefined ? undefined : lacks(lastByDomain(source.oldest)),
  };
}

/** By domain and origin, the last one that is in the replica's binary log and that the source has too. */
function inBothLogs(source: MariadbGtids, replica: MariadbGtids): readonly MariadbGtid[] {
  const theirs = lastBy([...source.binlogState, ...source.slavePos], originOf);
  return replica.binlogState.flatMap((gtid) => {
    const last = theirs.get(originOf(gtid));
    return last === undefined ? [] : [{ ...gtid, sequence: Math.min(last, gtid.sequence) }];
  });
}

/**
 * How many transactions the replica has, at least, that no source has. By domain and origin, for each last transaction
 * that is in the replica's binary log or was applied by it:
 *
 * - a source has one from this origin that is as late or later: it has them all;
 * - a source has only earlier ones from it, or none and it is later than anything a source has in the domain: errant;
 * - the replica's own, and no source has ever seen one from it in this domain: errant;
 * - from a third server that no source has heard of, and no later than what a source has: not decided. Either the source
 *   was built from a copy and forgot the origin, or the transaction is errant.
 *
 * @returns why it cannot be told, where it would be 0 but for what cannot be decided
 */
export function mariadbErrant(
  sources: readonly MariadbGtids[],
  replica: MariadbGtids,
  replicaServerId: number,
): number | string {
  if (!replica.logBin) return 'the replica writes no binary logs: nobody knows what it has written itself';
  const seen = sources.flatMap(({ binlogState, binlogPos, slavePos }) => [...binlogState, ...binlogPos, ...slavePos]);
  const theirs = lastByDomain(seen);
  const theirsByOrigin = lastBy(seen, originOf);
  const domains = new Map<string, Domain>();
  let undecided: string | undefined;
  for (const [origin, last] of lastBy([...replica.binlogState, ...replica.slavePos], originOf)) {
    const [domain = '', server = ''] = origin.split('-');
    const found = domains.get(domain) ?? { errant: 0, lastErrant: 0, sound: 0 };
    domains.set(domain, found);
    const known = theirsByOrigin.get(origin);
    found.sound = Math.max(found.sound, Math.min(known ?? 0, last));
    if (known !== undefined && last <= known) continue;
    if (known === undefined && last <= (theirs.get(domain) ?? 0) && server !== String(replicaServerId)) {
      undecided ??= `${origin}-${last} of the replica: no source knows this origin`;
      found.sound = Math.max(found.sound, last);
    } else {
      found.errant += 1;
      found.lastErrant = Math.max(found.lastErrant, last);
    }
  }
  const count = [...domains].reduce((sum, [domain, found]) => sum + atLeastErrant(found, theirs.get(domain) ?? 0), 0);
  return count === 0 && undecided !== undefined ? undecided : count;
}

/** What the replica has of one domain. */
interface Domain {
  /** Origins whose last one is errant. */
  errant: number;
  /** The last one that is errant. */
  lastErrant: number;
  /** The last one that is not. */
  sound: number;
}

/** One of each origin; and all that were written after the last sound one, as numbers follow one another. */
function atLeastErrant({ errant, lastErrant, sound }: Domain, theirs: number): number {
  if (errant === 0) return 0;
  const from = sound > 0 ? sound : lastErrant > theirs ? theirs : lastErrant;
  return Math.max(errant, lastErrant - from);
}

function originOf({ domainId, serverId }: MariadbGtid): string {
  return `${domainId}-${serverId}`;
}

function lastByDomain(gtids: readonly MariadbGtid[]): ReadonlyMap<string, number> {
  return lastBy(gtids, ({ domainId }) => domainId);
}

function lastBy(gtids: readonly MariadbGtid[], keyOf: (gtid: MariadbGtid) => string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const gtid of gtids) {
    const key = keyOf(gtid);
    found.set(key, Math.max(found.get(key) ?? 0, gtid.sequence));
  }
  return found;
}
