// To which moments can one come back? From the newest full backup on, as far as the binary logs are there without a gap:
// on the source as long as it lives, in the archive when it is lost.
import { mapKnown, unknown, type Known } from '../../runtime/known.ts';
import type { BinlogAges } from '../mysql/facts-binlog-history.ts';
import {
  binlogNumber,
  comparePositions,
  endPosition,
  fileOf,
  type BinlogPosition,
  type Binlogs,
} from '../mysql/facts-binlogs.ts';
import type { BackupEvidence } from './facts-backup.ts';
import { archiveChainOf, missingFrom, type Archive } from './facts-chain.ts';
import type { BackupCoordinates } from './facts-coordinates.ts';
import type { PitrReason, PitrState, PointState } from './families-chain.ts';

export interface Pitr {
  readonly state: PitrState;
  readonly reason: PitrReason;
  /** For people. */
  readonly why: string;
  readonly gapFiles: number | undefined;
  readonly gapSeconds: number | undefined;
  readonly headroomFiles: number | undefined;
}

export interface PitrInput {
  /** Of the newest complete full backup. */
  readonly full: Known<BackupCoordinates>;
  /** Undefined when the inventory names no source. */
  readonly source: Known<Binlogs> | undefined;
  /** Undefined when the inventory names no archive; known and undefined when it is empty. */
  readonly archive: Known<Archive | undefined> | undefined;
}

const nothing = { gapFiles: undefined, gapSeconds: undefined, headroomFiles: undefined };

export function pitrOf({ full, source, archive }: PitrInput): Pitr {
  if (source === undefined && archive === undefined) {
    return {
      ...nothing,
      state: 'not_configured',
      reason: 'none',
      why: 'neither a source nor an archive is configured',
    };
  }
  const not = (reason: PitrReason, why: string): Pitr => ({ ...nothing, state: 'unknown', reason, why });
  if (!full.known) return not('no_backup', full.why);
  const { position, name } = full.value;
  const number = position === undefined ? undefined : binlogNumber(position.file);
  if (position === undefined || number === undefined) {
    return not('no_position', `${name} does not tell its place in the binary logs`);
  }
  const logs = archive?.known === true ? archive.value : undefined;
  if (source === undefined) return fromArchive(full.value, archive, logs);
  if (!source.known) return not('unknown', source.why);
  const { files, current } = source.value;
  const [oldest] = files;
  if (current === undefined || oldest === undefined) return not('no_binlog', 'the source writes no binary logs');
  const order = comparePositions(position, current);
  if (order === undefined) {
    return not('no_position', `${name} stands in ${position.file}, and the source writes ${current.file}`);
  }
  if (order > 0) {
    const why = `${name} stands at ${position.file}:${position.position}, and the source has only come to ${current.file}:${current.position}`;
    return { ...nothing, state: 'lost', reason: 'source_behind', why };
  }
  const file = fileOf(source.value, position);
  if (file !== undefined && position.position <= endPosition(file)) {
    const why = `the source has every log since ${position.file}`;
    return { state: 'ok', reason: 'none', why, gapFiles: 0, gapSeconds: 0, headroomFiles: number - oldest.number };
  }
  return purged(full.value, { number, oldest: oldest.number, archive, logs });
}

function purged(
  { name, position }: BackupCoordinates,
  {
    number,
    oldest,
    archive,
    logs,
  }: {
    readonly number: number;
    readonly oldest: number;
    readonly archive: PitrInput['archive'];
    readonly logs: Archive | undefined;
  },
): Pitr {
  const begin = `${name} needs the logs from ${position?.file ?? ''} on, and the oldest on the source is number ${oldest}`;
  if (archive?.known === false)
    return { ...nothing, state: 'unknown', reason: 'unknown', why: `${begin}; ${archive.why}` };
  const missing = logs === undefined ? oldest - number : missingBetween(logs, number, oldest);
  if (missing === 0) {
    return { state: 'ok', reason: 'none', why: `${begin}; the archive has the others`, gapFiles: 0, gapSeconds: 0, headroomFiles: 0 }; // prettier-ignore
  }
  const reason = logs === undefined ? 'purged' : 'archive_broken';
  return { ...nothing, state: 'lost', reason, why: begin, gapFiles: missing, headroomFiles: 0 };
}

/** Numbers from `from` up to `to`, that one left out, which the archive lacks. */
function missingBetween(archive: Archive, from: number, to: number): number {
  return to - from - archive.numbers.filter((n) => n >= from && n < to).length;
}

function fromArchive(full: BackupCoordinates, archive: PitrInput['archive'], logs: Archive | undefined): Pitr {
  if (archive?.known === false) return { ...nothing, state: 'unknown', reason: 'unknown', why: archive.why };
  const chain = archiveChainOf(logs, full);
  const number = full.position === undefined ? undefined : binlogNumber(full.position.file);
  if (chain.state === 'valid') {
    return { ...nothing, state: 'ok', reason: 'none', why: chain.why, gapFiles: 0, gapSeconds: 0 };
  }
  if (chain.state !== 'broken' || logs === undefined || number === undefined) {
    return { ...nothing, state: 'unknown', reason: 'unknown', why: chain.why };
  }
  return { ...nothing, state: 'lost', reason: 'archive_broken', why: chain.why, gapFiles: missingFrom(logs, number) };
}

export interface RecoveryPoint {
  readonly state: PointState;
  /** For people. */
  readonly why: string;
  /** The age of the first change that would be lost, or of the point where that is not known. */
  readonly ageSeconds: number | undefined;
}

export interface PointInput extends PitrInput {
  /** When what the newest complete full backup holds was so; undefined when there is none. */
  readonly fullAtMs: Known<number | undefined>;
  /** The same of the newest incremental one of a valid chain; undefined when a full one is newer. */
  readonly incrementalAtMs: number | undefined;
  /** Of the source. */
  readonly ages: Known<Pick<BinlogAges, 'ageOf'>>;
  readonly nowMs: number;
}

interface Point {
  readonly state: PointState;
  readonly why: string;
  readonly atMs: number;
  /** In the source's binary log, where it is known. */
  readonly place: BinlogPosition | undefined;
}

/** A dump holds what was so when it was begun. */
export function heldAt({ lastSuccess }: Pick<BackupEvidence, 'lastSuccess'>): number | undefined {
  if (lastSuccess === undefined) return undefined;
  const { completedAtMs, durationSeconds } = lastSuccess;
  return completedAtMs - (durationSeconds.known ? durationSeconds.value * 1000 : 0);
}

/** Of the newest full backup that is known to be complete. While there is none, one that was not read yet may be one. */
export function fullPointOf(evidence: Known<Pick<BackupEvidence, 'lastSuccess' | 'finished'>>): PointInput['fullAtMs'] {
  if (!evidence.known) return evidence;
  const { lastSuccess, finished } = evidence.value;
  for (const { file, verdict } of lastSuccess === undefined ? finished : []) {
    if (!verdict.known) return unknown(`${file.name}: ${verdict.why}`);
  }
  return mapKnown(evidence, heldAt);
}

/** Clocks of two machines may differ by this much. */
const clockSlackMs = 60_000;

/** The newest moment to which one can come back when the source is lost. */
export function recoveryPointOf({ fullAtMs, incrementalAtMs, ages, nowMs, ...input }: PointInput): RecoveryPoint {
  if (!fullAtMs.known) return { state: 'unknown', why: fullAtMs.why, ageSeconds: undefined };
  if (fullAtMs.value === undefined) return { state: 'none', why: 'there is no complete backup', ageSeconds: undefined };
  const place = input.full.known ? input.full.value.position : undefined;
  const points: readonly (Point | undefined)[] = [
    { state: 'full', why: 'the newest full backup', atMs: fullAtMs.value, place },
    incrementalAtMs === undefined
      ? undefined
      : { state: 'incremental', why: 'the newest incremental backup', atMs: incrementalAtMs, place: undefined },
    archived(input),
  ];
  // A time in the future would say that nothing can be lost.
  const past = points.filter((point) => point !== undefined).filter((point) => point.atMs <= nowMs + clockSlackMs);
  if (past.length === 0)
    return { state: 'unknown', why: 'the backup is of a time in the future', ageSeconds: undefined };
  return past
    .map(({ state, why, atMs, place: its }) => ({ state, why, ageSeconds: ageOf(atMs, its, ages, nowMs) }))
    .reduce((best, point) => (point.ageSeconds <= best.ageSeconds ? point : best));
}

/** A source on which nothing happens loses nothing, however old the backup is: only its log can tell. */
function ageOf(atMs: number, place: BinlogPosition | undefined, ages: PointInput['ages'], nowMs: number): number {
  const age = Math.max(0, nowMs - atMs) / 1000;
  const inLog = place !== undefined && ages.known ? ages.value.ageOf(place) : undefined;
  return inLog?.known === true && inLog.value.most !== undefined ? Math.min(age, inLog.value.estimate) : age;
}

/** The newest archived change, when the archive goes on from the full backup without a gap. */
function archived({ full, archive }: PitrInput): Point | undefined {
  if (archive?.known !== true || archive.value === undefined || !full.known) return undefined;
  if (archiveChainOf(archive.value, full.value).state !== 'valid') return undefined;
  const { newestFile, newest } = archive.value;
  if (newest < (binlogNumber(full.value.position?.file ?? '') ?? Infinity)) return undefined; // nothing since the backup
  const why = 'the archive of binary logs';
  return { state: 'archive', why, atMs: newestFile.modifiedAtMs, place: endOf(archive.value) };
}

/** Of a compressed file only that everything in it comes before the next one. */
function endOf({ base, newest, newestFile }: Archive): BinlogPosition {
  const isPlain = binlogNumber(newestFile.name) !== undefined;
  if (isPlain) return { file: newestFile.name, position: newestFile.sizeBytes };
  return { file: `${base}.${String(newest + 1).padStart(6, '0')}`, position: 0 };
}
