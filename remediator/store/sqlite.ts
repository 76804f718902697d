// The embedded store: one SQLite file on a local file system.
import { openDb } from './sqlite-db.ts';
import type { Store } from './store.ts';
import { storeOn, type StoreOptions } from './store-on.ts';

export interface SqliteOptions extends StoreOptions {
  readonly file: string;
  /** For reading beside a running remediator: nothing is created or changed. */
  readonly readOnly?: boolean;
  /** How long to wait for another process's transaction. */
  readonly timeoutMs?: number;
  /** `thread`: no wait of the file holds up timers and sockets. For a server. */
  readonly where?: 'here' | 'thread';
}

/** @throws StoreError when it cannot be opened, is of another version, or does not sync as asked */
export function openSqlite(options: SqliteOptions): Store {
  const { file, readOnly = false, timeoutMs = 5000, where = 'here' } = options;
  return storeOn(openDb({ file, readOnly, timeoutMs }, where), options);
}
