import { z } from 'zod';
import { absolutePath, durationMs } from '../../fields.ts';
import { targetName } from '../../system.ts';

/**
 * mysqldump is mariadb-dump too, xtrabackup is mariadb-backup too; `binlog` is an archive of binary logs; `status_file`
 * is any other tool, which writes a small file about each backup (facts-status-file.ts).
 */
const backupTools = ['mysqldump', 'mydumper', 'xtrabackup', 'binlog', 'rdb', 'aof', 'status_file'] as const;
export type BackupTool = (typeof backupTools)[number];

/** The label `type`. */
export const backupTypes = ['full', 'incremental', 'binlog'] as const;
export type BackupType = (typeof backupTypes)[number];

/** These make a folder for each backup; as a stream, or in an archive, it is a file all the same. */
const folderTools: readonly BackupTool[] = ['mydumper', 'xtrabackup', 'aof'];

/** File name with `*` (any characters) and `?` (one), such as `orders-*.sql.gz`. */
const pattern = z
  .string()
  .min(1)
  .regex(/^[^/]+$/, 'a file name pattern, without a folder');

const hourMs = 3_600_000;
/** A day and two hours for the backup to run; hourly incremental ones; binary logs all the time. */
const maxAges: Readonly<Record<BackupType, number>> = { full: 26 * hourMs, incremental: 2 * hourMs, binlog: hourMs };

export const backupAddress = z.strictObject({
  directory: absolutePath,
  /** The name of a backup: a file, or for mydumper, xtrabackup and aof a folder too. */
  pattern,
  tool: z.enum(backupTools).default('mysqldump'),
  /**
   * Backups in the same folder that hold only what has changed since another one. Folders of xtrabackup say so
   * themselves; this is for its streams, and wins over `pattern`.
   */
  incremental: z.strictObject({ pattern }).optional(),
  /** Target of kind backup with `tool: binlog`: the archive of binary logs that goes on where these backups end. */
  archive: targetName.optional(),
  /** Target of kind mysql that is backed up: its binary logs must reach back to the newest backup. */
  source: targetName.optional(),
  /** The state is `stale` when the newest complete backup is older: one duration for every type, or one for each. */
  max_age: z
    .union([
      durationMs,
      z.strictObject({
        full: durationMs.optional(),
        incremental: durationMs.optional(),
        binlog: durationMs.optional(),
      }),
    ])
    .optional(),
});
export type BackupAddress = z.output<typeof backupAddress>;

/** The type of whatever `pattern` names. */
export function mainTypeOf({ tool }: Pick<BackupAddress, 'tool'>): BackupType {
  return tool === 'binlog' ? 'binlog' : 'full';
}

export function makesFolders({ tool }: Pick<BackupAddress, 'tool'>): boolean {
  return folderTools.includes(tool);
}

export function maxAgeMsOf({ max_age: limit }: Pick<BackupAddress, 'max_age'>, type: BackupType): number {
  if (typeof limit === 'number') return limit;
  return limit?.[type] ?? maxAges[type];
}
