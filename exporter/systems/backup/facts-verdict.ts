// What reading one backup to its end has shown.
import type { Clock } from '../../runtime/clock.ts';
import type { BinlogPosition } from '../mysql/facts-binlogs.ts';

/** `complete`, or the first thing that is in the way of saying so. */
export const verdictClasses = [
  'complete',
  'empty',
  'truncated', // ends before its end
  'corrupt', // check sums or structure are wrong
  'checksum', // is not what its check sum file says
  'not_a_dump', // something else than the tool writes
  'no_trailer', // lacks what the tool writes last
  'not_finished', // the tool says of itself that it has not ended, or ended with an error
  'parts_missing', // a folder without some of its files
  'encrypted', // nothing inside can be seen from here
  'unreadable', // a compression or a variant that is not read here
] as const;
export type VerdictClass = (typeof verdictClasses)[number];

/** Classes that say nothing about the backup, neither good nor bad. */
const cannotTell: readonly VerdictClass[] = ['encrypted', 'unreadable'];

export const verifiedStates = ['verified', 'failed', 'pending', 'unverifiable', 'unknown'] as const;
export type VerifiedState = (typeof verifiedStates)[number];

/** In the order in which they are climbed. */
export const rungNames = ['file', 'checksum', 'compression', 'format', 'parts', 'end'] as const;
export type RungName = (typeof rungNames)[number];

/** One step of the ladder; one that does not apply to a backup is not there. */
export interface Rung {
  readonly rung: RungName;
  readonly ok: boolean | 'unknown';
  /** For people. */
  readonly why: string;
}

/** What a backup tells of itself; undefined where it does not. */
export interface Told {
  /** Such as `mariadb-dump` and its version. */
  readonly tool?: string | undefined;
  readonly toolVersion?: string | undefined;
  readonly serverVersion?: string | undefined;
  readonly characterSet?: string | undefined;
  /** In the writer's local time, which is read as that of this machine. */
  readonly startedAtMs?: number | undefined;
  readonly finishedAtMs?: number | undefined;
  readonly coordinates?: ToldCoordinates | undefined;
  readonly tables?: number | undefined;
  /** xtrabackup: the pages that have changed between these are in it. */
  readonly lsn?: { readonly from: number; readonly to: number } | undefined;
  readonly type?: 'full' | 'incremental' | undefined;
}

export interface ToldCoordinates {
  readonly position: BinlogPosition | undefined;
  readonly gtid: string | undefined;
  /** `its_source`: a dump of a replica by --dump-slave has the coordinates of the source that it replicates from. */
  readonly of: 'server' | 'its_source';
  /** Where they stand. */
  readonly from: string;
}

export interface Verdict {
  readonly class: VerdictClass;
  /** For people. */
  readonly why: string;
  readonly rungs: readonly Rung[];
  readonly told: Told;
  /** As stored, and what came out of the compression. */
  readonly readBytes: number;
  readonly contentBytes: number;
  readonly tookSeconds: number;
}

export function stateOf(verdict: Verdict): Exclude<VerifiedState, 'pending' | 'unknown'> {
  if (verdict.class === 'complete') return 'verified';
  return cannotTell.includes(verdict.class) ? 'unverifiable' : 'failed';
}

export function rungOf(verdict: Verdict, name: RungName): Rung | undefined {
  return verdict.rungs.find(({ rung }) => rung === name);
}

/** Thrown inside the ladder: the backup is at fault, not the way to it. */
export class Fault extends Error {
  readonly class: Exclude<VerdictClass, 'complete'>;
  readonly rung: RungName;
  constructor(found: Exclude<VerdictClass, 'complete'>, why: string, rung: RungName = 'format') {
    super(why);
    this.name = 'Fault';
    this.class = found;
    this.rung = rung;
  }
}

export interface Reading {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Of what is stored. Without it as fast as it goes, with rests as long as the work. */
  readonly bytesPerSecond?: number | undefined;
  /** Without rests: a person waits. */
  readonly isUrgent?: true;
  /** Where several read, runs the work when it is its turn on this device. */
  readonly turn?: <T>(device: string, work: () => Promise<T>) => Promise<T>;
}
