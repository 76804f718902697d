// The shared store on a real server: the suite of every store, and what only a server can do to it.
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { openMysqlDb, type MysqlOptions } from '../../remediator/store/mysql-db.ts';
import { isServed, openToChange, openToRead, openToServe } from '../../remediator/store-place.ts';
import { openMysqlStore } from '../../remediator/store/mysql.ts';
import { StoreError } from '../../remediator/store/store.ts';
import { claimOf, openEpisode, refusal, win } from '../unit/remediator/store-fixtures.ts';
import { peopleSuite } from '../unit/remediator/store-suite-people.ts';
import { storeSuite } from '../unit/remediator/store-suite.ts';
import { startStoreServer, type StoreServer } from '../support/store-server.ts';
import type { StoreUnderTest } from '../unit/remediator/store-under-test.ts';

const t0 = 1_000_000;
let holder: StoreServer;
const place = (change: Partial<MysqlOptions> = {}): MysqlOptions => holder.place(change);
const emptied = (): Promise<void> => holder.emptied();
const make = (): Promise<StoreUnderTest> => holder.make();

before(async () => {
  holder = await startStoreServer(mariadbInstalled, { 'default-time-zone': '+05:00' });
});

after(() => holder[Symbol.asyncDispose]());

storeSuite('server', make);
peopleSuite('server', make);

suite('server: what a server does to a store', () => {
  /** Between store and server: loses what belongs to COMMIT. */
  const lossy = async (
    lose: 'the answer' | 'the statement',
  ): Promise<{ readonly port: number; readonly arm: () => void; readonly lost: () => number } & Disposable> => {
    let lost = 0;
    let armed = false;
    const listener = createServer((client) => {
      const server = connect(databasePorts.source, holder.lab.address);
      let losing = false;
      client.on('data', (data) => {
        // COM_QUERY; MySQL 8 and later take the attributes of the query before its text
        if (armed && data[4] === 3 && data.toString('latin1').endsWith('COMMIT')) {
          lost++;
          armed = false;
          losing = true;
          if (lose === 'the statement') {
            client.destroy();
            return; // the server still waits for its session
          }
        }
        server.write(data);
      });
      server.on('data', (data) => {
        if (losing) client.destroy();
        else client.write(data);
      });
      for (const socket of [client, server]) socket.on('error', () => undefined);
      server.on('close', () => client.destroy());
      client.on('close', () => {
        if (!losing) server.destroy();
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, holder.lab.address, resolve));
    return {
      port: (listener.address() as AddressInfo).port,
      arm: () => {
        armed = true;
      },
      lost: () => lost,
      [Symbol.dispose]: () => listener.close(),
    };
  };

  for (const lose of ['the answer', 'the statement'] as const) {
    test(`a claim whose COMMIT loses ${lose}: what the store says in the end is what it holds`, async () => {
      await emptied();
      await using direct = await openMysqlStore(place());
      const episode = await openEpisode(direct, { alertname: 'A' });
      // The rows of its leases are there: one COMMIT, that of the claim.
      const first = await win(direct, episode, t0);
      await direct.endRun(first, { outcome: 'failed', because: '', cooldownMs: 0 }, () => t0);
      const now = await direct.episode(episode.id);
      assert.ok(now !== undefined);
      using proxy = await lossy(lose);
      await using store = await openMysqlStore(place({ address: { host: holder.lab.address, port: proxy.port } }));
      proxy.arm();
      const claim = claimOf(now);
      const outcome = await store.claim(claim, () => t0 + 1).catch((error: unknown) => error);
      assert.equal(proxy.lost(), 1);
      const run = await direct.run(claim.runId);
      if (lose === 'the answer') {
        assert.ok(typeof outcome === 'object' && outcome !== null && 'won' in outcome && outcome.won === true);
        assert.equal(run?.fence, 2);
        await direct.appendJournal(
          { runId: claim.runId, target: claim.target, holder: claim.holder, fence: 2 },
          { kind: 'facts', step: '', attempt: 1, data: {} },
          () => t0 + 2,
        );
      } else {
        assert.ok(outcome instanceof StoreError, String(outcome));
        assert.equal(run, undefined);
        // The session that held the locks was ended: nobody waits for it, and nothing of it comes later.
        assert.equal(await refusal(direct, claim, t0 + 2), 'won');
      }
    });
  }

  test('two transactions that deadlock are both done: one of them anew, from its start', async () => {
    await emptied();
    await using db = await openMysqlDb(place());
    for (const k of ['a', 'b']) await db.run(`INSERT INTO meta(k, v) VALUES(?, '0')`, k);
    let begun = 0;
    let tries = 0;
    const add = (one: string, other: string): Promise<void> =>
      db.transact(async (tx) => {
        tries++;
        await tx.run('UPDATE meta SET v = v + 1 WHERE k = ?', one);
        begun++;
        await waitFor(() => begun >= 2, { what: 'both to hold a row' });
        await tx.run('UPDATE meta SET v = v + 1 WHERE k = ?', other);
      });
    await Promise.all([add('a', 'b'), add('b', 'a')]);
    assert.equal(tries, 3);
    for (const k of ['a', 'b']) {
      assert.equal((await db.get('SELECT v FROM meta WHERE k = ?', k))?.['v'], '2');
    }
  });

  test('time is the server’s, read after the lock; never back, and not ahead of what the caller has looked at', async () => {
    await emptied();
    await using store = await openMysqlStore(place({ clock: 'server' }));
    const before = await store.serverMs();
    assert.ok(Math.abs(before - Date.now()) < 3_600_000, 'an odd time zone of the server changes nothing');
    const episode = await openEpisode(store, { alertname: 'A' });
    const behind = await store.claim(claimOf(episode), () => before - 3_600_000).catch((error: unknown) => error);
    assert.ok(behind instanceof StoreError, 'the server’s clock was set forward: no window ends by that');
    const result = await store.claim(claimOf(episode), () => before + 86_400_000);
    assert.ok(result.won);
    assert.ok(result.run.claimedMs >= before && result.run.claimedMs < before + 3_600_000, 'not the caller’s');
    await store.setMeta('clock_high', String(before + 86_400_000));
    const entry = { kind: 'facts', step: '', attempt: 1, data: {} } as const;
    const late = await store.appendJournal(result.hold, entry, () => before + 86_400_000).catch((e: unknown) => e);
    assert.ok(
      late instanceof StoreError && late.code === 'fenced',
      'set back: what was seen counts, the lease is over',
    );
  });

  test('two remediators serve with it at once, by one clock; a reader and a person come beside', async () => {
    await emptied();
    const { clock: _clock, ...shared } = place();
    const settings = { store: 'mysql', mysqlStore: { ...shared, allowRelaxedDurability: false } };
    const times = { relapseMs: 900_000, longestMs: 3_600_000 };
    await using one = await openToServe(settings, times);
    await using two = await openToServe(settings, times);
    assert.ok(one.clock.steady().known && two.clock.steady().known);
    assert.ok(Math.abs(one.clock.nowMs() - two.clock.nowMs()) < 5000);
    const episode = await openEpisode(one.store, { alertname: 'A' });
    const results = await Promise.all(
      [one, two].map(({ store, clock }, i) => store.claim(claimOf(episode, { holder: `h${i}` }), clock.nowMs)),
    );
    assert.deepEqual(results.map((r) => r.won).sort(), [false, true]);
    assert.equal(isServed(settings), false, 'nobody has to ask a server to write');
    await using reader = await openToRead(settings);
    assert.equal((await reader.store.activeRuns()).length, 1);
    await using person = await openToChange(settings);
    assert.ok(person !== undefined);
    await person.store.setPause({
      ...{ scope: 'global', paused: true, by: 'ann', reason: 'x', untilMs: undefined },
      setMs: person.clock.nowMs(),
    });
    const other = await openEpisode(two.store, { alertname: 'B' });
    assert.equal((await two.store.claim(claimOf(other, { target: 'b' }), two.clock.nowMs)).won, false);
  });

  test('another server behind the same name: nothing is claimed until a person has looked', async () => {
    await emptied();
    await using store = await openMysqlStore(place());
    const episode = await openEpisode(store, { alertname: 'A' });
    await store.setMeta('server', 'the one before');
    await using after = await openMysqlStore(place());
    assert.equal(await refusal(after, claimOf(episode), t0), 'latched');
    const [latch] = await after.latches('global');
    assert.match(latch?.reason ?? '', /another server/);
    await using again = await openMysqlStore(place());
    assert.equal((await again.latches('global')).length, 1);
    await again.clearLatch(latch?.id ?? '', 'ann', 'the newest entries are there', t0);
    assert.equal(await refusal(again, claimOf(episode), t0), 'won');
  });

  test('a server that may forget at a power failure is refused, unless that is allowed; a read-only one always', async () => {
    await holder.lab.sql('source', 'SET GLOBAL sync_binlog = 0');
    try {
      await assert.rejects(openMysqlDb(place()), /sync_binlog is 0/);
      await using db = await openMysqlDb(place({ allowRelaxedDurability: true }));
      assert.ok((await db.bytes()) > 0);
    } finally {
      await holder.lab.sql('source', 'SET GLOBAL sync_binlog = 1');
    }
    await holder.lab.sql('source', 'SET GLOBAL read_only = 1');
    try {
      await assert.rejects(openMysqlDb(place({ allowRelaxedDurability: true })), /read-only/);
    } finally {
      await holder.lab.sql('source', 'SET GLOBAL read_only = 0');
    }
  });

  test('sessions that the server has closed are replaced; what is too long is refused, not cut', async () => {
    await emptied();
    await using db = await openMysqlDb(place());
    await db.run(`INSERT INTO meta(k, v) VALUES('k', 'v')`);
    const rows = await holder.lab.sql('source', `SELECT id FROM information_schema.processlist WHERE user = 'store'`);
    for (const { id } of rows) await holder.lab.sql('source', `KILL ${Number(id)}`);
    assert.equal((await db.get(`SELECT v FROM meta WHERE k = 'k'`))?.['v'], 'v');
    for (const row of await holder.lab.sql(
      'source',
      `SELECT id FROM information_schema.processlist WHERE user = 'store'`,
    )) {
      await holder.lab.sql('source', `KILL ${Number(row['id'])}`);
    }
    assert.equal(await db.run(`UPDATE meta SET v = 'w' WHERE k = 'k'`), 1);
    await assert.rejects(db.run(`INSERT INTO meta(k, v) VALUES(?, 'v')`, 'x'.repeat(191)), StoreError);
    assert.equal(await db.get(`SELECT v FROM meta WHERE k LIKE 'xxx%'`), undefined);
  });
});
