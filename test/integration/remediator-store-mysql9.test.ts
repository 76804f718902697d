// The shared store on MySQL 9: sessions, schema, the server's clock, and what people decide. All else as on MariaDB.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DatabaseLab } from '../../deploy/lab/databases.ts';
import { startDatabases } from '../../deploy/lab/databases.ts';
import { mysql9, mysql9Missing } from '../../deploy/lab/mysql9.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import { openToServe } from '../../remediator/store-place.ts';
import { openMysqlDb, type MysqlDb, type MysqlOptions } from '../../remediator/store/mysql-db.ts';
import { openMysqlStore } from '../../remediator/store/mysql.ts';
import { claimOf, openEpisode } from '../unit/remediator/store-fixtures.ts';
import { peopleSuite } from '../unit/remediator/store-suite-people.ts';
import type { StoreUnderTest } from '../unit/remediator/store-under-test.ts';

const skip = mysql9Missing();
let lab: DatabaseLab;
let cleaner: MysqlDb | undefined;
let tables: readonly string[];

function place(change: Partial<MysqlOptions> = {}): MysqlOptions {
  return {
    address: { host: lab.address, port: databasePorts.source },
    database: 'remediator',
    auth: { user: 'store', password_file: lab.secretFile('store') },
    ...{ tls: undefined, clock: 'caller', ...change },
  };
}

before(async () => {
  if (skip !== false) return;
  lab = await startDatabases(mysql9, { databases: ['source'] });
  await lab.sql('source', 'SET GLOBAL sync_binlog = 1');
  await lab.sql('source', 'SET GLOBAL innodb_flush_log_at_trx_commit = 1'); // the lab's own is 2
  await lab.sql('source', 'CREATE DATABASE remediator');
  await lab.sql('source', `CREATE USER store IDENTIFIED BY '${lab.secret('store')}'`);
  await lab.sql('source', 'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, INDEX ON remediator.* TO store');
  const db = await openMysqlDb(place());
  cleaner = db;
  const rows = await db.all(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'meta'`,
  );
  tables = rows.map(({ name }) => String(name));
});
after(async () => {
  if (skip !== false) return;
  try {
    await cleaner?.[Symbol.asyncDispose]();
  } finally {
    await lab.stop();
  }
});

async function emptied(): Promise<void> {
  assert.ok(cleaner);
  await cleaner.transact(async (tx) => {
    for (const name of tables) await tx.run(`DELETE FROM ${name}`);
    await tx.run(`DELETE FROM meta WHERE k NOT IN ('schema', 'server')`);
    await tx.run(`INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 0, 'test', '', 0)`);
  });
}

if (skip === false) {
  peopleSuite('MySQL 9', async (): Promise<StoreUnderTest> => {
    await emptied();
    return {
      kind: 'mysql',
      place: JSON.stringify(place()),
      rounds: 1,
      open: (options = {}) => openMysqlStore({ ...place(), ...options }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  });
}

test('two sessions of one store: a run is claimed once, by the clock of the server', { skip }, async () => {
  await emptied();
  const { clock: _clock, ...shared } = place();
  await using open = await openToServe(
    { store: 'mysql', mysqlStore: { ...shared, allowRelaxedDurability: false } },
    { relapseMs: 0, longestMs: 3_600_000 },
  );
  const { store, clock } = open;
  await using other = await openMysqlStore(place({ clock: 'server' }));
  const episode = await openEpisode(store, { alertname: 'MaxwellDown', target: 'maxwell1' }, { nowMs: clock.nowMs() });
  const [one, two] = await Promise.all(
    [store, other].map((of, i) => of.claim(claimOf(episode, { runId: `r${i}`, holder: `h${i}` }), clock.nowMs)),
  );
  assert.equal(Number(one?.won) + Number(two?.won), 1, JSON.stringify([one, two]));
  assert.equal((await store.activeRuns()).length, 1);
});

test('a session that is silent for as long as a lease lasts is ended by the server', { skip }, async () => {
  await using db = await openMysqlDb(place());
  const [row] = await db.all('SELECT @@SESSION.wait_timeout AS seconds, @@SESSION.time_zone AS zone');
  assert.deepEqual([row?.['seconds'], row?.['zone']], [30, '+00:00']);
});
