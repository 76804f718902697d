import { limitQuery, ofTarget, statesPanel, type Row } from './spec.ts';

const noRestore = 'no test restores are configured';

export const backupDepthRow: Row = {
  title: 'Backups: can they be restored?',
  panels: [
    statesPanel(
      {
        metric: 'backup_verified',
        by: ['target', 'type'],
        matcher: ofTarget,
        states: [
          ['verified', 'green'],
          ['pending', 'yellow'],
          ['unverifiable', 'purple'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Read to the end',
        description: 'The newest finished backup. Alerts: BackupIncomplete, BackupPartlyUnknown.',
        width: 8,
      },
    ),
    statesPanel(
      {
        metric: 'backup_chain_state',
        by: ['target', 'type'],
        matcher: ofTarget,
        states: [
          ['valid', 'green'],
          ['not_configured', 'text'],
          ['broken', 'red'],
          ['orphaned', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Chains',
        description: 'Incremental backups, and archived binary logs. Alert: BackupChainBroken.',
        width: 8,
      },
    ),
    statesPanel(
      {
        metric: 'backup_pitr_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['not_configured', 'text'],
          ['lost', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Every moment since the last full backup',
        description: 'Whether the binary logs since then are there. Alert: BackupPitrLost.',
        width: 8,
      },
    ),
    {
      kind: 'lines',
      title: 'What would be lost with the source',
      description: 'Age of the newest change that is backed up or archived. Alert: BackupRecoveryPointOld.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target) (backup_recovery_point_age_seconds{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: 'there is no complete backup yet',
        },
        limitQuery('backup_recovery_point_age_seconds'),
      ],
    },
    {
      kind: 'lines',
      title: 'Size against the ones before',
      description: 'Of the newest finished backup, by their median. Alert: BackupSizeUnusual.',
      unit: 'percentunit',
      width: 8,
      queries: [
        {
          expr: `max by (target, type) (backup_size_ratio{${ofTarget}})`,
          legend: '{{target}} {{type}}',
          emptyWhen: 'there are too few backups to compare with',
        },
      ],
    },
    {
      kind: 'lines',
      title: 'Room for the next one',
      description: 'Free, and what is needed. Alerts: BackupNotReady, BackupStalled.',
      unit: 'bytes',
      width: 8,
      queries: [
        { expr: `max by (target) (backup_space_free_bytes{${ofTarget}})`, legend: 'free of {{target}}' },
        {
          expr: `max by (target) (backup_space_needed_bytes{${ofTarget}})`,
          legend: 'needed by {{target}}',
          emptyWhen: 'there is no backup to go by yet',
        },
      ],
    },
    statesPanel(
      {
        metric: 'backup_ready_state',
        by: ['target', 'check'],
        matcher: ofTarget,
        states: [
          ['ready', 'green'],
          ['not_configured', 'text'],
          ['not_ready', 'red'],
          ['unknown', 'purple'],
        ],
      },
      { title: 'Ready for the next one', description: 'Alert: BackupNotReady.', width: 8 },
    ),
    statesPanel(
      {
        metric: 'backup_restore_state',
        by: ['target'],
        matcher: ofTarget,
        states: [
          ['ok', 'green'],
          ['never', 'text'],
          ['unsupported', 'purple'],
          ['differs', 'red'],
          ['failed', 'red'],
          ['unknown', 'purple'],
        ],
      },
      {
        title: 'Test restores',
        description: 'Alerts: BackupRestoreFailed, BackupRestoreStale.',
        width: 8,
        emptyWhen: noRestore,
      },
    ),
    {
      kind: 'lines',
      title: 'Time of a restore',
      description: 'What a recovery takes at least. Alert: BackupRestoreSlow.',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: `max by (target) (backup_restore_last_duration_seconds{${ofTarget}})`,
          legend: '{{target}}',
          emptyWhen: noRestore,
        },
        limitQuery('backup_restore_last_duration_seconds'),
      ],
    },
  ],
};
