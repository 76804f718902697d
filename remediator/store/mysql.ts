// The shared store: for several remediators.
import { openMysqlDb, type MysqlOptions } from './mysql-db.ts';
import type { Store } from './store.ts';
import { storeOn, type StoreOptions } from './store-on.ts';

export interface MysqlStore extends Store {
  /** The server's identity. */
  readonly server: string;
  /** The server's clock, ms since 1970: what its windows are counted in. */
  readonly serverMs: () => Promise<number>;
}

/** @throws StoreError when it cannot be reached, keeps no promise of durability, or is of another version */
export async function openMysqlStore(options: MysqlOptions & StoreOptions): Promise<MysqlStore> {
  const db = await openMysqlDb(options);
  return { ...storeOn(db, options), server: db.server, serverMs: db.serverMs };
}
