// That no lag is told which is smaller than the true one, and none that comes from clocks and time zones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/lab.ts';
import { replicationCollector } from '../../exporter/systems/mysql/collector-replication.ts';
import { runner, statesOf, testCall, type Series } from '../unit/mysql/fake-client.ts';
import { call, clockOffsetSeconds, insertOrder, isRunning, type Room } from './mysql-room.ts';
import { sweeps } from './mysql-suite.ts';

export function lagSuite(room: Room): void {
  const { flavour, lab, open, channelWhen } = room;
  const skip = room.missing;
  const run = runner(replicationCollector);
  const replica = (statement: string): Promise<unknown> => lab().sql('replica', statement);

  test('STOP in the middle of a large transaction: no hang, and never a lag that is too small', { skip }, async (t) => {
    await using client = await open('replica');
    await lab().sql('source', insertOrder(8888777, 'held'));
    await waitFor(async () => (await countOf(room, 'id = 8888777')) === 1, {
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
      // InnoDB renews this list only when nobody has read it for 100 ms
      { what: 'the applier to wait for the lock', intervalMs: 250 },
    );
    await channelWhen(client, 'the lag to grow', (c) => c.lagSeconds.known && c.lagSeconds.value >= 2);

    const stop = { done: false };
    const stopping = lab()
      .sql('replica', flavour.stop('applier'), AbortSignal.timeout(30_000))
      .then(() => (stop.done = true));
    try {
      const seen = new Map<string, number>();
      const until = performance.now() + 2500;
      while (performance.now() < until) {
        const begun = performance.now();
        const truthSeconds = (begun - committedMs) / 1000;
        const { samples, error } = await run(client, { ...testCall(), ...call(4000) });
        assert.ok(performance.now() - begun < 4500, 'it answers in time, whatever it says');
        assert.equal(error, undefined);
        const lags = lagsOf(samples);
        for (const [method, lag] of lags) {
          // the status counts in whole seconds, and from the start of the statement
          assert.ok(lag >= truthSeconds - 1.5, `${method}: ${lag} s behind after ${truthSeconds} s`);
          assert.ok(lag < truthSeconds + 60, `${method}: the clocks of both servers are compared`);
        }
        const [current = ''] = statesOf(samples, 'mysql_replication_state');
        const what = [/state="(\w+)"/.exec(current)?.[1], ...lags.keys()].join(' ');
        seen.set(what, (seen.get(what) ?? 0) + 1);
        await waitFor(() => performance.now() - begun > 100, {
          what: 'the next look',
          intervalMs: 20,
        });
      }
      t.diagnostic(`STOP ${stop.done ? 'did not wait' : 'waited'} while it was asked: ${JSON.stringify([...seen])}`);
    } finally {
      await holder.rollback();
      await holder.end();
      await stopping;
    }
    const stopped = await channelWhen(client, 'the applier to be stopped', (c) => !c.sqlRunning);
    assert.deepEqual([stopped.state, stopped.lagSeconds.known], ['stopped', false]);
    await replica(flavour.start('applier'));
    await waitFor(async () => (await countOf(room, "customer = 'large'")) === 40_000, {
      what: 'all rows to be there',
    });
    await channelWhen(client, 'no lag', (c) => isRunning(c) && c.lagSeconds.known && c.lagSeconds.value === 0);
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
    await writer.query(insertOrder(9999777, 'from the future'));
    await writer.end();
    await waitFor(async () => (await countOf(room, 'id = 9999777')) === 1, { what: 'the row' });
    const lag = await lagOf();
    assert.ok(lag >= 0 && lag < 5, `${lag}`);
    for (const [method, value] of lagsOf((await run(client)).samples)) {
      assert.ok(value >= 0 && value < 5, `${method} ${value}`);
    }
  });

  test('a time is a time, whatever the time zones of both servers and of the client', { skip }, async (t) => {
    await using client = await open('replica');
    await channelWhen(client, 'the replica to run', isRunning);
    await lab().sql('source', insertOrder(9999778, 'of now'));
    await lab().sql('source', 'UPDATE heartbeat.heartbeat SET ts = UTC_TIMESTAMP(6)');
    await waitFor(async () => (await countOf(room, "customer = 'of now'")) === 1, {
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

/** By method. */
function lagsOf(samples: Series): ReadonlyMap<string, number> {
  return new Map(
    [...samples].flatMap(([key, value]) => {
      const [, method] = /^mysql_replication_lag_seconds\{.*method="(\w+)"/.exec(key) ?? [];
      return method === undefined ? [] : [[method, value] as const];
    }),
  );
}

async function countOf({ lab }: Room, where: string): Promise<number> {
  const [row] = await lab().sql('replica', `SELECT COUNT(*) AS n FROM shop.orders WHERE ${where}`);
  return Number(row?.['n']);
}
