// A database server that holds a remediator's store, as an operator sets it up, for the suites of the shared store.
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import { openMysqlDb, type MysqlOptions } from '../../remediator/store/mysql-db.ts';
import { openMysqlStore } from '../../remediator/store/mysql.ts';
import type { StoreUnderTest } from '../unit/remediator/store-under-test.ts';

export interface StoreServer extends AsyncDisposable {
  readonly lab: DatabaseLab;
  readonly place: (change?: Partial<MysqlOptions>) => MysqlOptions;
  /** Without a new connection for each test. */
  readonly emptied: () => Promise<void>;
  readonly make: () => Promise<StoreUnderTest>;
}

export async function startStoreServer(
  release: Parameters<typeof startDatabases>[0],
  settings: Readonly<Record<string, string>> = {},
): Promise<StoreServer> {
  const lab = await startDatabases(release, { databases: ['source'], options: { source: { settings } } });
  try {
    return await storeOn(lab);
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

async function storeOn(lab: DatabaseLab): Promise<StoreServer> {
  await lab.sql('source', 'SET GLOBAL sync_binlog = 1');
  await lab.sql('source', 'SET GLOBAL innodb_flush_log_at_trx_commit = 1'); // the lab's own is 2
  await lab.sql('source', 'CREATE DATABASE remediator');
  await lab.sql('source', `CREATE USER store IDENTIFIED BY '${lab.secret('store')}'`);
  await lab.sql('source', 'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON remediator.* TO store');
  const place = (change: Partial<MysqlOptions> = {}): MysqlOptions => ({
    address: { host: lab.address, port: databasePorts.source },
    database: 'remediator',
    auth: { user: 'store', password_file: lab.secretFile('store') },
    tls: undefined,
    clock: 'caller',
    ...change,
  });
  const cleaner = await openMysqlDb(place());
  const rows = await cleaner.all(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'meta'`,
  );
  const tables = rows.map(({ name }) => String(name));
  const emptied = async (): Promise<void> => {
    await cleaner.transact(async (tx) => {
      for (const name of tables) await tx.run(`DELETE FROM ${name}`);
      await tx.run(`DELETE FROM meta WHERE k NOT IN ('schema', 'server')`);
      await tx.run(
        `INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 0, 'test', '', 0)`,
      );
    });
  };
  return {
    lab,
    place,
    emptied,
    make: async () => {
      await emptied();
      return {
        kind: 'mysql',
        place: JSON.stringify(place()),
        rounds: 1,
        open: (options = {}) => openMysqlStore({ ...place(), ...options }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    },
    [Symbol.asyncDispose]: async () => {
      try {
        await cleaner[Symbol.asyncDispose]();
      } finally {
        await lab.stop();
      }
    },
  };
}
