// Is Maxwell healthy? One judgement, used by the exporter's series, the pipeline's lag and the remediator's guards. Pure.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { bytesBetween, comparePositions, fileOf, type BinlogPosition, type Binlogs } from '../mysql/facts-binlogs.ts';
import type { MaxwellPosition, NoMaxwellPosition } from './facts-position.ts';

export const maxwellStates = ['running', 'stalled', 'down', 'position_lost', 'unknown'] as const;
export type MaxwellState = (typeof maxwellStates)[number];

/** Why it is in its state: closed, so that it may stand in a label. */
export type MaxwellReason =
  | 'heartbeats_return'
  | 'catching_up'
  | 'process_gone'
  | 'file_purged'
  | 'beyond_end' // of the source's binary log: it was reset or restored
  | 'gtids_purged'
  | 'unreadable' // its tables, or they hold no position of it
  | 'silent' // no fresh heartbeat
  | 'still' // heartbeats, and a position that does not move
  | 'nothing_read' // no heartbeat has come back yet
  | 'settling'; // watched for too short a time

/** Heartbeats are written at least every 10 s: https://github.com/zendesk/maxwell, PositionStoreThread */
export const heartbeatFreshMs = 20_000;
/** Maxwell's clock may be this much ahead of the database's before ages mean nothing. */
const clockSlackMs = 5_000;

export interface MaxwellEvidence {
  readonly process: Known<'alive' | 'gone'>;
  /** Read before `binlogs`, so that a sound position never lies behind the source's current one. */
  readonly position: Known<MaxwellPosition | NoMaxwellPosition>;
  /** Of the source. */
  readonly binlogs: Known<Binlogs>;
  /** GTID mode on MySQL: whether the source has purged transactions that are not in its set. */
  readonly gtidsPurged: Known<boolean>;
  /** How its position was seen to move; unknown to who looks for the first time. */
  readonly movement: Known<Movement>;
}

/** See watchPosition(). */
export interface Movement {
  /** How long the position has been watched. */
  readonly watchedSeconds: number;
  /** How long ago it was last seen to move; as long as it was watched when it never was. */
  readonly stillSeconds: number;
}

export interface PurgeHeadroom {
  readonly lost: boolean;
  readonly why: string;
  /** Undefined when it is not lost. */
  readonly reason: 'file_purged' | 'beyond_end' | 'gtids_purged' | undefined;
  /** Binary log that may be purged before the position is lost; undefined in GTID mode and when it is lost. */
  readonly bytes: number | undefined;
  readonly files: number | undefined;
}

export interface MaxwellHealth {
  readonly state: MaxwellState;
  readonly reason: MaxwellReason;
  /** For people. */
  readonly why: string;
  /** 0 in GTID mode; unknown without a position. */
  readonly serverId: Known<number>;
  /** How old the newest change is that went through all of Maxwell. */
  readonly lagSeconds: Known<number>;
  readonly heartbeatAgeSeconds: Known<number>;
  /** Never 0 for long: Maxwell writes to the log itself. */
  readonly behindBytes: Known<number>;
  readonly purge: Known<PurgeHeadroom>;
}

export const maxwellHealthFact = factKey<MaxwellHealth>('maxwell.health');

/**
 * The order is that of the answers' worth: a lost position needs people whether the process lives or not; then the
 * process; then what its tables tell. One look cannot tell a Maxwell that stands still from one that catches up, so
 * that is `unknown` until its position was watched for a while.
 */
export function judgeMaxwell(evidence: MaxwellEvidence): MaxwellHealth {
  const { process, position } = evidence;
  const at = position.known ? (position.value.found ? position.value : undefined) : undefined;
  const noPosition = position.known ? (position.value.found ? '' : position.value.why) : position.why;
  const purge = at === undefined ? unknown(noPosition) : purgeOf(at, evidence.binlogs, evidence.gtidsPurged);
  const numbers = {
    serverId: at === undefined ? unknown(noPosition) : known(at.serverId, observedAt(position)),
    lagSeconds: at === undefined ? unknown(noPosition) : lagOf(at, process),
    heartbeatAgeSeconds: at === undefined ? unknown(noPosition) : heartbeatAgeOf(at),
    behindBytes: at === undefined ? unknown(noPosition) : behindOf(at, evidence.binlogs),
    purge,
  };
  const is = (state: MaxwellState, reason: MaxwellReason, why: string): MaxwellHealth => ({
    state,
    reason,
    why,
    ...numbers,
  });

  if (purge.known && purge.value.lost) {
    return is('position_lost', purge.value.reason ?? 'file_purged', purge.value.why);
  }
  if (process.known && process.value === 'gone') return is('down', 'process_gone', 'its process is gone');
  if (at === undefined) return is('unknown', 'unreadable', noPosition);
  return { ...numbers, ...judgeTables(at, process, evidence.movement, numbers) };
}

function judgeTables(
  at: MaxwellPosition,
  process: MaxwellEvidence['process'],
  movement: Known<Movement>,
  { lagSeconds, heartbeatAgeSeconds: age }: Pick<MaxwellHealth, 'lagSeconds' | 'heartbeatAgeSeconds'>,
): Pick<MaxwellHealth, 'state' | 'reason' | 'why'> {
  const alive = process.known;
  const isBeating = age.known && age.value * 1000 <= heartbeatFreshMs;
  const read = at.lastHeartbeatReadMs;
  // Ahead of the database's clock: no age can be told from it, only that the position moves.
  const readAgeMs = read.known ? at.databaseNowMs - read.value : Infinity;
  const isReading = readAgeMs >= -clockSlackMs && readAgeMs <= heartbeatFreshMs;
  const moved = movement.known && movement.value.stillSeconds < movement.value.watchedSeconds;
  const stillSeconds = movement.known ? movement.value.stillSeconds : 0;
  const behind = lagSeconds.known ? `${Math.round(lagSeconds.value)} s behind` : 'of unknown age';

  const is = (
    state: MaxwellState,
    reason: MaxwellReason,
    why: string,
  ): Pick<MaxwellHealth, 'state' | 'reason' | 'why'> => ({ state, reason, why });

  if (isReading) return is('running', 'heartbeats_return', 'its heartbeats come back through the binary log');
  if (!isBeating) {
    const silent = age.known ? `its heartbeat is ${Math.round(age.value)} s old` : age.why;
    if (!alive) return is('unknown', 'silent', `${silent}; whether its process lives is unknown: ${process.why}`);
    if (!age.known) return is('unknown', 'silent', silent);
    return is('stalled', 'silent', `its process lives, but ${silent} and so is its position`);
  }
  if (!read.known && !moved) {
    // Its schema may lie on another server than its source, and an idle source leaves its position where it is.
    return is('unknown', 'nothing_read', `${read.why}, and its position was not seen to move`);
  }
  if (moved && stillSeconds * 1000 < heartbeatFreshMs) {
    return is('running', 'catching_up', `it is catching up, its position is ${behind}`);
  }
  if (stillSeconds * 1000 >= heartbeatFreshMs) {
    return is('stalled', 'still', `it writes heartbeats, but its position has stood still and is ${behind}`);
  }
  return is(
    'unknown',
    'settling',
    `its position is ${behind}: whether it stands still shows after ${heartbeatFreshMs / 1000} s of watching`,
  );
}

/**
 * Both ends by one clock, Maxwell's, while it writes heartbeats: about 0 when it keeps up, growing when its producer is
 * stuck. Once it writes none, or its process is gone, the age of what it has read last, by the database's clock: a
 * heartbeat that a dead process left behind would say 0 for 20 s more.
 */
function lagOf(at: MaxwellPosition, process: MaxwellEvidence['process']): Known<number> {
  const { lastHeartbeatReadMs: read, heartbeatMs: written, databaseNowMs } = at;
  if (!read.known) return read;
  const isGone = process.known && process.value === 'gone';
  const aheadMs = read.value - databaseNowMs;
  if (aheadMs > clockSlackMs && (isGone || !written.known)) {
    return unknown(`Maxwell's clock is ${Math.round(aheadMs / 1000)} s ahead of the database's`);
  }
  const isFresh = !isGone && written.known && databaseNowMs - written.value <= heartbeatFreshMs;
  const endMs = isFresh ? written.value : databaseNowMs;
  return known(Math.max(0, endMs - read.value) / 1000, read.observedAtMs);
}

/** May be negative by what Maxwell's clock is ahead of the database's. */
function heartbeatAgeOf(at: MaxwellPosition): Known<number> {
  const { heartbeatMs: written, databaseNowMs } = at;
  return written.known ? known((databaseNowMs - written.value) / 1000, written.observedAtMs) : written;
}

function placeOf(at: MaxwellPosition): BinlogPosition {
  return { file: at.binlogFile, position: at.binlogPosition };
}

function behindOf(at: MaxwellPosition, binlogs: Known<Binlogs>): Known<number> {
  if (!binlogs.known) return binlogs;
  const { current } = binlogs.value;
  if (current === undefined) return unknown('the source writes no binary log');
  const bytes = bytesBetween(binlogs.value, placeOf(at), current);
  return bytes === undefined
    ? unknown(`the source has no unbroken binary log from ${at.binlogFile}:${at.binlogPosition} on`)
    : known(bytes, binlogs.observedAtMs);
}

function purgeOf(at: MaxwellPosition, binlogs: Known<Binlogs>, gtidsPurged: Known<boolean>): Known<PurgeHeadroom> {
  // GTID mode starts from the set, whatever file the row names
  if (at.serverId === 0) {
    return gtidsPurged.known
      ? known(gtidHeadroom(gtidsPurged.value), gtidsPurged.observedAtMs)
      : unknown(gtidsPurged.why);
  }
  if (!binlogs.known) return binlogs;
  const { files, current } = binlogs.value;
  if (current === undefined) return unknown('the source writes no binary log');
  const lost = (reason: 'file_purged' | 'beyond_end', why: string): Known<PurgeHeadroom> =>
    known({ lost: true, reason, why, bytes: undefined, files: undefined }, binlogs.observedAtMs);
  const place = placeOf(at);
  const where = `${at.binlogFile}:${at.binlogPosition}`;
  const file = fileOf(binlogs.value, place);
  const [oldest] = files;
  if (file === undefined || oldest === undefined) {
    return lost('file_purged', `${at.binlogFile} is no longer on the source, its oldest is ${oldest?.name ?? 'none'}`);
  }
  const isBeyond = comparePositions(place, current) === 1;
  if (isBeyond || (file.name !== current.file && at.binlogPosition > file.sizeBytes)) {
    return lost('beyond_end', `${where} lies beyond the end of the source's binary log: it was reset or restored`);
  }
  const bytes = bytesBetween(binlogs.value, { file: oldest.name, position: 0 }, place);
  if (bytes === undefined) return unknown(`the source's list of binary logs has a gap before ${at.binlogFile}`);
  const headroom = {
    lost: false,
    reason: undefined,
    why: `${where} is on the source`,
    bytes,
    files: file.number - oldest.number,
  };
  return known(headroom, binlogs.observedAtMs);
}

function gtidHeadroom(lost: boolean): PurgeHeadroom {
  const why = lost
    ? 'the source has purged transactions that Maxwell has not read'
    : 'the source has all transactions that Maxwell has not read';
  return { lost, reason: lost ? 'gtids_purged' : undefined, why, bytes: undefined, files: undefined };
}

function observedAt(fact: Known<unknown>): number {
  return fact.known ? fact.observedAtMs : 0;
}

/** Longer than any usual scrape interval. */
const watchGapMs = 120_000;

/** Kept between looks by whoever looks more than once. */
export interface PositionMark {
  readonly place: string;
  readonly firstSeenMs: number;
  readonly movedMs: number;
  readonly lastLookMs: number;
}

/** @param nowMonoMs monotonic */
export function watchPosition(
  position: MaxwellPosition,
  before: PositionMark | undefined,
  nowMonoMs: number,
): { readonly mark: PositionMark; readonly movement: Movement } {
  const place = [position.serverId, position.binlogFile, position.binlogPosition, position.gtidSet].join(' ');
  // Time in which nobody looked is not time in which it was seen to stand or to move.
  const watched = before !== undefined && nowMonoMs - before.lastLookMs <= watchGapMs ? before : undefined;
  const firstSeenMs = watched?.firstSeenMs ?? nowMonoMs;
  const movedMs = watched?.place === place ? watched.movedMs : nowMonoMs;
  return {
    mark: { place, firstSeenMs, movedMs, lastLookMs: nowMonoMs },
    movement: { watchedSeconds: (nowMonoMs - firstSeenMs) / 1000, stillSeconds: (nowMonoMs - movedMs) / 1000 },
  };
}
