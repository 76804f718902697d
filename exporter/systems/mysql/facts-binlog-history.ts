// How old is a place in a binary log? By when the server's log was seen to end there: no clock but our own, and right also
// for a reader that stands still, which tells nothing of itself.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory, type AgeBounds } from '../../runtime/offset-history.ts';
import type { ServerIdentity } from './facts-binlog-server.ts';
import { binlogNumber, type BinlogPosition } from './facts-binlogs.ts';

export interface PlaceAge extends AgeBounds {
  /** Between the two; the same as `least` where there is no upper bound. */
  readonly estimate: number;
}

/** The ages of the places in one server's log. */
export interface BinlogAges extends ServerIdentity {
  /**
   * Since the first event behind `place` was written, in seconds at the moment of the call. Where nothing is known to be behind
   * it: from 0 to the time since the last look. Unknown for a place in another series of files.
   */
  readonly ageOf: (place: BinlogPosition) => Known<PlaceAge>;
}

/** Of the server whose log it is. */
export const binlogAgesFact = factKey<BinlogAges>('mysql.binlog_ages');

/** More than any file holds: it ends after max_binlog_size (1 GiB at most), but for a transaction that is longer. */
const perFile = 2 ** 36;

const samples = 240;

/** How the log of one server grew, kept from sweep to sweep. Times are monotonic. */
export class BinlogHistory {
  #ends = new OffsetHistory(samples);
  #base: { readonly of: string; readonly name: string; readonly number: number } | undefined;

  /** Where the log ended, read at or just after `atMs`. Another server under the same address has another log. */
  add(atMs: number, end: BinlogPosition, { serverId, serverUuid = '' }: ServerIdentity): void {
    const number = binlogNumber(end.file);
    if (number === undefined) return;
    const name = baseOf(end.file);
    const of = `${serverId} ${serverUuid}`;
    if (this.#base?.name !== name || this.#base.of !== of) {
      this.#base = { of, name, number };
      this.#ends = new OffsetHistory(samples);
    }
    this.#ends.add(atMs, offsetOf(number - this.#base.number, end.position));
  }

  ageOf(place: BinlogPosition, nowMs: number): PlaceAge | undefined {
    const number = binlogNumber(place.file);
    if (this.#base === undefined || number === undefined || baseOf(place.file) !== this.#base.name) return undefined;
    const offset = offsetOf(number - this.#base.number, place.position);
    const bounds = this.#ends.boundsAt(offset, nowMs);
    const age = this.#ends.ageAt(offset, nowMs);
    return bounds === undefined || age === undefined ? undefined : { ...bounds, estimate: age.seconds };
  }
}

function baseOf(file: string): string {
  return file.slice(0, file.lastIndexOf('.'));
}

function offsetOf(files: number, position: number): number {
  return files * perFile + Math.min(position, perFile - 1);
}

/** For the board: asked later in the same round. */
export function binlogAges(
  history: BinlogHistory,
  server: ServerIdentity,
  clock: { monoMs(): number; wallMs(): number },
): BinlogAges {
  const { serverId, serverUuid } = server;
  return {
    serverId,
    serverUuid,
    ageOf: (place) => {
      const age = history.ageOf(place, clock.monoMs());
      return age === undefined
        ? unknown(`${place.file} is no file of the source's binary log`)
        : known(age, clock.wallMs());
    },
  };
}

/**
 * The best of two that know: an estimate from elsewhere, within what the log's growth proves. `most` is undefined for what
 * is older than the history: then the estimate stands if it is not too small, and without one only a bound is known.
 */
export function ageWithin(
  age: PlaceAge,
  estimateSeconds: Known<number>,
): { readonly seconds: number; readonly isBound: boolean } {
  if (!estimateSeconds.known) return { seconds: age.estimate, isBound: age.most === undefined };
  return { seconds: Math.max(age.least, Math.min(estimateSeconds.value, age.most ?? Infinity)), isBound: false };
}
