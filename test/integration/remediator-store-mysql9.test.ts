// The shared store on MySQL 9: sessions, schema, the server's clock, and what people decide. All else as on MariaDB.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mysql9, mysql9Missing } from '../../deploy/lab/mysql9.ts';
import { openToServe } from '../../remediator/store-place.ts';
import { openMysqlDb, type MysqlOptions } from '../../remediator/store/mysql-db.ts';
import { openMysqlStore } from '../../remediator/store/mysql.ts';
import { claimOf, openEpisode } from '../unit/remediator/store-fixtures.ts';
import { peopleSuite } from '../unit/remediator/store-suite-people.ts';
import { startStoreServer, type StoreServer } from '../support/store-server.ts';

const skip = mysql9Missing();
let server: StoreServer;
const place = (change: Partial<MysqlOptions> = {}): MysqlOptions => server.place(change);

before(async () => {
  if (skip === false) server = await startStoreServer(mysql9);
});
after(async () => {
  if (skip === false) await server[Symbol.asyncDispose]();
});

if (skip === false) peopleSuite('MySQL 9', () => server.make());

test('two sessions of one store: a run is claimed once, by the clock of the server', { skip }, async () => {
  await server.emptied();
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
