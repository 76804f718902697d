// Did the data set shrink at once? FLUSHALL, a primary that came back empty and a full copy from it all look healthy to
// replication: every number of it is well. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import { numberOf, type RedisFields } from './facts-replication-fields.ts';
import type { RedisReplication } from './facts-replication.ts';

/** `none`: a Sentinel has none. */
export const datasetStates = ['steady', 'shrank', 'loading', 'none', 'unknown'] as const;
export type DatasetState = (typeof datasetStates)[number];

/** `flush`: FLUSHALL, FLUSHDB. `restart`: another process. `copy`: a full copy from its primary. `other`: DEL, expiry, eviction. */
export const shrinkCauses = ['flush', 'restart', 'copy', 'other'] as const;
export type ShrinkCause = (typeof shrinkCauses)[number];

export interface DatasetOptions {
  /** How long a shrink is told, and how far back the largest data set counts. */
  readonly windowMs: number;
  /** The part of its keys or bytes that a data set may lose within the window. */
  readonly share: number;
  /** Smaller data sets are not judged. */
  readonly leastKeys: number;
  readonly leastBytes: number;
}

export interface Dataset {
  readonly state: DatasetState;
  /** For people. */
  readonly why: string;
  /** Of the keys, or of the bytes if that is less: now against the most within the window. */
  readonly kept: Known<number>;
}

interface Look {
  readonly atMs: number;
  readonly keys: number;
  readonly bytes: number;
}

interface Before {
  readonly runId: string;
  readonly flushes: number;
  readonly replId: string;
}

/** At most so many looks are kept: of those close together the larger one. */
const keptLooks = 240;

/** Remembers how large the data set was, and counts the shrinks by cause since the exporter first looked. */
export class DatasetMemory {
  readonly shrinks: Record<ShrinkCause, number> = { flush: 0, restart: 0, copy: 0, other: 0 };
  #looks: Look[] = [];
  #before: Before | undefined;
  #isShrunk = false;
  #cause: ShrinkCause | undefined;

  get hasLooked(): boolean {
    return this.#before !== undefined;
  }

  /** @param now monotonic and wall clock */
  see(found: RedisReplication, now: { readonly monoMs: number; readonly wallMs: number }, o: DatasetOptions): Dataset {
    const { server, fields } = found;
    if (server.loading) return { state: 'loading', why: 'the server is loading', kept: unknown('it is loading') };
    if (!server.keys.known) return { state: 'unknown', why: server.keys.why, kept: server.keys };
    const look: Look = { atMs: now.monoMs, keys: server.keys.value, bytes: bytesOf(fields) };
    this.#cause = this.#causeOf(found) ?? (this.#isShrunk ? this.#cause : undefined);
    this.#keep(look, o.windowMs);
    const most = { keys: Math.max(...this.#looks.map((l) => l.keys)), bytes: Math.max(...this.#looks.map((l) => l.bytes)) }; // prettier-ignore
    const parts = [
      ...(most.keys >= o.leastKeys ? [look.keys / most.keys] : []),
      ...(most.bytes >= o.leastBytes ? [look.bytes / most.bytes] : []),
    ];
    const kept = parts.length === 0 ? 1 : Math.min(...parts);
    const isShrunk = kept < 1 - o.share;
    if (isShrunk && !this.#isShrunk) this.shrinks[this.#cause ?? 'other'] += 1;
    this.#isShrunk = isShrunk;
    const why = isShrunk
      ? `${String(look.keys)} keys now, ${String(most.keys)} lately: ${texts[this.#cause ?? 'other']}`
      : '';
    const state = isShrunk ? 'shrank' : 'steady';
    return {
      state,
      why,
      kept: parts.length === 0 ? unknown('too small to be judged') : known(kept, now.wallMs),
    };
  }

  /** What has happened since the look before that could make a data set shrink. */
  #causeOf({ server, fields, replId, role }: RedisReplication): ShrinkCause | undefined {
    const before = this.#before;
    const flushes = callsOf(fields, 'flushall') + callsOf(fields, 'flushdb');
    this.#before = { runId: server.runId, flushes, replId };
    if (before === undefined) return undefined;
    if (before.runId !== server.runId) return 'restart';
    if (flushes > before.flushes) return 'flush';
    return role === 'replica' && replId !== before.replId ? 'copy' : undefined;
  }

  #keep(look: Look, windowMs: number): void {
    this.#waitOut(look.atMs, windowMs);
    const last = this.#looks.at(-1);
    const isClose = last !== undefined && look.atMs - (this.#looks.at(-2)?.atMs ?? -Infinity) < windowMs / keptLooks;
    if (isClose) {
      this.#looks[this.#looks.length - 1] = {
        atMs: look.atMs,
        keys: Math.max(last.keys, look.keys),
        bytes: Math.max(last.bytes, look.bytes),
      };
    } else this.#looks.push(look);
    while ((this.#looks[0]?.atMs ?? Infinity) < look.atMs - windowMs) this.#looks.shift();
  }

  /** A server that was away for longer than the window may have come back empty: that time does not count. */
  #waitOut(nowMs: number, windowMs: number): void {
    const awayMs = nowMs - (this.#looks.at(-1)?.atMs ?? nowMs) - windowMs / 2;
    if (awayMs > 0) this.#looks = this.#looks.map((look) => ({ ...look, atMs: look.atMs + awayMs }));
  }
}

const texts: Readonly<Record<ShrinkCause, string>> = {
  flush: 'FLUSHALL or FLUSHDB was run',
  restart: 'the server was started anew',
  copy: 'it was copied anew from its primary',
  other: 'keys were deleted, have expired or were evicted',
};

/**
 * Without the server's own buffers: they come and go with clients. It is a difference of two measurements, in unsigned
 * numbers: below zero it is near 2^64 (seen on Redis 8.0.6).
 */
function bytesOf(fields: RedisFields): number {
  const bytes = numberOf(fields, 'used_memory_dataset') ?? 0;
  return bytes > (numberOf(fields, 'used_memory') ?? 0) ? 0 : bytes;
}

/** `cmdstat_flushall:calls=1,usec=…` */
function callsOf(fields: RedisFields, command: string): number {
  return Number(/^calls=(\d+)/.exec(fields.get(`cmdstat_${command}`) ?? '')?.[1] ?? 0);
}
