import { defineSystem } from '../../system.ts';
import { backupAddress } from './address.ts';
import { openBackup } from './client.ts';
import { backupFiles } from './collector-backup.ts';
import { backupChain } from './collector-chain.ts';
import { backupListing } from './collector-listing.ts';
import { backupReady, readinessConfig } from './collector-readiness.ts';
import { restoreTest } from './collector-restore.ts';

export const backup = defineSystem({
  kind: 'backup',
  help: 'A folder of backups.',
  address: backupAddress,
  references: ({ source, archive }) => [
    ...(source === undefined ? [] : [{ path: 'source', target: source, kind: 'mysql' }]),
    ...(archive === undefined ? [] : [{ path: 'archive', target: archive, kind: 'backup' }]),
  ],
  thresholds: {
    backup_max_age_seconds: 'age of the newest complete backup',
    backup_recovery_point_age_seconds: 'how much may be lost: the recovery point objective',
    backup_restore_last_duration_seconds: 'how long a restore may take: the recovery time objective',
    backup_restore_max_age_seconds: 'time since the newest good test restore',
  },
  open: (opening) => Promise.resolve(openBackup(opening)),
  examine: async (client, call, { backup_ready: written }) =>
    (await import('./facts-doctor.ts')).examineBackup(
      client,
      call,
      readinessConfig.parse(written === false ? {} : (written ?? {})),
    ),
  collectors: [backupFiles, backupListing, backupChain, backupReady, restoreTest],
});
