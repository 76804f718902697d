// Does somebody else write under this client_id? Pure.
//
// Two Maxwells under one client_id do not live together for long: each expects to find its own last heartbeat in
// `heartbeats`, and the elder ends at its next one, within 10 s, with `Is another Maxwell process running with the same
// client_id?` and code 1 (seen on 1.44.1). The tables look the same meanwhile. What they can show is a writer while the
// process that is watched is gone, and a position that goes back, which a Maxwell by itself never does. A Maxwell that
// fails again and again writes a heartbeat at each start and may be gone whenever it is looked at: so the first counts
// only where the record of its supervisor shows that it was not started meanwhile.
import { comparePositions } from '../mysql/facts-binlogs.ts';
import type { MaxwellEvidence } from './facts-health.ts';

export const duplicateStates = ['seen', 'not_seen', 'unknown'] as const;
export type DuplicateState = (typeof duplicateStates)[number];

/** Kept between looks. */
export interface WritersMark {
  readonly serverId: number;
  readonly file: string;
  readonly position: number;
  readonly heartbeatMs: number | undefined;
  readonly isGone: boolean;
  /** Starts that its supervisor had counted before this look; undefined where nobody counts them. */
  readonly starts: number | undefined;
  /** When a foreign heartbeat was last seen, on the monotonic clock. */
  readonly foreignAtMs: number | undefined;
}

export interface WritersLook {
  readonly duplicate: DuplicateState;
  readonly wentBack: boolean;
  readonly mark: WritersMark | undefined;
}

/** Starts that its supervisor had counted before the tables were read, and after it. */
export interface StartsSeen {
  readonly before: number | undefined;
  readonly after: number | undefined;
}

/** Longer than heartbeats are apart and any usual scrape interval. */
const rememberedMs = 120_000;

export function watchWriters(
  { position, process }: Pick<MaxwellEvidence, 'position' | 'process'>,
  starts: StartsSeen,
  before: WritersMark | undefined,
  nowMonoMs: number,
): WritersLook {
  if (!position.known || !position.value.found) return { duplicate: 'unknown', wentBack: false, mark: before };
  const at = position.value;
  const isGone = process.known && process.value === 'gone';
  const heartbeatMs = at.heartbeatMs.known ? at.heartbeatMs.value : undefined;
  // At two looks in a row, so that what the process wrote in its last moments is not taken for another's
  const isWritten =
    isGone && before?.isGone === true && heartbeatMs !== undefined && heartbeatMs > (before.heartbeatMs ?? Infinity);
  const isCounted = before?.starts !== undefined && starts.after !== undefined;
  const isForeign = isWritten && isCounted && before.starts === starts.after;
  const foreignAtMs = isForeign ? nowMonoMs : before?.foreignAtMs;
  // A file of another name belongs to another series of files: the source was reset or replaced
  const wentBack =
    before?.serverId === at.serverId &&
    at.serverId !== 0 &&
    comparePositions({ file: at.binlogFile, position: at.binlogPosition }, before) === -1;
  const isRecent = foreignAtMs !== undefined && nowMonoMs - foreignAtMs <= rememberedMs;
  return {
    duplicate: isRecent ? 'seen' : isWritten && !isCounted ? 'unknown' : 'not_seen',
    wentBack,
    mark: {
      serverId: at.serverId,
      file: at.binlogFile,
      position: at.binlogPosition,
      heartbeatMs,
      isGone,
      starts: starts.before,
      foreignAtMs,
    },
  };
}
