// Is a CDC process healthy? One judgement for the CDC service and Debezium, for the exporter's series, the pipeline's
// lag and the remediator's guards. Pure.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetAge } from '../../runtime/offset-history.ts';

export const cdcServiceStates = ['running', 'stalled', 'down', 'unknown'] as const;
export type CdcServiceState = (typeof cdcServiceStates)[number];

export const layers = ['process', 'port', 'function', 'data_flow'] as const;
export type Layer = (typeof layers)[number];
export const layerStates = ['ok', 'failed', 'unknown'] as const;
export type LayerState = (typeof layerStates)[number];

/** What one look at the process has shown. */
export interface CdcReading {
  /** By its HTTP servers, there being nothing else to see of it from afar. */
  readonly process: Known<'alive' | 'gone'>;
  /** Whether all its HTTP servers that are in the inventory took the connection. */
  readonly port: Known<boolean>;
  /** What it says of itself. */
  readonly works: Known<boolean>;
  readonly worksWhy: string;
  /** As it says. */
  readonly lagSeconds: Known<number>;
  readonly queueDepth: Known<number>;
  /** How many have left its queue; undefined for a process whose lag is that of all of it. */
  readonly dequeued?: Known<number>;
  /** Changes whenever it has read something; unknown where only the lag can tell. */
  readonly progress: Known<string>;
}

export interface CdcServiceHealth {
  readonly state: CdcServiceState;
  /** For people. */
  readonly why: string;
  readonly lagSeconds: Known<number>;
  readonly lagAtLeastSeconds: Known<number>;
  readonly queueDepth: Known<number>;
  /** How long the oldest event in its queue has waited there: beside the lag, which is that of its reader then. */
  readonly queued?: Known<OffsetAge>;
  readonly layers: Readonly<Record<Layer, LayerState>>;
}

export const cdcServiceHealthFact = factKey<CdcServiceHealth>('cdc_service.health');

/** The source wrote, and this long after that nothing of it has been read: a stall. */
const stallAfterSeconds = 60;
/** Longer than any usual scrape interval: time in which nobody looked shows nothing. */
const watchGapMs = 120_000;

/** Kept between looks by whoever looks more than once. Times are monotonic, but for `lastLookWallMs`. */
export interface ReaderMark {
  readonly progress: string | undefined;
  readonly lagSeconds: number | undefined;
  readonly lastLookMs: number;
  readonly lastLookWallMs: number;
  /** Where the source was at the first look after it was last seen to read: it may still have to read up to there. */
  readonly source: string | undefined;
  /** When the source was first seen elsewhere. */
  readonly aheadSinceMs: number | undefined;
}

export interface Reader {
  readonly mark: ReaderMark;
  /** Seen to read between two looks. */
  readonly isMoving: boolean;
  /** How long the source has been ahead of a reader that does not move. */
  readonly aheadSeconds: number;
}

/**
 * Does it read what the source writes? A reader that stands still is idle while the source is, and stuck once the source
 * has gone on. Without a position of the reader its lag must do: it moves when that grows slower than the clock.
 *
 * @param source where the binary log of the source ends
 */
export function watchReader(
  reading: Pick<CdcReading, 'progress' | 'lagSeconds'>,
  source: Known<string>,
  before: ReaderMark | undefined,
  now: { readonly monoMs: number; readonly wallMs: number },
): Reader {
  const look = {
    progress: reading.progress.known ? reading.progress.value : undefined,
    lagSeconds: reading.lagSeconds.known ? reading.lagSeconds.value : undefined,
    lastLookMs: now.monoMs,
    lastLookWallMs: now.wallMs,
  };
  const fresh: ReaderMark = { ...look, source: undefined, aheadSinceMs: undefined };
  if (before === undefined || now.monoMs - before.lastLookMs > watchGapMs) {
    return { mark: fresh, isMoving: false, aheadSeconds: 0 };
  }
  if (hasRead(before, look)) return { mark: fresh, isMoving: true, aheadSeconds: 0 };
  // From before the last look, it could lie behind what the reader had read by then.
  const at = source.known && source.observedAtMs >= before.lastLookWallMs ? source.value : undefined;
  const from = before.source ?? at;
  const isAhead = at !== undefined && at !== from;
  const aheadSinceMs = before.aheadSinceMs ?? (isAhead ? now.monoMs : undefined);
  const mark = { ...look, progress: look.progress ?? before.progress, source: from, aheadSinceMs };
  return { mark, isMoving: false, aheadSeconds: aheadSinceMs === undefined ? 0 : (now.monoMs - aheadSinceMs) / 1000 };
}

function hasRead(before: ReaderMark, now: Pick<ReaderMark, 'progress' | 'lagSeconds' | 'lastLookMs'>): boolean {
  if (before.progress !== undefined && now.progress !== undefined) return before.progress !== now.progress;
  if (before.lagSeconds === undefined || now.lagSeconds === undefined) return false;
  // 0 and 0 a moment later is nothing waiting; a lag is often in whole seconds
  const grown = now.lagSeconds - before.lagSeconds;
  const passed = (now.lastLookMs - before.lastLookMs) / 1000;
  return now.lagSeconds === 0 || (passed >= 2 && grown < passed * 0.9 - 1);
}

export function judgeCdc(reading: CdcReading, reader: Pick<Reader, 'isMoving' | 'aheadSeconds'>, observedAtMs: number): CdcServiceHealth {
  const { process, port, works, worksWhy, lagSeconds, queueDepth } = reading;
  const { aheadSeconds, isMoving } = reader;
  const isStuck = aheadSeconds >= stallAfterSeconds;
  const ahead = `its source has gone on ${Math.round(aheadSeconds)} s ago, and it has read nothing since`;
  const isGone = process.known && process.value === 'gone';
  const numbers = {
    // What a stuck process says of its lag is from before.
    lagSeconds: isStuck && reading.progress.known ? unknown(ahead) : lagSeconds,
    lagAtLeastSeconds: aheadSeconds > 0 ? known(aheadSeconds, observedAtMs) : unknown('nothing is known to wait'),
    queueDepth,
    layers: {
      process: process.known ? (isGone ? 'failed' : 'ok') : 'unknown',
      port: layerOf(port),
      function: layerOf(works),
      data_flow: isGone || isStuck ? 'failed' : isMoving && lagSeconds.known ? 'ok' : 'unknown',
    },
  } as const;
  const is = (state: CdcServiceState, why: string): CdcServiceHealth => ({ state, why, ...numbers });

  if (!process.known) return is('unknown', process.why);
  if (isGone) return is('down', 'it is gone: nobody listens at its addresses');
  if (works.known && !works.value) return is('stalled', worksWhy);
  if (isStuck) return is('stalled', ahead);
  if (works.known) return is('running', worksWhy);
  // Its API may lack what says so: that it tells its lag is evidence enough.
  return lagSeconds.known ? is('running', 'it tells its lag') : is('unknown', works.why);
} // prettier-ignore

function layerOf(fact: Known<boolean>): LayerState {
  return fact.known ? (fact.value ? 'ok' : 'failed') : 'unknown';
}
