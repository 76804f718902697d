// Lag of one group in one partition, from its commit and the ends of the log. Pure, apart from the memory it is given.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetHistory } from '../../runtime/offset-history.ts';

export interface PartitionOffsets {
  /** The high watermark: offset of the next record to be written. */
  readonly end: Known<number>;
  /** The log start: offset of the oldest record still there. */
  readonly begin: Known<number>;
}

export interface PartitionLag extends PartitionOffsets {
  /** Offset of the next record that the group will read, as last committed. 'none': nothing is committed. */
  readonly committed: Known<number | 'none'>;
  /** Records that wait: end - max(committed, begin). Unknown without a commit, and when the commit is beyond the end. */
  readonly lag: Known<number>;
  /** Records that retention or deletion took before the group read them: begin - committed. */
  readonly lost: Known<number>;
  /** The commit is beyond the end of the log: the topic was made anew or truncated. */
  readonly truncated: boolean;
  /** Age of the oldest record that waits; 0 when none does. From the history of the end, see OffsetHistory. */
  readonly lagAge: Known<LagAge>;
  /** For how long the commit has not moved while records waited; 0 when none does. Counts from when that was first seen. */
  readonly unmovedSeconds: Known<number>;
}

/** One partition of a group in plain numbers; undefined is unknown. See PartitionLag. */
export interface LagRow {
  partition: number;
  committed: number | 'none' | undefined;
  lag: number | undefined;
  lost: number | undefined;
  truncated: boolean;
  lagAgeSeconds: number | undefined;
  unmovedSeconds: number | undefined;
}

export interface LagAge {
  readonly seconds: number;
  /** True: the record is older than the history, and at least this old. */
  readonly atLeast: boolean;
}

/** A commit behind which records wait, and since when it was seen so; kept from sweep to sweep. */
export interface StuckCommit {
  readonly committed: number;
  readonly sinceMs: number;
}

export interface Moment {
  readonly wallMs: number;
  readonly monoMs: number;
}

export function partitionLagOf(
  committed: Known<number | 'none'>,
  offsets: PartitionOffsets,
  history: OffsetHistory | undefined,
  stuck: StuckCommit | undefined,
  now: Moment,
): PartitionLag {
  const isStuck = committed.known && stuck?.committed === committed.value;
  const unmovedSeconds = isStuck ? Math.max(0, now.monoMs - stuck.sinceMs) / 1000 : 0;
  return lagOf(
    committed,
    offsets,
    { age: (next) => ageOf(history?.ageAt(next, now.monoMs), now), unmovedSeconds },
    now,
  );
}

/** What is known of records that wait; not asked for when none does. */
interface Waiting {
  readonly age: (next: number) => Known<LagAge>;
  readonly unmovedSeconds: number;
}

export function lagOf(
  committed: Known<number | 'none'>,
  { end, begin }: PartitionOffsets,
  waiting: Waiting,
  now: Moment,
): PartitionLag {
  const offsets = { committed, end, begin };
  const nothing = (why: string): PartitionLag => {
    const not = unknown(why);
    return { ...offsets, lag: not, lost: not, truncated: false, lagAge: not, unmovedSeconds: not };
  };
  if (!committed.known) return nothing(committed.why);
  if (committed.value === 'none') return nothing('nothing is committed');
  if (!end.known) return nothing(end.why);
  if (!begin.known) return nothing(begin.why);
  const lost = known(lostOfNumbers(committed.value, begin.value), now.wallMs);
  if (committed.value > end.value) {
    const not = unknown(`the commit ${committed.value} is beyond the end of the log ${end.value}`);
    return { ...offsets, lag: not, lost, truncated: true, lagAge: not, unmovedSeconds: not };
  }
  const lag = lagOfNumbers(committed.value, begin.value, end.value);
  return {
    committed,
    end,
    begin,
    lag: known(lag, now.wallMs),
    lost,
    truncated: false,
    lagAge: lag === 0 ? known({ seconds: 0, atLeast: false }, now.wallMs) : waiting.age(Math.max(committed.value, begin.value)), // prettier-ignore
    unmovedSeconds: known(lag === 0 ? 0 : waiting.unmovedSeconds, now.wallMs),
  };
}

/**
 * Of a commit that is not beyond the end. The start of the log is not read before its end: where records are deleted as
 * soon as they are read (repartition topics of Kafka Streams) it may be the later one.
 */
export function lagOfNumbers(committed: number, begin: number, end: number): number {
  return Math.max(0, end - Math.max(committed, begin));
}

export function lostOfNumbers(committed: number, begin: number): number {
  return Math.max(0, begin - committed);
}

/** @param age what the history of the end of the log says; undefined without one */
export function ageOf(age: LagAge | undefined, now: Moment): Known<LagAge> {
  if (age === undefined) return unknown('there is no history of the end of the log');
  if (age.atLeast && age.seconds === 0) return unknown('the history of the end of the log begins only now');
  return known(age, now.wallMs);
}
