// What a folder of backups tells by names, sizes and times.
import { gauge } from '../../families.ts';

/** small, large: against the band of the ones before it, or under the floor. */
export const sizeStates = ['ok', 'small', 'large', 'unknown'] as const;
export type SizeState = (typeof sizeStates)[number];

export const scheduleStates = ['on_time', 'late', 'unknown'] as const;
export type ScheduleState = (typeof scheduleStates)[number];

export const writingStates = ['idle', 'writing', 'stalled', 'unknown'] as const;
export type WritingState = (typeof writingStates)[number];

export const linkStates = ['ok', 'stale', 'dangling', 'none', 'unknown'] as const;
export type LinkState = (typeof linkStates)[number];

const size = { state: 'backup_size_state' };
const writing = { state: 'backup_writing_state' };
const schedule = { state: 'backup_schedule_state' };

export const listingFamilies = {
  maxAge: gauge('backup_max_age_seconds', 'The limit of the age of the newest complete backup, as configured.', [
    'type',
  ]),
  sizeState: gauge(
    'backup_size_state',
    'The size of the newest finished backup against the ones before it: one series per state, 1 for the present one. unknown: there are too few before it.',
    ['type', 'state'],
  ),
  sizeRatio: gauge(
    'backup_size_ratio',
    'Size of the newest finished backup divided by the median of the ones before it.',
    ['type'],
    size,
  ),
  kept: gauge('backup_kept', 'Finished backups in the folder.', ['type'], writing),
  keptBytes: gauge('backup_kept_bytes', 'Size of all finished backups in the folder.', ['type'], writing),
  oldest: gauge(
    'backup_oldest_timestamp_seconds',
    'When the oldest finished backup was last written: how far back one can go.',
    ['type'],
    writing,
  ),
  scheduleState: gauge(
    'backup_schedule_state',
    'Whether the next backup is there when the ones before it let expect it: one series per state, 1 for the present one. late: half an interval over the time.',
    ['type', 'state'],
  ),
  nextExpected: gauge(
    'backup_next_expected_timestamp_seconds',
    'When the next backup should be finished, by the interval between the last ones.',
    ['type'],
    schedule,
  ),
  interval: gauge(
    'backup_interval_seconds',
    'The usual time from one finished backup to the next: the median of the last ones.',
    ['type'],
    schedule,
  ),
  writingState: gauge(
    'backup_writing_state',
    'Whether a backup is being written: one series per state, 1 for the present one. stalled: a temporary file, not written to for longer than stalled_after.',
    ['type', 'state'],
  ),
  growing: gauge('backup_growing_files', 'Files that are being written under their final name.', ['type'], writing),
  growingSince: gauge(
    'backup_growing_since_timestamp_seconds',
    'When the file that has been growing for longest was begun; absent when none grows.',
    ['type'],
    writing,
  ),
  temporary: gauge('backup_temporary_files', 'Files with a temporary name of a backup.', ['type'], writing),
  temporaryAge: gauge(
    'backup_temporary_age_seconds',
    'How long ago the oldest temporary file was begun, or written last where the file system does not tell; absent when there is none.',
    ['type'],
    writing,
  ),
  temporaryIdle: gauge(
    'backup_temporary_idle_seconds',
    'For how long a temporary file has not been written to, the longest; absent when there is none.',
    ['type'],
    writing,
  ),
  future: gauge(
    'backup_future_files',
    'Files that were written later than now by the clock here: one of two clocks is off, and ages are not to be trusted.',
    ['type'],
    writing,
  ),
  linkState: gauge(
    'backup_latest_link_state',
    'Where a link such as "latest" points to: one series per state, 1 for the present one. stale: not to the newest finished backup; dangling: to nothing; none: there is no such link.',
    ['state'],
  ),
} as const;
