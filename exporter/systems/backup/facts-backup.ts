// Is there a backup, is it complete, how old is it? A file that is there proves nothing: a dump that was cut off looks
// fresh, and `dump | gzip` ends well when the dump fails. What counts is evidence inside the file.
import { factKey } from '../../facts.ts';
import type { Known } from '../../runtime/known.ts';
import type { BackupState } from './state.ts';

export interface BackupEvidence {
  readonly state: BackupState;
  /** Says why, for people. */
  readonly why: string | undefined;
  /** Files of the pattern, without temporary names; those still being written count. */
  readonly files: number;
  /** The newest file of the pattern, still being written or not. */
  readonly newest: BackupFile | undefined;
  /** The newest file that is no longer being written. */
  readonly newestFinished: JudgedFile | undefined;
  /** The newest file with evidence of completion. */
  readonly lastSuccess: SuccessfulBackup | undefined;
}

export interface BackupFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** Of the file system; undefined where it has none. */
  readonly createdAtMs: number | undefined;
  readonly inode: string;
}

export interface JudgedFile {
  readonly file: BackupFile;
  /** Unknown until it has been read through in the background. */
  readonly verdict: Known<Verdict>;
}

export interface SuccessfulBackup {
  readonly file: BackupFile;
  readonly verdict: Verdict;
  /**
   * The time in the trailer (`-- Dump completed on …`, local time of the writer, read as local time here) unless it is
   * missing or later than the file's own time, which is taken then.
   */
  readonly completedAtMs: number;
  readonly completedAtFrom: 'trailer' | 'mtime';
  readonly durationSeconds: Known<number>;
}

/** `complete`, or what is wrong. */
export const verdictClasses = ['complete', 'empty', 'truncated', 'corrupt', 'not_a_dump', 'no_trailer'] as const;

export interface Verdict {
  readonly class: (typeof verdictClasses)[number];
  readonly why: string;
  readonly trailerAtMs: number | undefined;
}

export const backupFact = factKey<BackupEvidence>('backup.evidence');
