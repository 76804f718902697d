// Whether backups go on from one to the next without a gap, and up to which moment one can come back.
import { gauge } from '../../families.ts';

/** orphaned: what it builds upon is not there any more; broken: something in the middle is missing. */
export const chainStates = ['valid', 'broken', 'orphaned', 'not_configured', 'unknown'] as const;
export type ChainState = (typeof chainStates)[number];

export const chainReasons = [
  'none',
  'full_deleted', // incremental ones without the full one that they begin with
  'parent_missing', // one in the middle is missing, or the full one
  'gap', // numbers are missing in the archive of binary logs
  'starts_later', // the archive begins after the newest full backup
  'no_backup',
  'no_position', // the newest full backup does not tell its place in the binary logs
  'no_lsn', // an incremental backup does not tell what it builds upon
  'other_series', // the archive holds logs of another name than the backup's
  'unknown',
] as const;
export type ChainReason = (typeof chainReasons)[number];

/** lost: the binary logs between the newest full backup and now are gone. */
export const pitrStates = ['ok', 'lost', 'not_configured', 'unknown'] as const;
export type PitrState = (typeof pitrStates)[number];

export const pitrReasons = [
  'none',
  'purged', // the source has purged what comes after the backup, and no archive has it
  'source_behind', // the source has not come as far as the backup: it was reset, or is another server
  'archive_broken',
  'no_backup',
  'no_position',
  'no_binlog', // the source writes no binary logs
  'unknown',
] as const;
export type PitrReason = (typeof pitrReasons)[number];

/** What the newest point to which one can come back is made of. */
export const pointStates = ['full', 'incremental', 'archive', 'none', 'unknown'] as const;
export type PointState = (typeof pointStates)[number];

const chain = { state: 'backup_chain_state' };
const pitr = { state: 'backup_pitr_state' };

export const chainFamilies = {
  chainState: gauge(
    'backup_chain_state',
    'Whether the newest incremental backup, or the archive of binary logs, goes back to a full backup without a gap: one series per state, 1 for the present one.',
    ['type', 'state'],
  ),
  chainReason: gauge(
    'backup_chain_reason',
    'Why a chain is not valid: one series per reason, 1 for the present one, none when it is.',
    ['type', 'reason'],
  ),
  chainLength: gauge(
    'backup_chain_length',
    'Incremental backups between the newest one and its full one, the newest counted; 0 when a full one is newer.',
    [],
    chain,
  ),
  orphans: gauge(
    'backup_chain_orphans',
    'Incremental backups in the folder that go back to no full backup: they cannot be restored.',
    [],
    chain,
  ),
  archiveMissing: gauge(
    'backup_archive_missing_files',
    'Numbers that are missing between the oldest and the newest binary log of the archive.',
    [],
    chain,
  ),
  archiveOldest: gauge(
    'backup_archive_oldest_file_number',
    'Number of the oldest binary log in the archive.',
    [],
    chain,
  ),
  archiveNewest: gauge(
    'backup_archive_newest_file_number',
    'Number of the newest binary log in the archive.',
    [],
    chain,
  ),
  pitrState: gauge(
    'backup_pitr_state',
    'Whether the binary logs from the newest full backup up to now are there, on the source or in the archive: one series per state, 1 for the present one.',
    ['state'],
  ),
  pitrReason: gauge(
    'backup_pitr_reason',
    'Why one cannot come back to every moment since the newest full backup: one series per reason, 1 for the present one, none when one can.',
    ['reason'],
  ),
  pitrGapFiles: gauge(
    'backup_pitr_gap_files',
    'Binary logs that are missing between the newest full backup and the oldest one that is there; 0 when none is.',
    [],
    pitr,
  ),
  pitrGapSeconds: gauge(
    'backup_pitr_gap_seconds',
    'Time between the newest full backup and the oldest binary log that is there, which nothing covers; 0 when nothing is missing, absent when the time of that log is not known.',
    [],
    pitr,
  ),
  headroomFiles: gauge(
    'backup_pitr_headroom_files',
    'Binary logs that the source may still purge before those that the newest full backup needs.',
    [],
    pitr,
  ),
  pointState: gauge(
    'backup_recovery_point_state',
    'What the newest moment to which one can come back without the source is made of: one series per state, 1 for the present one. none: there is no backup.',
    ['state'],
  ),
  pointAge: gauge(
    'backup_recovery_point_age_seconds',
    'How much would be lost if the source were lost now: the age of the newest change that is backed up or archived.',
    [],
    { state: 'backup_recovery_point_state' },
  ),
} as const;
