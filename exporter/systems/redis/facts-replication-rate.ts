// How fast the replication stream of a server grows, and how long its backlog lasts at that rate. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { RedisReplication } from './facts-replication.ts';

/**
 * `no_stream`: a primary without a backlog counts no offsets, and a replica without a link gets none.
 * `idle`: nothing was written in the window, so that the backlog lasts for ever.
 */
export const rateStates = ['measured', 'idle', 'no_stream', 'unknown'] as const;
export type RateState = (typeof rateStates)[number];

export interface StreamRate {
  readonly state: RateState;
  /** For people. */
  readonly why: string;
  readonly bytesPerSecond: Known<number>;
  /** How long a link may be broken before the next connection is a full copy. */
  readonly backlogSeconds: Known<number>;
}

/** The window in which the rate is taken; longer where the looks are further apart. */
const windowMs = 60_000;
/** Two looks closer than this (two scrapes at once) tell no rate. */
const leastMs = 500;

interface Look {
  readonly atMs: number;
  readonly offset: number;
}

/** Remembers the ends of the stream of the last minute. */
export class StreamRateMemory {
  #replId = '';
  #runId = '';
  #looks: Look[] = [];

  /** @param nowMs monotonic */
  see({ replId, offset, backlog, link, server, role }: RedisReplication, nowMs: number, wallMs: number): StreamRate {
    const last = this.#looks.at(-1);
    const isOther = replId !== this.#replId || server.runId !== this.#runId || offset < (last?.offset ?? 0);
    if (isOther) this.#looks = [];
    this.#replId = replId;
    this.#runId = server.runId;
    if (server.loading) return none('unknown', 'the server is loading its data set');
    if (role === 'primary' && !backlog.active) return none('no_stream', 'there is no replication backlog');
    if (role === 'replica' && link?.up !== true) {
      this.#looks = []; // what comes after the link is up again is a catching up, not a write rate
      return none('no_stream', 'the link to the primary is down');
    }
    this.#looks.push({ atMs: nowMs, offset });
    // the newest look at or before the window's beginning is its first one
    while ((this.#looks[1]?.atMs ?? Infinity) <= nowMs - windowMs) this.#looks.shift();
    const [first] = this.#looks;
    if (first === undefined || nowMs - first.atMs < leastMs) return none('unknown', 'it was looked at only once yet');
    const rate = ((offset - first.offset) * 1_000) / (nowMs - first.atMs);
    const bytesPerSecond = known(rate, wallMs);
    if (rate === 0) {
      const why = 'nothing was written';
      return { state: 'idle', why, bytesPerSecond, backlogSeconds: unknown(why) };
    }
    const backlogSeconds = known(backlog.sizeBytes / rate, wallMs);
    return { state: 'measured', why: '', bytesPerSecond, backlogSeconds };
  }
}

/** In seconds of writing at the present rate; below 0 the next connection is a full copy already. */
export function headroomSeconds(headroomBytes: Known<number>, { bytesPerSecond, why }: StreamRate): Known<number> {
  if (!headroomBytes.known) return headroomBytes;
  if (!bytesPerSecond.known) return bytesPerSecond;
  if (bytesPerSecond.value === 0) return unknown(why);
  return known(headroomBytes.value / bytesPerSecond.value, headroomBytes.observedAtMs);
}

function none(state: RateState, why: string): StreamRate {
  return { state, why, bytesPerSecond: unknown(why), backlogSeconds: unknown(why) };
}
