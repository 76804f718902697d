import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { openRaw, type SqliteRaw } from '../../../remediator/store/sqlite-raw.ts';
import { withBallast } from '../../../remediator/store/ballast.ts';
import { schemaVersion } from '../../../remediator/store/schema.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import { StoreError, type Store } from '../../../remediator/store/store.ts';
import { claimOf, deliver, hour, openEpisode, refusal, win } from './store-fixtures.ts';
import { schema1 } from './store-schema-1.ts';
import { storeSuite } from './store-suite.ts';
import { peopleSuite } from './store-suite-people.ts';
import type { StoreUnderTest } from './store-under-test.ts';

async function folder(): Promise<{ readonly file: string } & AsyncDisposable> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-store-'));
  return {
    file: join(dir, 'remediator.db'),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

const make = async (): Promise<StoreUnderTest> => {
  const { file, [Symbol.asyncDispose]: remove } = await folder();
  return {
    kind: 'sqlite',
    place: file,
    rounds: 6,
    open: (options = {}) => openSqlite({ file, ...options }),
    [Symbol.asyncDispose]: remove,
  };
};
storeSuite('SQLite', make);
peopleSuite('SQLite', make);
// The same code on the same file: what differs is the way of the statements, so the quick parts are enough.
peopleSuite('SQLite in a thread', async () => {
  const under = await make();
  const { place } = under;
  return { ...under, open: (options = {}) => openSqlite({ file: place, where: 'thread', ...options }) };
});

test('SQLite syncs every commit: read back on the live connection', async () => {
  await using place = await folder();
  using db = openRaw({ file: place.file, readOnly: false, timeoutMs: 5000 });
  assert.deepEqual({ ...db.get('PRAGMA synchronous', []) }, { synchronous: 2 });
  assert.deepEqual({ ...db.get('PRAGMA journal_mode', []) }, { journal_mode: 'wal' });
  assert.deepEqual({ ...db.get('PRAGMA foreign_keys', []) }, { foreign_keys: 1 });
  assert.deepEqual({ ...db.get('PRAGMA auto_vacuum', []) }, { auto_vacuum: 2 });
});

test('SQLite: the file is private, every table is strict', async () => {
  await using place = await folder();
  using db = openRaw({ file: place.file, readOnly: false, timeoutMs: 5000 });
  assert.equal((await stat(place.file)).mode & 0o777, 0o600);
  const tables = db.all(
    `SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'`,
    [],
  );
  assert.ok(tables.length > 10);
  for (const table of tables) assert.equal(table['strict'], 1, String(table['name']));
});

test('SQLite: nothing is claimed when the row of the switch is missing', async () => {
  await using place = await folder();
  await using store = openSqlite({ file: place.file });
  const episode = await openEpisode(store, { alertname: 'A' });
  using raw = new DatabaseSync(place.file);
  raw.exec('DELETE FROM pause_switch');
  assert.equal(await refusal(store, claimOf(episode), 1_000_000), 'paused');
});

test('SQLite: a full store refuses what does not fit, keeps what it has, and goes on when there is room', async () => {
  await using place = await folder();
  await using store = openSqlite({ file: place.file });
  const hook = (size: number): Parameters<typeof store.appendWebhook>[0] => ({
    ...{ source: 'main', receivedMs: 1, receivedBy: 'p', alertCount: 0, truncatedCount: 0 },
    // not to be compressed
    body: crypto.getRandomValues(Buffer.alloc(size)),
  });
  const first = await store.appendWebhook(hook(1000));
  // max_page_count is a matter of the connection: as on a disk of that size
  using db = openRaw({ file: place.file, readOnly: false, timeoutMs: 5000 });
  const { page_count: pages } = db.get('PRAGMA page_count', []) ?? {};
  db.get(`PRAGMA max_page_count = ${Number(pages) + 2}`, []);
  assert.throws(
    () => {
      big(db);
    },
    (error: unknown) => error instanceof StoreError && error.code === 'full',
  );
  assert.equal(db.run(`INSERT INTO meta(k, v) VALUES('small', 'x')`, []), 1, 'the connection is usable after it');
  db.get('PRAGMA max_page_count = 1000000', []);
  big(db);
  assert.deepEqual(
    (await store.pendingWebhooks(10)).map((h) => h.id),
    [first],
  );
});

test('SQLite: another process that holds the store is `busy`, a file that is none is `broken`', async () => {
  await using place = await folder();
  await using store = openSqlite({ file: place.file, timeoutMs: 50 });
  using other = new DatabaseSync(place.file);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(store.setMeta('k', 'v'), (e: unknown) => e instanceof StoreError && e.code === 'busy');
  other.exec('ROLLBACK');
  await store.setMeta('k', 'v');
  await using wrong = await folder();
  using text = new DatabaseSync(wrong.file);
  text.exec("CREATE TABLE meta(k TEXT, v TEXT); INSERT INTO meta VALUES('schema', '99')");
  assert.throws(() => openSqlite({ file: wrong.file }), /schema 99/);
});

test('SQLite: read-only reads beside a writer and creates nothing', async () => {
  await using place = await folder();
  assert.throws(() => openSqlite({ file: place.file, readOnly: true }), StoreError);
  await using store = openSqlite({ file: place.file });
  await openEpisode(store, { alertname: 'A' });
  await using reader = openSqlite({ file: place.file, readOnly: true });
  assert.equal((await reader.openEpisodes()).length, 1);
  await assert.rejects(reader.setMeta('k', 'v'), StoreError);
});

test('SQLite: an episode whose messages cannot be ended stays open: both are one transaction', async () => {
  await using dir = await folder();
  await using store = openSqlite({ file: dir.file });
  const episode = await openEpisode(store, { alertname: 'A' });
  const annotations = {};
  await store.enqueue({ dedupeKey: 'k', episodeId: episode.id, labels: { alertname: 'X' }, annotations }, 1);
  const raw = new DatabaseSync(dir.file);
  raw.exec(`CREATE TRIGGER broken BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END`);
  await assert.rejects(store.closeEpisode(episode.id, episode.version, 'healed', 2));
  assert.equal((await store.episode(episode.id))?.state, 'open');
  raw.exec('DROP TRIGGER broken');
  raw.close();
  assert.equal(await store.closeEpisode(episode.id, episode.version, 'healed', 3), true);
  assert.equal((await store.escalationsOf(episode.id))[0]?.state, 'ending');
});

test('SQLite: an approval of a version that kept no plan carries nothing; a plan goes with its episode', async () => {
  await using dir = await folder();
  await using store = openSqlite({ file: dir.file });
  const episode = await openEpisode(store, { alertname: 'A' });
  const hashes = { policyHash: 'a', evidenceHash: 'b', paramsHash: 'c', planHash: 'd' };
  const { approval } = await store.requestApproval(
    {
      ...{ episodeId: episode.id, decisionId: 'd', policy: 'p', action: 'maxwell.restart', target: 'maxwell1' },
      ...{ ...hashes, plan: { facts: 1 }, role: 'dba', expiresMs: hour },
    },
    1,
  );
  assert.deepEqual(approval.plan, { facts: 1 });
  await store.decideApproval(approval.id, 'approved', 'ann', '', 2);
  const raw = new DatabaseSync(dir.file);
  raw.exec('UPDATE approval_plan SET approval_id = approval_id || 1');
  const found = await store.approval(approval.id);
  assert.deepEqual([found?.state, found?.planHash, found?.plan], ['approved', '', null]);
  assert.equal(await refusal(store, claimOf(episode, { approval: { id: approval.id, ...hashes } }), 3), 'approval');
  raw.exec(`UPDATE approval_plan SET approval_id = '${approval.id}'`);
  assert.equal(await refusal(store, claimOf(episode, { approval: { id: approval.id, ...hashes } }), 3), 'won');
  const rows = (): unknown => raw.prepare('SELECT count(*) AS n FROM approval_plan').get()?.['n'];
  assert.equal(rows(), 1);
  raw.exec(`UPDATE run SET state = 'ended', active_key = NULL, cooldown_until_ms = 1`);
  const { version } = (await store.episode(episode.id)) ?? episode;
  assert.ok(await store.closeEpisode(episode.id, version, 'healed', 5));
  await store.prune({ episodesMs: hour, webhookBytes: 1e9, longestWindowMs: hour }, 100 * hour);
  assert.equal(rows(), 0);
  raw.close();
});

test('SQLite: a store of version 1 is taken over with all it holds; a reader leaves it as it is', async () => {
  await using place = await folder();
  {
    using old = new DatabaseSync(place.file);
    old.exec(schema1);
    old.exec(`INSERT INTO meta(k, v) VALUES('schema', '1'), ('clock', 'x');
      INSERT INTO pause_switch(scope, paused, set_by, reason, set_ms) VALUES('global', 1, 'ann', 'work', 5);
      INSERT INTO lease(scope, fence, expires_ms) VALUES('target:maxwell1', 41, 0)`);
  }
  assert.throws(() => openSqlite({ file: place.file, readOnly: true }), /schema 1/);
  await using store = openSqlite({ file: place.file });
  await using second = openSqlite({ file: place.file });
  assert.equal(await second.meta('schema'), String(schemaVersion));
  assert.equal(await store.meta('clock'), 'x');
  const [pause] = await store.pauses();
  assert.deepEqual([pause?.paused, pause?.by], [true, 'ann']);
  if (pause !== undefined) await store.setPause({ ...pause, paused: false });
  const hold = await win(store, await openEpisode(store, { alertname: 'A' }), 1_000_000);
  assert.equal(hold.fence, 42);
  assert.equal(await store.storm(), undefined);
});

test('SQLite: bodies beyond the cap are refused until old ones are deleted', async () => {
  await using place = await folder();
  await using store = openSqlite({ file: place.file, webhookCapBytes: 5000 });
  const append = (): Promise<number> =>
    store.appendWebhook({
      ...{ source: 'main', receivedMs: 1, receivedBy: 'p', alertCount: 0, truncatedCount: 0 },
      body: crypto.getRandomValues(Buffer.alloc(2000)),
    });
  const ids = [await append(), await append()];
  const isFull = (error: unknown): boolean => error instanceof StoreError && error.code === 'full';
  await assert.rejects(append(), isFull);
  for (const id of ids) await store.processWebhook(id, undefined, false, 1);
  await store.prune({ episodesMs: hour, webhookBytes: 0, longestWindowMs: hour }, 1);
  assert.ok((await store.size()).bytes > 0);
  await waitFor(() => append(), { what: 'room again' });
});

test('SQLite: what was deleted is given back to the disk', async () => {
  await using place = await folder();
  await using store = openSqlite({ file: place.file });
  const { bytes: empty } = await store.size();
  const body = randomBytes(200_000);
  const id = await store.appendWebhook({
    ...{ source: 'main', receivedMs: 1, receivedBy: 'p', alertCount: 0, truncatedCount: 0, body },
  });
  await store.processWebhook(id, undefined, false, 1);
  const { bytes: full } = await store.size();
  assert.ok(full >= empty + 200_000);
  await store.prune({ episodesMs: hour, webhookBytes: 0, longestWindowMs: hour }, 1);
  assert.ok((await store.size()).bytes < full - 150_000);
});

test('a full disk: the ballast makes room for the run that is under way, and comes back after cleaning up', async () => {
  await using place = await folder();
  await using base = openSqlite({ file: place.file });
  const ballast = `${place.file}.ballast`;
  const isFull = (): boolean => existsSync(ballast);
  // As on a disk where all but the ballast is taken.
  const full: Store = {
    ...base,
    appendJournal: (...args) =>
      isFull() ? Promise.reject(new StoreError('full', 'full')) : base.appendJournal(...args),
    appendWebhook: () => Promise.reject(new StoreError('full', 'full')),
  };
  const store = await withBallast(full, ballast, 1_000_000);
  const { size, blocks } = await stat(ballast);
  assert.equal(size, 1_000_000);
  assert.ok(blocks * 512 >= size, 'it takes the room that it names');
  const hold = await win(store, await openEpisode(base, { alertname: 'A' }), 1000);
  await assert.rejects(deliver(store, []), StoreError);
  assert.ok(isFull(), 'not for notifications: they are told to come again');
  await store.appendJournal(hold, { kind: 'intent', step: 's', attempt: 1, data: {} }, () => 1001);
  assert.equal(isFull(), false);
  assert.equal((await base.journalOf(hold.runId)).length, 2);
  await store.prune({ episodesMs: hour, webhookBytes: 1e9, longestWindowMs: hour }, 1002);
  assert.ok(isFull());
});

function big(db: SqliteRaw): void {
  db.begin();
  try {
    db.run(`INSERT INTO meta(k, v) VALUES('big', ?)`, ['x'.repeat(100_000)]);
    db.commit();
  } catch (error) {
    db.rollback();
    throw error;
  }
}
