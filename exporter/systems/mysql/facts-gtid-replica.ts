// Which transactions a replica lacks of its sources, and which it has that they have not. Pure.
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { replicatesFrom } from './facts-binlog-server.ts';
import type { GtidReading } from './facts-gtid.ts';
import { mariadbErrant, mariadbMissing } from './facts-gtid-mariadb.ts';
import { countGtids, gtidsMeet, parseGtidSet, subtractGtids, type GtidSet } from './facts-gtid-sets.ts';
import type { ReplicaChannel } from './facts-replication.ts';
import { gtidStates, type GtidState } from './families-gtid.ts';

export type GtidChannel = Pick<
  ReplicaChannel,
  'channelName' | 'connectionName' | 'sourceServerId' | 'sourceUuid' | 'columns'
>;

/** What a replica lacks of one source. */
export interface GtidDistance {
  readonly channelName: string;
  readonly connectionName: string;
  readonly missing: Known<number>;
  /** In no binary log of the source any more, and not received: it cannot be had any more. */
  readonly missingPurged: Known<number>;
}

export interface ReplicaGtids {
  readonly state: GtidState;
  /** For people. */
  readonly why: string;
  readonly channels: readonly GtidDistance[];
  readonly errant: Known<number>;
}

export const replicaGtidsFact = factKey<ReplicaGtids>('mysql.replica_gtids');

interface Looks {
  readonly channels: readonly GtidChannel[];
  /** Of the sources that the inventory names. */
  readonly sources: readonly Known<GtidReading>[];
  /** The replica as it is now, read after its sources. */
  readonly now: GtidReading;
  /** Earlier readings of the replica, newest last. */
  readonly earlier: readonly GtidReading[];
  readonly observedAtMs: number;
}

interface Finding {
  readonly state: GtidState;
  readonly why: string;
}

const ok: Finding = { state: 'ok', why: '' };

export function compareGtids({ channels, sources, now, earlier, observedAtMs }: Looks): ReplicaGtids {
  const findings: Finding[] = [];
  const distances: GtidDistance[] = [];
  const readings: GtidReading[] = [];
  const taken = new Set<GtidChannel>();
  for (const source of sources) {
    if (!source.known) {
      findings.push({ state: 'unknown', why: `the source: ${source.why}` });
      continue;
    }
    if (isSameServer(source.value, now)) {
      // An address that has followed a failover to the replica: against itself nothing would be missing
      findings.push({ state: 'not_paired', why: 'what the inventory names as its source is the replica itself' });
      continue;
    }
    const channel = channelFrom(channels, source.value, sources.length);
    if (channel === undefined || taken.has(channel)) {
      findings.push({ state: 'unknown', why: `no channel of its own from the server ${source.value.serverId}` });
      continue;
    }
    taken.add(channel);
    readings.push(source.value);
    const { finding, ...numbers } = missingFrom(source.value, now, channel, observedAtMs);
    findings.push(finding);
    distances.push({ channelName: channel.channelName, connectionName: channel.connectionName, ...numbers });
  }
  if (channels.some((channel) => !taken.has(channel))) {
    findings.push({ state: 'not_paired', why: 'the inventory does not name the source of every channel' });
  }
  const before = worstOf(findings);
  // Without one of the sources all of its transactions would seem errant.
  if (before.state !== 'ok') return { ...before, channels: distances, errant: unknown(before.why) };
  // A failover may have put another server under the same address.
  const ofThis = earlier.filter((e) => e.serverId === now.serverId && e.serverUuid === now.serverUuid);
  const { finding, errant } = errantGtids(readings, ofThis, observedAtMs);
  return { ...finding, channels: distances, errant };
}

function isSameServer(a: GtidReading, b: GtidReading): boolean {
  if (a.serverUuid !== undefined || b.serverUuid !== undefined) return a.serverUuid === b.serverUuid;
  return a.serverId > 0 && a.serverId === b.serverId;
}

function worstOf(findings: readonly Finding[]): Finding {
  const order = (finding: Finding): number => gtidStates.indexOf(finding.state);
  return findings.reduce((a, b) => (order(b) > order(a) ? b : a), ok);
}

const nobody: GtidChannel = {
  channelName: '',
  connectionName: '',
  sourceServerId: 0,
  sourceUuid: '',
  columns: new Map(),
};

/**
 * One channel and one source belong together also where another server stands between them: GTIDs are the same all along
 * a chain. So do they where replication was taken away.
 */
function channelFrom(channels: readonly GtidChannel[], source: GtidReading, sources: number): GtidChannel | undefined {
  if (sources === 1 && channels.length <= 1) return channels[0] ?? nobody;
  return channels.find((channel) => replicatesFrom(channel, source) === true);
}

type Missing = Pick<GtidDistance, 'missing' | 'missingPurged'> & { readonly finding: Finding };

/** The source was read before the replica: what was committed on the way from one to the other is not missed then. */
function missingFrom(source: GtidReading, replica: GtidReading, channel: GtidChannel, observedAtMs: number): Missing {
  if (source.toMs > replica.fromMs) return noNumbers('unknown', 'the replica was read before its source');
  const [s, r] = [source.gtids, replica.gtids];
  const column = (name: string): string => channel.columns.get(name) ?? '';
  if (s.flavour === 'mariadb' || r.flavour === 'mariadb') {
    if (s.flavour === 'mysql' || r.flavour === 'mysql') {
      return noNumbers('unknown', `the source is ${s.flavour}, the replica ${r.flavour}`);
    }
    const wanted = domainFilter(column('replicate_do_domain_ids'), column('replicate_ignore_domain_ids'));
    const found = mariadbMissing(s, r, wanted);
    if ('state' in found) return noNumbers(found.state, found.why);
    const { missing, missingPurged } = found;
    return {
      finding: ok,
      missing: known(missing, observedAtMs),
      missingPurged:
        missingPurged === undefined
          ? unknown('the begin of the oldest binary log of the source is not known')
          : known(missingPurged, observedAtMs),
    };
  }
  if (!s.on || !r.on) return noNumbers('off', `gtid_mode is off on the ${s.on ? 'replica' : 'source'}`);
  if (s.executed.size > 0 && r.executed.size > 0 && !gtidsMeet(s.executed, r.executed)) {
    return noNumbers('unrelated', 'source and replica share no transaction');
  }
  return {
    finding: ok,
    missing: known(countGtids(subtractGtids(s.executed, r.executed)), observedAtMs),
    missingPurged: lostFrom(s.purged, r.executed, column('retrieved_gtid_set'), observedAtMs),
  };
}

/**
 * A replica asks for what it has neither executed nor received:
 * https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-auto-positioning.html
 */
function lostFrom(purged: GtidSet, executed: GtidSet, received: string, observedAtMs: number): Known<number> {
  const notExecuted = subtractGtids(purged, executed);
  if (notExecuted.size === 0) return known(0, observedAtMs); // whatever it has received
  try {
    const lost = subtractGtids(notExecuted, parseGtidSet(received, 'Retrieved_Gtid_Set'));
    return known(countGtids(lost), observedAtMs);
  } catch (error) {
    if (error instanceof TargetError) return unknown(error.message);
    throw error;
  }
}

function noNumbers(state: GtidState, why: string): Missing {
  return { finding: { state, why }, missing: unknown(why), missingPurged: unknown(why) };
}

/** MariaDB's DO_DOMAIN_IDS and IGNORE_DOMAIN_IDS, of which one is empty: what they keep away is not missed. */
function domainFilter(wanted: string, ignored: string): (domain: string) => boolean {
  const ids = (text: string): readonly string[] => text.split(/[\s,()]+/).filter((id) => id !== '');
  const [only, not] = [new Set(ids(wanted)), new Set(ids(ignored))];
  return (domain) => (only.size === 0 || only.has(domain)) && !not.has(domain);
}

/**
 * Transactions of the replica that none of its sources has. The reading of the replica is one from before the sources
 * were read: what it had then and they did not have later did not come from them.
 */
function errantGtids(
  sources: readonly GtidReading[],
  earlier: readonly GtidReading[],
  observedAtMs: number,
): { readonly finding: Finding; readonly errant: Known<number> } {
  const no = (state: GtidState, why: string): ReturnType<typeof errantGtids> => {
    return { finding: { state, why }, errant: unknown(why) };
  };
  const firstMs = Math.min(...sources.map(({ fromMs }) => fromMs));
  const replica = earlier.findLast(({ toMs }) => toMs <= firstMs);
  if (replica === undefined) return no('unknown', 'the replica was not read before its source yet');
  if (replica.gtids.flavour === 'mysql') {
    const theirs = sources.flatMap(({ gtids }) => (gtids.flavour === 'mysql' ? [gtids.executed, gtids.owned] : []));
    return {
      finding: ok,
      errant: known(countGtids(theirs.reduce(subtractGtids, replica.gtids.executed)), observedAtMs),
    };
  }
  const theirs = sources.flatMap(({ gtids }) => (gtids.flavour === 'mariadb' ? [gtids] : []));
  const count = mariadbErrant(theirs, replica.gtids, replica.serverId);
  if (typeof count === 'string') return no('ambiguous', count);
  return { finding: ok, errant: known(count, observedAtMs) };
}
