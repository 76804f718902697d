// How many bytes of its source's binary log are between a replica and its source? Pure.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { replicatesFrom, type SourceLog } from './facts-binlog-server.ts';
import { bytesBetween, comparePositions, type BinlogPosition } from './facts-binlogs.ts';
import type { ReplicaChannel } from './facts-replication.ts';
import type { DistanceState } from './families-binlog.ts';

/** How long the facts of the same round are waited for; a source that is slower is compared as it was the last time. */
export const peerWaitMs = 500;

/** A source that was not read for longer than this is not compared with any more. */
export const sourceAtMostMs = 300_000;

export interface ReplicaDistance {
  readonly state: DistanceState;
  /** For people. */
  readonly why: string;
  /** Not executed. */
  readonly behindBytes: Known<number>;
  /** Not received. */
  readonly unreceivedBytes: Known<number>;
}

/** Of every channel of a replica. */
export const replicaDistanceFact =
  factKey<readonly (ReplicaDistance & Pick<ReplicaChannel, 'channelName' | 'connectionName'>)[]>(
    'mysql.replica_distance',
  );

/** What is needed of a row of the replica status. */
export type ChannelPlace = Pick<ReplicaChannel, 'sourceServerId' | 'sourceUuid' | 'received' | 'executed'>;

/**
 * Of one channel, by the log of the one source it replicates from.
 *
 * @param logs of the sources that the inventory names for this replica; one read too long ago (a source that is scraped
 * no more) would make a replica that has gone past it seem not to be behind
 * @param readAtMs when the status of the replica had been read, on the monotonic clock
 */
export function distanceOf(
  channel: ChannelPlace,
  logs: readonly Known<SourceLog>[],
  readAtMs: number,
): ReplicaDistance {
  const found = logs.find((log) => log.known && replicatesFrom(channel, log.value) === true);
  if (found?.known === true) {
    const isOld = readAtMs - found.value.askedAtMonoMs > sourceAtMostMs;
    return isOld ? nothing('unknown', 'the source was not read lately') : distanceTo(channel, found, readAtMs);
  }
  const missing = logs.find((log) => !log.known);
  if (missing?.known === false) return nothing('unknown', `the source: ${missing.why}`);
  if (logs.some((log) => log.known && replicatesFrom(channel, log.value) === undefined)) {
    return nothing('unknown', 'the replica has not been connected to its source since it was started');
  }
  return nothing('not_matched', 'the channel replicates from another server than the inventory names');
}

type KnownLog = Extract<Known<SourceLog>, { readonly known: true }>;

function distanceTo(channel: ChannelPlace, log: KnownLog, readAtMs: number): ReplicaDistance {
  if (log.value.binlogs.current === undefined) return nothing('unknown', 'the source writes no binary logs');
  const behind = between(channel.executed, log, readAtMs);
  const unreceived = between(channel.received, log, readAtMs);
  const worst = [behind, unreceived].reduce((a, b) => (order.indexOf(b.state) > order.indexOf(a.state) ? b : a));
  return { state: worst.state, why: worst.why, behindBytes: behind.bytes, unreceivedBytes: unreceived.bytes };
}

const order: readonly DistanceState[] = ['ok', 'unknown', 'files_gone', 'ahead'];

interface Between {
  readonly state: DistanceState;
  readonly why: string;
  readonly bytes: Known<number>;
}

/**
 * A replica whose status was read after its source's position may have come further than that: it is not behind then.
 * One that was read before and is further all the same has changes that its source lost.
 */
function between(place: BinlogPosition | undefined, { value, observedAtMs }: KnownLog, readAtMs: number): Between {
  const { binlogs, askedAtMonoMs } = value;
  const { current } = binlogs;
  if (current === undefined || place === undefined) return noBytes('unknown', 'the replica tells no position yet');
  const compared = comparePositions(place, current);
  if (compared === undefined) return noBytes('files_gone', `the source has no file like ${place.file}`);
  if (compared > 0) {
    if (readAtMs < askedAtMonoMs)
      return noBytes('ahead', `the replica is at ${textOf(place)}, its source at ${textOf(current)}`);
    return { state: 'ok', why: '', bytes: known(0, observedAtMs) };
  }
  const bytes = bytesBetween(binlogs, place, current);
  if (bytes === undefined) return noBytes('files_gone', `the source does not have ${textOf(place)} any more`);
  return { state: 'ok', why: '', bytes: known(bytes, observedAtMs) };
}

function noBytes(state: DistanceState, why: string): Between {
  return { state, why, bytes: unknown(why) };
}

export function nothing(state: DistanceState, why: string): ReplicaDistance {
  return { state, why, behindBytes: unknown(why), unreceivedBytes: unknown(why) };
}

function textOf({ file, position }: BinlogPosition): string {
  return `${file}:${position}`;
}
