// How a binary log grows, and how far back it reaches, from looks at its list of files. Pure but for what it remembers.
import { known, unknown, type Known } from '../../runtime/known.ts';
import { OffsetHistory } from '../../runtime/offset-history.ts';
import type { ServerIdentity } from './facts-binlog-server.ts';
import {
  binlogNumber,
  bytesBetween,
  comparePositions,
  endPosition,
  type BinlogPosition,
  type Binlogs,
} from './facts-binlogs.ts';

export interface BinlogGrowth {
  /** Since the first look; never shrinks. */
  readonly writtenBytes: number;
  /** Age of the begin of the oldest file: from the time at which the log was seen to reach it. */
  readonly retainedSeconds: Known<number>;
  /** Size over rate: what the age would be had the log always grown as it does since the first look. */
  readonly estimatedSeconds: Known<number>;
}

/** The rate of a shorter time says nothing about days. */
const estimateAfterMs = 600_000;

/**
 * No statement tells when a binary log was begun: SHOW BINLOG EVENTS has no times, and the files may be on another
 * machine. So the log is taken as one stream of bytes whose end is remembered at each look; the age of the oldest file
 * is the time since the end passed its begin, as exact as looks are frequent.
 */
export class BinlogWatch {
  #last: BinlogPosition | undefined;
  #of = '';
  #written = 0;
  #history = new OffsetHistory();
  /** Begin of what the history tells of. */
  #since = { monoMs: 0, written: 0 };

  /**
   * Undefined for a server that writes no binary logs. Another server under the same address (a failover) has another
   * log: what is in its files was not written since the last look.
   */
  look(
    binlogs: Binlogs,
    now: { readonly monoMs: number; readonly wallMs: number },
    server: ServerIdentity,
  ): BinlogGrowth | undefined {
    const { current, files } = binlogs;
    const [oldest] = files;
    if (current === undefined || oldest === undefined) return undefined;
    const of = `${server.serverId} ${server.serverUuid ?? ''}`;
    if (of !== this.#of) this.#last = undefined;
    this.#of = of;
    const exact = this.#last === undefined ? undefined : bytesBetween(binlogs, this.#last, current);
    if (exact !== undefined) this.#written += exact;
    else {
      if (this.#last !== undefined) this.#written += writtenAtLeast(this.#last, current, binlogs);
      this.#history = new OffsetHistory();
      this.#since = { monoMs: now.monoMs, written: this.#written };
    }
    this.#last = current;
    this.#history.add(now.monoMs, this.#written);

    const size = bytesBetween(binlogs, { file: oldest.name, position: 0 }, current);
    if (size === undefined) {
      const gap = unknown('files are missing in the list of the server');
      return { writtenBytes: this.#written, retainedSeconds: gap, estimatedSeconds: gap };
    }
    const age = this.#history.ageAt(this.#written - size, now.monoMs);
    const retainedSeconds =
      age === undefined || age.atLeast
        ? unknown(
            `the oldest file was begun before the log is watched, more than ${Math.floor(age?.seconds ?? 0)} s ago`,
          )
        : known(age.seconds, now.wallMs);
    return { writtenBytes: this.#written, retainedSeconds, estimatedSeconds: this.#estimate(size, now) };
  }

  #estimate(size: number, now: { readonly monoMs: number; readonly wallMs: number }): Known<number> {
    const watchedMs = now.monoMs - this.#since.monoMs;
    const written = this.#written - this.#since.written;
    if (watchedMs < estimateAfterMs) return unknown(`the log is watched for ${Math.floor(watchedMs / 1000)} s only`);
    if (written <= 0) return unknown('nothing was written since the log is watched');
    return known((size / written) * (watchedMs / 1000), now.wallMs);
  }
}

/**
 * Where the way from the last place to the present one cannot be followed: what the files that are there prove to be
 * written since. Another base name: the server was restarted with another log, whose older files may be from before.
 * A smaller number: RESET, all files are new. A larger one: files between were purged, or the end of one was lost.
 */
function writtenAtLeast(last: BinlogPosition, current: BinlogPosition, { files }: Binlogs): number {
  const order = comparePositions(last, current);
  if (order === undefined) return current.position;
  const newer = order > 0 ? 0 : (binlogNumber(last.file) ?? 0);
  const end = binlogNumber(current.file) ?? 0;
  const between = files.filter(({ number }) => number > newer && number < end);
  return between.reduce((sum, file) => sum + endPosition(file), current.position);
}
