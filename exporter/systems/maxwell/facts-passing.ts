// How late are changes that go through Maxwell, and which of its halves holds them up: its reader, or its producer? Pure,
// apart from the memory that it is given.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetAge } from '../../runtime/offset-history.ts';
import { QueueAge } from '../../runtime/queue-age.ts';
import { ageWithin, type BinlogAges } from '../mysql/facts-binlog-history.ts';
import type { BinlogPosition } from '../mysql/facts-binlogs.ts';
import type { MaxwellHealth } from './facts-health.ts';
import type { MaxwellHttp } from './facts-http.ts';
import type { MaxwellPosition } from './facts-position.ts';

/** Where its position stands: it moves only past what was acknowledged. */
export interface MaxwellPlace {
  readonly place: BinlogPosition;
  /** By the database's clock; an upper bound of the lag. Unknown while Maxwell's clock is ahead of that. */
  readonly sinceReadSeconds: Known<number>;
  /** Without any change on the source there is still this much behind its position: what it has written there itself. */
  readonly ownBytes: number;
}

/**
 * Storing its position writes 301 bytes of binary log, and a heartbeat 209 more (seen on 1.44.1 with MariaDB 10.11, at
 * rest); row images hold the GTID set twice each.
 */
function ownBytesOf(gtidSet = ''): number {
  return 1024 + 4 * gtidSet.length;
}

export const maxwellPlaceFact = factKey<MaxwellPlace>('maxwell.place');

export function placeOf(position: MaxwellPosition, observedAtMs: number): MaxwellPlace {
  const { binlogFile: file, binlogPosition, lastHeartbeatReadMs: read, heartbeatMs: written, databaseNowMs } = position;
  const isAhead = written.known && written.value > databaseNowMs;
  return {
    place: { file, position: binlogPosition },
    ownBytes: ownBytesOf(position.gtidSet),
    sinceReadSeconds: !read.known
      ? read
      : isAhead || read.value > databaseNowMs
        ? unknown("Maxwell's clock is ahead of the database's")
        : known((databaseNowMs - read.value) / 1000, observedAtMs),
  };
}

/** What its HTTP metrics tell of its two halves. */
export interface MaxwellHalves {
  /** Sent and not acknowledged; unknown for a producer that waits for each message. */
  readonly inflight: Known<number>;
  /** For how long the oldest of them has waited. */
  readonly waiting: OffsetAge;
  /** How far its reader is behind the source at most. */
  readonly readLagSeconds: Known<number>;
}

export const maxwellHalvesFact = factKey<MaxwellHalves>('maxwell.halves');

/** What was seen of it, kept from look to look. Times are monotonic. */
export class HalvesMemory {
  #sent = new QueueAge();
  /** As it was when the reader was seen to go on; without a value before that. */
  #reader: { readonly mark: string; readonly movedMs: number; readonly lagSeconds: number | undefined } | undefined;

  look(http: MaxwellHttp, now: { readonly monoMs: number; readonly wallMs: number }): MaxwellHalves {
    const { inflight, messagesSucceeded: done, messagesFailed: failed } = http;
    const waiting: OffsetAge =
      inflight.known && done.known && failed.known
        ? this.#sent.look(now.monoMs, done.value + failed.value, inflight.value)
        : { seconds: 0, atLeast: true };
    return { inflight, waiting, readLagSeconds: this.#readLag(http, now) };
  }

  /**
   * Its own number is that of the last commit that it has read, and keeps its value while it reads none: then that much,
   * and the time since. A source that is idle for that time makes this too large, never too small.
   */
  #readLag(
    { replicationLagMs, rowCount }: MaxwellHttp,
    now: { readonly monoMs: number; readonly wallMs: number },
  ): Known<number> {
    if (!replicationLagMs.known) return replicationLagMs;
    const mark = `${replicationLagMs.value} ${rowCount.known ? rowCount.value : ''}`;
    if (this.#reader?.mark !== mark) {
      const lagSeconds = this.#reader === undefined ? undefined : Math.max(0, replicationLagMs.value) / 1000;
      this.#reader = { mark, movedMs: now.monoMs, lagSeconds };
    }
    const { lagSeconds, movedMs } = this.#reader;
    if (lagSeconds === undefined) return unknown('its reader was not seen to go on yet');
    return known(lagSeconds + (now.monoMs - movedMs) / 1000, now.wallMs);
  }
}

export interface MaxwellPassing {
  /** Age of the oldest change on the source that was not acknowledged by where it produces to. */
  readonly lagSeconds: Known<number>;
  readonly lagAtLeastSeconds: Known<number>;
  /** Unknown: nothing tells its halves apart. */
  readonly parts: Known<MaxwellParts>;
}

export interface MaxwellParts {
  /** Age of the oldest change that it has not read. */
  readonly readSeconds: Known<number>;
  /** How long the oldest change that it has read waits for its acknowledgement. */
  readonly publishing: OffsetAge;
}

/** At rest it writes a heartbeat every 10 s (PositionStoreThread), and its position follows within a second or two. */
const heartbeatEverySeconds = 12;

/** @param ages of the source's binary log */
export function passingOf(
  health: MaxwellHealth,
  at: Known<MaxwellPlace>,
  halves: Known<MaxwellHalves>,
  ages: Known<BinlogAges>,
): MaxwellPassing {
  const lag = lagOf(health, at, halves, ages);
  return { ...lag, parts: partsOf(lag.lagSeconds, halves) };
}

function lagOf(
  health: MaxwellHealth,
  at: Known<MaxwellPlace>,
  halves: Known<MaxwellHalves>,
  ages: Known<BinlogAges>,
): Pick<MaxwellPassing, 'lagSeconds' | 'lagAtLeastSeconds'> {
  // A place that the log does not have any more is no measure.
  const age =
    !at.known || health.state === 'position_lost' || !ages.known ? undefined : ages.value.ageOf(at.value.place);
  if (!at.known || age?.known !== true) return { lagSeconds: health.lagSeconds, lagAtLeastSeconds: health.lagSeconds };
  const { least } = age.value;
  if (isAtRest(health, at.value, halves, least)) {
    const none = known(0, age.observedAtMs);
    return { lagSeconds: none, lagAtLeastSeconds: none };
  }
  const { seconds, isBound } = ageWithin(age.value, at.value.sinceReadSeconds);
  const atLeast = known(least, age.observedAtMs);
  if (!isBound) return { lagSeconds: known(seconds, age.observedAtMs), lagAtLeastSeconds: atLeast };
  const why = 'its position is older than what was seen of the log of its source';
  return { lagSeconds: unknown(why), lagAtLeastSeconds: least > 0 ? atLeast : unknown(why) };
}

/**
 * All that it has not passed on may be its own. Changes of so few bytes are noticed only when its heartbeat is due and does
 * not come, or by its producer.
 */
function isAtRest(
  { behindBytes, heartbeatAgeSeconds: beat }: MaxwellHealth,
  { ownBytes }: MaxwellPlace,
  halves: Known<MaxwellHalves>,
  leastSeconds: number,
): boolean {
  if (halves.known && halves.value.inflight.known && halves.value.inflight.value > 0) return false;
  const isBeating = beat.known && Math.abs(beat.value) <= heartbeatEverySeconds;
  return isBeating && leastSeconds <= heartbeatEverySeconds && behindBytes.known && behindBytes.value <= ownBytes;
}

function partsOf(lagSeconds: Known<number>, halves: Known<MaxwellHalves>): Known<MaxwellParts> {
  if (!halves.known) return halves;
  const { inflight, waiting, readLagSeconds } = halves.value;
  if (!inflight.known) return inflight;
  // What waits and was not sent has not been read, or was read just now.
  if (inflight.value === 0) {
    return known({ readSeconds: lagSeconds, publishing: { seconds: 0, atLeast: false } }, halves.observedAtMs);
  }
  if (!readLagSeconds.known) return readLagSeconds;
  // No half can be later than both.
  const most = lagSeconds.known ? lagSeconds.value : Infinity;
  const readSeconds = known(Math.min(readLagSeconds.value, most), readLagSeconds.observedAtMs);
  const publishing = { ...waiting, seconds: Math.min(waiting.seconds, most) };
  return known({ readSeconds, publishing }, halves.observedAtMs);
}
