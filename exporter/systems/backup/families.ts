import { gauge } from '../../families.ts';

const state = { state: 'backup_state' };

export const backupFamilies = {
  backupState: gauge(
    'backup_state',
    'State of the backups: one series per state, 1 for the present one. incomplete: the newest finished file has no evidence of completion; stale: the newest complete one is older than max_age.',
    ['type', 'state'],
  ),
  lastSuccess: gauge(
    'backup_last_success_timestamp_seconds',
    'When the newest backup with evidence of completion was completed: from its last line, or the time of the file.',
    ['type'],
    state,
  ),
  lastSize: gauge('backup_last_size_bytes', 'Size of the newest finished file, complete or not.', ['type'], state),
  lastComplete: gauge(
    'backup_last_complete',
    '1 when the newest finished file has evidence of completion, 0 when not; absent until it was read.',
    ['type'],
    state,
  ),
  lastDuration: gauge(
    'backup_last_duration_seconds',
    'How long the newest complete backup took; absent when the file does not tell.',
    ['type'],
    state,
  ),
  files: gauge('backup_files', 'Files of the pattern, without temporary ones.', ['type'], state),
  newestFile: gauge(
    'backup_newest_file_timestamp_seconds',
    'When the newest file of the pattern was last written, complete or not. No sign of a good backup.',
    ['type'],
    state,
  ),
} as const;
