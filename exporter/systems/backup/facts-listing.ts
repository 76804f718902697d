// What the names, sizes and times of a folder of backups tell. Whether a backup is complete is another matter
// (facts-backup.ts); here a file counts as soon as it is no longer being written.
import { factKey } from '../../facts.ts';
import { largestOf, smallestOf } from '../../runtime/extremes.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { mainTypeOf, type BackupAddress, type BackupType } from './address.ts';
import type { BackupFile, BackupSurvey } from './client.ts';
import { isInFuture } from './client-survey.ts';
import type { LinkState, ScheduleState, SizeState, WritingState } from './families-listing.ts';

export interface Limits {
  /** The newest is small at this share of the median or under it. */
  readonly below: number;
  readonly above: number;
  /** Of this many before it the median is taken. */
  readonly last: number;
  readonly floorBytes: number;
  readonly stalledAfterMs: number;
}

export interface TypeListing {
  readonly type: BackupType;
  /** All of them, newest first. */
  readonly files: readonly BackupFile[];
  /** No longer being written, newest first. */
  readonly finished: readonly BackupFile[];
  readonly size: { readonly state: SizeState; readonly why: string; readonly ratio: Known<number> };
  readonly schedule: {
    readonly state: ScheduleState;
    readonly intervalMs: Known<number>;
    readonly nextAtMs: Known<number>;
  };
  readonly writing: {
    readonly state: WritingState;
    readonly growing: number;
    readonly growingSinceMs: number | undefined;
    readonly temporary: number;
    readonly temporaryAgeMs: number | undefined;
    readonly temporaryIdleMs: number | undefined;
  };
  /** Files of a time in the future. */
  readonly future: number;
}

export interface Listing {
  readonly types: readonly TypeListing[];
  readonly link: LinkState;
}

export const listingFact = factKey<Listing>('backup.listing');

/** Fewer than this many before it are no band. */
const bandAtLeast = 3;
const intervalsOfLast = 8;

interface Now {
  readonly address: BackupAddress;
  readonly growing: ReadonlyMap<string, number>;
  readonly limits: Limits;
  readonly nowMs: number;
}

export function listingOf(survey: BackupSurvey, now: Now): Listing {
  const main = mainTypeOf(now.address);
  const types = new Set<BackupType>([main, ...survey.files.map((f) => f.type)]);
  if (now.address.incremental !== undefined) types.add('incremental');
  const listings = [...types].map((type) => typeListing(survey, type, now));
  return { types: listings, link: linkOf(survey, listings.find((l) => l.type === main)?.finished[0]) };
}

function typeListing(survey: BackupSurvey, type: BackupType, now: Now): TypeListing {
  const files = survey.files.filter((f) => f.type === type);
  const finished = files.filter((f) => !now.growing.has(f.inode));
  return {
    type,
    files,
    finished,
    size: sizeOf(finished, type, now),
    schedule: scheduleOf(finished, now.nowMs),
    writing: writingOf(survey, type, now),
    future: files.filter((f) => isInFuture(f, now.nowMs)).length,
  };
}

function sizeOf(finished: readonly BackupFile[], type: BackupType, { limits, nowMs }: Now): TypeListing['size'] {
  const not = (why: string): TypeListing['size'] => ({ state: 'unknown', why, ratio: unknown(why) });
  const [newest, ...before] = finished;
  if (newest === undefined) return not('there is no finished backup');
  const band = before.filter((f) => f.sizeBytes > 0).slice(0, limits.last);
  const middle = band.length < bandAtLeast ? undefined : median(band.map((f) => f.sizeBytes));
  const few = `${band.length} before it, of which no band can be made`;
  const ratio = middle === undefined ? unknown(few) : known(newest.sizeBytes / middle, nowMs);
  if (type === 'full' && newest.sizeBytes < Math.max(1, limits.floorBytes)) {
    return { state: 'small', why: `${newest.name} has ${newest.sizeBytes} bytes`, ratio };
  }
  if (!ratio.known) return not(ratio.why);
  // What has changed since the last one is now little, now much.
  if (type !== 'full') return { state: 'unknown', why: `backups of type ${type} have no usual size`, ratio };
  const why = `${newest.name} has ${Math.round(ratio.value * 100)} % of the median of the ${band.length} before it`;
  if (ratio.value <= limits.below) return { state: 'small', why, ratio };
  return { state: ratio.value >= limits.above ? 'large' : 'ok', why, ratio };
}

function scheduleOf(finished: readonly BackupFile[], nowMs: number): TypeListing['schedule'] {
  const last = finished.slice(0, intervalsOfLast + 1);
  const gaps = last.slice(1).map((older, i) => (last[i]?.modifiedAtMs ?? 0) - older.modifiedAtMs);
  if (gaps.length < bandAtLeast) {
    const why = `${finished.length} backups, of which no interval can be made`;
    return { state: 'unknown', intervalMs: unknown(why), nextAtMs: unknown(why) };
  }
  const gapMs = median(gaps);
  // Copied all at once, or restored: their times tell nothing.
  if (gapMs < 1000) {
    const why = 'the backups have the same time';
    return { state: 'unknown', intervalMs: unknown(why), nextAtMs: unknown(why) };
  }
  const nextAtMs = (last[0]?.modifiedAtMs ?? 0) + gapMs;
  const late = nowMs > nextAtMs + gapMs / 2;
  return { state: late ? 'late' : 'on_time', intervalMs: known(gapMs, nowMs), nextAtMs: known(nextAtMs, nowMs) };
}

function writingOf(survey: BackupSurvey, type: BackupType, { growing, limits, nowMs }: Now): TypeListing['writing'] {
  const since = survey.files.filter((f) => f.type === type).flatMap((f) => growing.get(f.inode) ?? []);
  const temporary = survey.temporary.filter((f) => f.type === type);
  const idle = temporary.map((f) => Math.max(0, nowMs - f.modifiedAtMs));
  const ages = temporary.map((f) => Math.max(0, nowMs - Math.min(f.createdAtMs ?? Infinity, f.modifiedAtMs)));
  const busy = since.length > 0 || idle.some((ms) => ms <= limits.stalledAfterMs);
  const stalled = idle.some((ms) => ms > limits.stalledAfterMs);
  return {
    state: stalled ? 'stalled' : busy ? 'writing' : 'idle',
    growing: since.length,
    growingSinceMs: since.length === 0 ? undefined : smallestOf(since),
    temporary: temporary.length,
    temporaryAgeMs: ages.length === 0 ? undefined : largestOf(ages),
    temporaryIdleMs: idle.length === 0 ? undefined : largestOf(idle),
  };
}

const latestName = /(^|[-_.])(latest|newest|current|last)([-_.]|$)/i;

/** The worst of the links, if there are several. */
function linkOf({ links }: BackupSurvey, newest: BackupFile | undefined): LinkState {
  const latest = links.filter((l) => latestName.test(l.name));
  if (latest.length === 0) return 'none';
  if (latest.some((l) => l.inode === undefined)) return 'dangling';
  return newest !== undefined && latest.every((l) => l.inode === newest.inode) ? 'ok' : 'stale';
}

/** Of at least one number. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
