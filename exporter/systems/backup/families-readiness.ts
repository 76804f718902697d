// Whether the next backup can be made.
import { gauge } from '../../families.ts';

export const readyChecks = ['space', 'inodes', 'login', 'grants', 'charset', 'transactions', 'lock_waits'] as const;
export type ReadyCheck = (typeof readyChecks)[number];

export const readyStates = ['ready', 'not_ready', 'not_configured', 'unknown'] as const;
export type ReadyState = (typeof readyStates)[number];

const state = { state: 'backup_ready_state' };

export const readinessFamilies = {
  state: gauge(
    'backup_ready_state',
    'Whether the next backup has what it needs, by check: one series per state, 1 for the present one. not_configured: the inventory names no source, or no account of the backups.',
    ['check', 'state'],
  ),
  ready: gauge('backup_ready', '1 when a check is passed, 0 when it is not.', ['check'], state),
  free: gauge('backup_space_free_bytes', 'Free space in the folder of the backups, for others than root.', [], state),
  needed: gauge(
    'backup_space_needed_bytes',
    'What the next backup should find free: the largest of the last ones with a margin.',
    [],
    state,
  ),
  inodes: gauge('backup_space_free_inodes', 'Free inodes in the file system of the folder.', [], state),
} as const;
