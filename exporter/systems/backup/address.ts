import { z } from 'zod';
import { absolutePath, durationMs } from '../../fields.ts';

export const backupAddress = z.strictObject({
  directory: absolutePath,
  /** File name with `*` (any characters) and `?` (one), such as `orders-*.sql.gz`. */
  pattern: z
    .string()
    .min(1)
    .regex(/^[^/]+$/, 'a file name pattern, without a folder'),
  /** mysqldump and mariadb-dump, plain or gzip. */
  tool: z.enum(['mysqldump']).default('mysqldump'),
  /** The state is `stale` when the newest complete backup is older. A day, and two hours for the backup to run. */
  max_age: durationMs.default(26 * 3_600_000),
});
export type BackupAddress = z.output<typeof backupAddress>;
