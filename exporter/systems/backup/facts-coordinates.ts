// Where in the source's binary log a backup stands: from there on the log must be there to come back to a point in time.
import { factKey } from '../../facts.ts';
import type { BinlogPosition } from '../mysql/facts-binlogs.ts';
import type { BackupType } from './address.ts';

export interface BackupCoordinates {
  /** The backup's file or folder. */
  readonly name: string;
  readonly type: BackupType;
  readonly position: BinlogPosition | undefined;
  /** As the tool wrote it: a GTID set of MySQL, or a position of MariaDB. */
  readonly gtid: string | undefined;
  /** When the backup was begun or, where that is not known, completed: what was committed before it began is in it. */
  readonly atMs: number;
  /** For people: `header`, `metadata`, `xtrabackup_binlog_info`, `status file`… */
  readonly from: string;
}

/** Of the newest complete full backup; unknown says why. */
export const coordinatesFact = factKey<BackupCoordinates>('backup.coordinates');
