// What the replication collectors must do on every server, whatever its flavour and version: a replica of one source and of
// two, its threads stopped one by one, refused, cut off, broken, and stopped in the middle of a transaction.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databasePorts } from '../../deploy/lab/release.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { replicationCollector } from '../../exporter/systems/mysql/collector-replication.ts';
import { readReplication, type ReplicaChannel } from '../../exporter/systems/mysql/facts-replication.ts';
import { runner, statesOf, testCall, type Series } from '../unit/mysql/fake-client.ts';
import { call, clockOffsetSeconds, isRunning, nameOf, type Room } from './mysql-room.ts';
import { noStatementFails, sweeps } from './mysql-suite.ts';

const hasLag = (samples: Series): boolean =>
  [...samples.keys()].some((key) => key.startsWith('mysql_replication_lag_seconds'));

export function replicationSuite(room: Room): void {
  const { flavour, lab, open, unlogged, channelWhen } = room;
  const skip = room.missing;
  const run = runner(replicationCollector);
  const state = (channel: string, is: string): string => {
    const [channelName, connectionName] = flavour.kind === 'mysql' ? [channel, ''] : ['', channel];
    return `mysql_replication_state{channel_name="${channelName}",connection_name="${connectionName}",state="${is}"}`;
  };
  const replica = (statement: string): Promise<unknown> => lab().sql('replica', statement);
  const insert = (id: number, customer: string): string =>
    `INSERT INTO shop.orders (id, customer, state, total) VALUES (${id}, '${customer}', 'new', 1)`;

  test('a replica: its threads stopped one by one, and running again', { skip }, async () => {
    await using client = await open('replica');
    await channelWhen(client, 'the replica to run', isRunning);
    assert.ok(hasLag((await run(client)).samples));
    for (const [threads, io, applier] of [
      ['receiver', 'no', true],
      ['applier', 'yes', false],
      ['both', 'no', false],
    ] as const) {
      await replica(flavour.stop(threads));
      const stopped = await channelWhen(
        client,
        `${threads} stopped`,
        (c) => c.ioRunning === io && c.sqlRunning === applier,
      );
      assert.deepEqual(
        [stopped.state, stopped.lagSeconds.known, stopped.lastIoErrno, stopped.lastSqlErrno],
        ['stopped', false, 0, 0],
        threads,
      );
      const { samples } = await run(client);
      assert.ok(!hasLag(samples), threads);
      assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [state('', 'stopped')]);
      await noStatementFails(room, 'replica', () => sweeps(room, 'replica', 1));
      await replica(flavour.start(threads));
      await channelWhen(client, 'the replica to run again', isRunning);
    }
  });

  test('a replica that is cut off, refused, broken by an error, and running again', { skip }, async () => {
    await using client = await open('replica');
    const restartReceiver = async (): Promise<void> => {
      await replica(flavour.stop('receiver'));
      await replica(flavour.start('receiver'));
    };
    await replica(flavour.stop('receiver'));
    await lab().link('replica->source').cut();
    await replica(flavour.start('receiver'));
    const cut = await channelWhen(client, 'a refused connection', (c) => c.lastIoErrno !== 0);
    assert.deepEqual([cut.state, cut.ioRunning, cut.lagSeconds.known], ['connecting', 'connecting', false]);
    await lab().link('replica->source').restore();
    await channelWhen(client, 'the replica to run again', isRunning);

    await unlogged('source', "ALTER USER 'repl'@'%' IDENTIFIED BY 'another'");
    await restartReceiver();
    const refused = await channelWhen(client, 'a refused password', (c) => c.lastIoErrno === 1045);
    assert.deepEqual([refused.state, refused.lagSeconds.known], ['connecting', false]);
    assert.match(refused.why, /Access denied/);
    assert.ok(!refused.why.includes(lab().secret('repl')));
    await unlogged('source', `ALTER USER 'repl'@'%' IDENTIFIED BY '${lab().secret('repl')}'`);
    await channelWhen(client, 'the replica to run with the old password', isRunning);

    await unlogged('replica', insert(7777777, 'here'));
    await lab().sql('source', insert(7777777, 'there'));
    const broken = await channelWhen(client, 'the applier to break', (c) => !c.sqlRunning);
    assert.deepEqual([broken.state, broken.lastSqlErrno, broken.ioRunning], ['stopped', 1062, 'yes']);
    assert.equal(broken.lagSeconds.known, false);
    await unlogged('replica', 'DELETE FROM shop.orders WHERE id = 7777777');
    await replica(flavour.start('applier'));
    await channelWhen(client, 'the replica to run without the duplicate', isRunning);
  });

  test(
    'a receiver on a dead link says running and 0 s; it is called stalled after two heartbeat periods',
    { skip },
    async () => {
      await replica(flavour.stop('both'));
      await replica(flavour.heartbeat(0.5));
      await replica(flavour.start('both'));
      await using client = await open('replica');
      const isWaiting = (c: ReplicaChannel): boolean => c.state === 'running' && c.ioState.startsWith('Waiting for');
      await channelWhen(client, 'the replica to run', isWaiting);
      const look = async (): Promise<{ is: string | undefined; lags: readonly string[] }> => {
        const { samples } = await run(client, { ...testCall(), ...call() });
        const [current = ''] = statesOf(samples, 'mysql_replication_state');
        const lags = [...samples.keys()].filter((key) => key.startsWith('mysql_replication_lag_seconds'));
        return { is: /state="(\w+)"/.exec(current)?.[1], lags };
      };
      for (let i = 0; i < 4; i++) assert.equal((await look()).is, 'running');
      await lab().link('replica->source').blackhole();
      const stalled = await waitFor(
        async () => {
          const seen = await look();
          return seen.is === 'stalled' && seen;
        },
        { deadlineMs: 10_000, what: 'the stall to be seen', intervalMs: 200 },
      );
      assert.deepEqual(stalled.lags, []);
      const [row] = await readReplication(client, call());
      assert.deepEqual(
        [row?.ioRunning, row?.lagSeconds.known && row.lagSeconds.value],
        ['yes', 0],
        'what the server itself says of it',
      );
      await lab().link('replica->source').restore();
      await waitFor(async () => (await look()).is === 'running', { deadlineMs: 10_000, what: 'running again' });
    },
  );

  test(
    'two sources: each channel has its own state, and one whose binary logs are gone says so',
    { skip },
    async () => {
      await using client = await open('replica');
      const channel = 'stock';
      const second = (statement: string): Promise<unknown> => lab().sql('source2', statement);
      const to = { host: lab().address, port: databasePorts.source2, password: lab().secret('repl') };
      await replica(flavour.connect(to, channel));
      await replica(flavour.start('both', channel));
      await channelWhen(client, 'the second channel to run', isRunning, channel);
      await second('CREATE DATABASE stock');
      await channelWhen(client, 'both to run', isRunning);
      await noStatementFails(room, 'replica', () => sweeps(room, 'replica'));
      const both = await run(client);
      assert.deepEqual(statesOf(both.samples, 'mysql_replication_state').toSorted(), [
        state('', 'running'),
        state(channel, 'running'),
      ]);

      await replica(flavour.stop('receiver', channel));
      const stopped = await run(client);
      assert.deepEqual(statesOf(stopped.samples, 'mysql_replication_state').toSorted(), [
        state('', 'running'),
        state(channel, 'stopped'),
      ]);
      const lags = [...stopped.samples.keys()].filter((key) => key.startsWith('mysql_replication_lag_seconds'));
      assert.ok(lags.length > 0);
      assert.ok(!lags.join().includes(channel), 'a channel that is stopped has no lag');

      // gone before the replica has read it
      await second('CREATE TABLE stock.items (id INT PRIMARY KEY)');
      await second('FLUSH BINARY LOGS');
      await second('INSERT INTO stock.items VALUES (1)');
      const logs = await lab().sql('source2', 'SHOW BINARY LOGS');
      await second(`PURGE BINARY LOGS TO '${String(logs.at(-1)?.['Log_name'])}'`);
      await replica(flavour.start('receiver', channel));
      const gone = await channelWhen(client, 'the purge to be seen', (c) => c.lastIoErrno !== 0, channel);
      assert.deepEqual(
        [gone.state, gone.ioRunning, gone.sqlRunning, gone.lastIoErrno, gone.lagSeconds.known],
        ['stopped', 'no', true, flavour.purgedErrno, false],
      );
      assert.match(gone.why, /1236|purged/);
      const purged = await run(client);
      assert.deepEqual(statesOf(purged.samples, 'mysql_replication_state').toSorted(), [
        state('', 'running'),
        state(channel, 'stopped'),
      ]);

      await replica(flavour.stop('both', channel));
      await replica(flavour.reset(channel));
      assert.deepEqual((await readReplication(client, call())).map(nameOf), ['']);
    },
  );

  test('STOP in the middle of a large transaction: no hang, and never a lag that is too small', { skip }, async (t) => {
    await using client = await open('replica');
    await lab().sql('source', insert(8888777, 'held'));
    await waitFor(async () => (await countOf(room, 'id = 8888777')) === 1, {
      deadlineMs: 10_000,
      what: 'the row to be replicated',
    });
    // The applier comes to a row that somebody else has locked, with thousands of rows written before it
    const holder = await room.connection('replica');
    await holder.beginTransaction();
    await holder.query('SELECT * FROM shop.orders WHERE id = 8888777 FOR UPDATE');
    const writer = await room.connection('source');
    await writer.beginTransaction();
    await writer.query(
      `INSERT INTO shop.orders (customer, state, total)
         WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         SELECT 'large', 'new', n.i FROM n JOIN n AS m`,
    );
    await writer.query("UPDATE shop.orders SET state = 'done' WHERE id = 8888777");
    await writer.commit();
    const committedMs = performance.now();
    await writer.end();
    await waitFor(
      async (signal) => {
        const waiting = "SELECT COUNT(*) AS n FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
        const [row] = await lab().sql('replica', waiting, signal);
        return Number(row?.['n']) > 0;
      },
      { deadlineMs: 15_000, what: 'the applier to wait for the lock' },
    );
    await channelWhen(client, 'the lag to grow', (c) => c.lagSeconds.known && c.lagSeconds.value >= 2);

    const stop = { done: false };
    const stopping = lab()
      .sql('replica', flavour.stop('applier'), AbortSignal.timeout(30_000))
      .then(() => (stop.done = true));
    const seen = new Map<string, number>();
    const until = performance.now() + 2500;
    while (performance.now() < until) {
      const begun = performance.now();
      const truthSeconds = (begun - committedMs) / 1000;
      const told = await tell(client);
      assert.ok(performance.now() - begun < 1500, 'it answers in time, whatever it says');
      if (typeof told === 'string') count(seen, told);
      else {
        count(seen, `${told.state}, lag ${told.lagSeconds.known ? 'known' : 'unknown'}`);
        const { lagSeconds } = told;
        // the server counts in whole seconds, and begins with the start of the statement
        if (lagSeconds.known) {
          assert.ok(lagSeconds.value >= truthSeconds - 1.5, `${lagSeconds.value} s behind after ${truthSeconds} s`);
          assert.ok(lagSeconds.value < truthSeconds + 60, 'the clocks of both servers are compared');
        }
      }
      await waitFor(() => performance.now() - begun > 100, { deadlineMs: 1000, what: 'the next look', intervalMs: 20 });
    }
    t.diagnostic(`STOP ${stop.done ? 'did not wait' : 'waited'} while it was asked: ${JSON.stringify([...seen])}`);
    await holder.rollback();
    await holder.end();
    await stopping;
    await using later = await open('replica'); // the first one may have been given up at a deadline
    const stopped = await channelWhen(later, 'the applier to be stopped', (c) => !c.sqlRunning);
    assert.deepEqual([stopped.state, stopped.lagSeconds.known], ['stopped', false]);
    await replica(flavour.start('applier'));
    await waitFor(async () => (await countOf(room, "customer = 'large'")) === 40_000, {
      deadlineMs: 20_000,
      what: 'all rows to be there',
    });
    await channelWhen(later, 'no lag', (c) => isRunning(c) && c.lagSeconds.known && c.lagSeconds.value === 0);
  });

  test('clocks that differ do not make a lag: of servers, and of events', { skip }, async (t) => {
    await using client = await open('replica');
    const lagOf = async (): Promise<number> => {
      const { lagSeconds } = await channelWhen(client, 'a known lag', isRunning);
      return lagSeconds.known ? lagSeconds.value : NaN;
    };
    assert.ok(Math.abs(await lagOf()) < 5);
    if (room.isClockWrong) t.diagnostic(`this replica is ${clockOffsetSeconds} s ahead of its source`);
    // an event that its source dates into the future: less than nothing is no lag
    const writer = await room.connection('source');
    await writer.query(`SET timestamp = UNIX_TIMESTAMP() + 1800`);
    await writer.query(insert(9999777, 'from the future'));
    await writer.end();
    await waitFor(async () => (await countOf(room, 'id = 9999777')) === 1, { deadlineMs: 10_000, what: 'the row' });
    const lag = await lagOf();
    assert.ok(lag >= 0 && lag < 5, `${lag}`);
    for (const [key, value] of (await run(client)).samples) {
      if (key.startsWith('mysql_replication_lag_seconds')) assert.ok(value >= 0 && value < 5, `${key} ${value}`);
    }
  });

  test('a time is a time, whatever the time zones of both servers and of the client', { skip }, async (t) => {
    await using client = await open('replica');
    await channelWhen(client, 'the replica to run', isRunning);
    await lab().sql('source', insert(9999778, 'of now'));
    await lab().sql('source', 'UPDATE heartbeat.heartbeat SET ts = UTC_TIMESTAMP(6)');
    await waitFor(async () => (await countOf(room, "customer = 'of now'")) === 1, {
      deadlineMs: 10_000,
      what: 'the row to be there',
    });
    const times = [...(await sweeps(room, 'replica'))].filter(
      ([key, value]) => /^mysql_\w+_(timestamp_seconds|event_time)\{/.test(key) && value > 0,
    );
    t.diagnostic(`${times.length} times`);
    assert.ok(times.length > 0);
    for (const [key, value] of times) {
      // no two of the zones here are less than two hours apart; a wrong clock is one hour off
      const offSeconds = Math.abs(value - Date.now() / 1000);
      assert.ok(offSeconds < 1.5 * clockOffsetSeconds, `${key}: ${offSeconds} s off`);
    }
  });
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

/** The default channel, or the class of the error. */
async function tell(client: MysqlClient): Promise<ReplicaChannel | string> {
  if (!client.usable()) return 'the connection was given up';
  try {
    const [channel] = await readReplication(client, call(1000));
    assert.ok(channel);
    return channel;
  } catch (error) {
    assert.ok(error instanceof TargetError);
    assert.equal(error.code, 'deadline');
    return error.code;
  }
}

async function countOf({ lab }: Room, where: string): Promise<number> {
  const [row] = await lab().sql('replica', `SELECT COUNT(*) AS n FROM shop.orders WHERE ${where}`);
  return Number(row?.['n']);
}
