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
  { end, begin }: PartitionOffsets,
  history: OffsetHistory | undefined,
  stuck: StuckCommit | undefined,
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
  const lost = numberAt(Math.max(0, begin.value - committed.value), now);
  if (committed.value > end.value) {
    const not = unknown(`the commit ${committed.value} is beyond the end of the log ${end.value}`);
    return { ...offsets, lag: not, lost, truncated: true, lagAge: not, unmovedSeconds: not };
  }
  const next = Math.max(committed.value, begin.value);
  const lag = end.value - next;
  const isStuck = lag > 0 && stuck?.committed === committed.value;
  return {
    committed,
    end,
    begin,
    lag: numberAt(lag, now),
    lost,
    truncated: false,
    lagAge: lag === 0 ? nothingWaits(now) : ageOf(next, history, now),
    unmovedSeconds: numberAt(isStuck ? Math.max(0, now.monoMs - stuck.sinceMs) / 1000 : 0, now),
  };
}

// Most numbers of a healthy cluster are 0: one object stands for all of them in a sweep, of which there may be 100,000.
let zero = known(0, 0);
let noAge = known({ seconds: 0, atLeast: false }, 0);

function numberAt(value: number, { wallMs }: Moment): Known<number> {
  if (value !== 0) return known(value, wallMs);
  if (zero.known && zero.observedAtMs !== wallMs) zero = known(0, wallMs);
  return zero;
}

function nothingWaits({ wallMs }: Moment): Known<LagAge> {
  if (noAge.known && noAge.observedAtMs !== wallMs) noAge = known({ seconds: 0, atLeast: false }, wallMs);
  return noAge;
}

function ageOf(offset: number, history: OffsetHistory | undefined, now: Moment): Known<LagAge> {
  const age = history?.ageAt(offset, now.monoMs);
  if (age === undefined) return unknown('there is no history of the end of the log');
  if (age.atLeast && age.seconds === 0) return unknown('the history of the end of the log begins only now');
  return known(age, now.wallMs);
}
