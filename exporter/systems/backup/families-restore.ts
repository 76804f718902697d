// What test restores have shown.
import { gauge } from '../../families.ts';

/** Of the newest attempt. differs: it was restored, and is not what it should be. */
export const restoreStates = ['ok', 'failed', 'differs', 'never', 'unsupported', 'unknown'] as const;
export type RestoreState = (typeof restoreStates)[number];

export const restoreReasons = [
  'none',
  'no_backup', // there is no complete backup yet
  'no_space',
  'server', // the scratch server cannot be made or does not run
  'load', // the dump is not accepted
  'deadline',
  'count', // tables cannot be read after the restore
  'tables_missing', // tables of the dump, or expected ones, are not there
  'checksum_differs', // the same dump had other contents the last time
  'rows_dropped', // far fewer rows than the restore before
  'unknown',
] as const;
export type RestoreReason = (typeof restoreReasons)[number];

const state = { state: 'backup_restore_state' };

export const restoreFamilies = {
  state: gauge(
    'backup_restore_state',
    'How the newest test restore ended: one series per state, 1 for the present one. differs: restored, and not what it should be.',
    ['state'],
  ),
  reason: gauge(
    'backup_restore_reason',
    'Why the newest test restore did not end well: one series per reason, 1 for the present one, none when it did.',
    ['reason'],
  ),
  running: gauge('backup_restore_running', '1 while a test restore runs.', [], state),
  lastAttempt: gauge(
    'backup_restore_last_attempt_timestamp_seconds',
    'When the newest test restore that has ended was begun.',
    [],
    state,
  ),
  lastSuccess: gauge(
    'backup_restore_last_success_timestamp_seconds',
    'When the newest test restore that ended well was begun.',
    [],
    state,
  ),
  duration: gauge(
    'backup_restore_last_duration_seconds',
    'How long the newest good restore took, from an empty server to all data loaded: what a recovery takes at least.',
    [],
    state,
  ),
  backupAt: gauge(
    'backup_restore_backup_timestamp_seconds',
    'When the backup was completed that the newest good restore was made of.',
    [],
    state,
  ),
  tables: gauge('backup_restore_tables', 'Tables that the newest good restore has brought back.', [], state),
  rows: gauge('backup_restore_rows', 'Rows in them, counted.', [], state),
  rowsRatio: gauge(
    'backup_restore_rows_ratio',
    'Rows of the newest good restore divided by those of the good one before.',
    [],
    state,
  ),
} as const;
