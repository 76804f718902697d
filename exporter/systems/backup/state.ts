export const backupStates = ['ok', 'stale', 'incomplete', 'never', 'unknown'] as const;
export type BackupState = (typeof backupStates)[number];
