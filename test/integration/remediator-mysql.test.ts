// Replication threads of a real MariaDB replica: what is started again, what is refused, and by which connection. The
// witness is the replica's own general log.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { databasePorts } from '../../deploy/lab/release.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import type { Look, Step, VisibleLock } from '../../remediator/action.ts';
import { endSessions, lockReplica, mutate, sessionOf } from '../../remediator/actions/mysql/session.ts';
import { alerted } from '../support/mysql-alert.ts';
import { against, startMysqlRepair, target, type MysqlRepair } from '../support/mysql-repair.ts';
import { insertOrder } from './mysql-room.ts';

let repair: MysqlRepair;
let nextId = 1;

before(async () => {
  repair = await startMysqlRepair(mariadbInstalled);
});
after(async () => {
  await repair.lab.stop();
});

const onReplica = (statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  repair.lab.sql('replica', statement);

async function write(rows = 1): Promise<number> {
  for (let i = 0; i < rows; i += 1) {
    await repair.lab.sql('source', insertOrder(nextId, 'somebody'));
    nextId += 1;
  }
  return nextId - 1;
}

async function status(): Promise<Readonly<Record<string, string>>> {
  const [row] = await onReplica('SHOW ALL SLAVES STATUS');
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, String(value)]));
}

async function statusIs(what: string, is: (row: Readonly<Record<string, string>>) => boolean): Promise<void> {
  let last = '';
  await waitFor(
    async () => {
      const row = await status();
      last = JSON.stringify(row);
      return is(row);
    },
    { what, detail: () => last },
  );
}

async function hasRow(id: number): Promise<boolean> {
  return (await onReplica(`SELECT id FROM shop.orders WHERE id = ${id}`)).length === 1;
}

const arrives = (id: number): Promise<boolean> => waitFor(() => hasRow(id), { what: `row ${id} on the replica` });

/** A receiver that has lost its source sleeps for its retry time, and does not see that the source is back. */
async function sleepyReceiver(): Promise<void> {
  await onReplica('STOP SLAVE');
  await onReplica('CHANGE MASTER TO MASTER_CONNECT_RETRY = 3600');
  await onReplica('START SLAVE');
  await statusIs('replication', (r) => r['Slave_IO_Running'] === 'Yes' && r['Slave_SQL_Running'] === 'Yes');
}

async function cut(): Promise<void> {
  await repair.lab.link('replica->source').cut();
  await statusIs('the receiver to have lost its source', (r) => r['Slave_IO_Running'] === 'Connecting');
  await waitFor(async () => (await status())['Last_IO_Errno'] !== '0', { what: 'its error' });
}

/** Holds a row on the replica, so that the applier gives up with 1205. */
async function blockApplier(id: number): Promise<AsyncDisposable> {
  await onReplica('SET GLOBAL innodb_lock_wait_timeout = 1');
  await onReplica('SET GLOBAL slave_transaction_retries = 0');
  await onReplica('STOP SLAVE SQL_THREAD');
  await onReplica('START SLAVE SQL_THREAD'); // with the new limits
  const holder = await createConnection({
    host: repair.lab.address,
    port: databasePorts.replica,
    user: 'lab',
    password: repair.lab.secret('lab'),
  });
  await holder.query('BEGIN');
  await holder.query(`SELECT id FROM shop.orders WHERE id = ${id} FOR UPDATE`);
  await repair.lab.sql('source', `UPDATE shop.orders SET state = 'paid' WHERE id = ${id}`);
  await statusIs('the applier to give up', (r) => r['Last_SQL_Errno'] === '1205' && r['Slave_SQL_Running'] === 'No');
  return {
    [Symbol.asyncDispose]: async () => {
      await holder.end();
    },
  };
}

function withoutConditions(look: Look<unknown>): Look<unknown> {
  return { ...look, preconditions: {} };
}

test('a receiver that sleeps after its source came back is stopped and started, on the session with the lock, and the rows arrive', async () => {
  await sleepyReceiver();
  await arrives(await write());
  await cut();
  const missed = await write(3);
  await repair.lab.link('replica->source').restore();
  await repair.mark();
  const run = await repair.run();
  assert.equal(run.outcome, 'verified', run.because);
  assert.equal(await hasRow(missed), true);
  const said = await repair.said();
  assert.deepEqual(
    said.map((s) => s.statement),
    ['STOP SLAVE IO_THREAD', 'START SLAVE IO_THREAD'],
  );
  const [first] = said;
  assert.ok(said.every((s) => s.connection === first?.connection));
  const locks = await onReplica(
    `SELECT thread_id FROM mysql.general_log WHERE thread_id = ${first?.connection ?? 0} AND argument LIKE '%GET_LOCK%pipemedic:${target}%'`,
  );
  assert.equal(locks.length, 1, 'the connection that said it holds the lock');
  assert.match(run.journalText, new RegExp(`"connection":${first?.connection ?? 0}\\b`), 'and stands in the intent');
});

test('an alert, its decision and its run: the channel is the one that its label names, and the server lists', async () => {
  await sleepyReceiver();
  await cut();
  const missed = await write();
  await repair.lab.link('replica->source').restore();
  await repair.mark();
  {
    await using wrong = await alerted(repair, { connection_name: "CANARY'; STOP SLAVE; --" });
    const decision = await wrong.decided('preconditions:no_such_channel');
    assert.equal(decision.verdict, 'refuse');
    assert.deepEqual(await wrong.runs(), []);
    assert.deepEqual(await repair.said(), []);
  }
  await using right = await alerted(repair, { channel_name: '', connection_name: '' });
  const run = await right.ended();
  assert.equal(run.outcome, 'verified', run.because);
  assert.equal(await hasRow(missed), true);
});

test('an idle source: a new connection that reads to its end is proof enough', async () => {
  await sleepyReceiver();
  await cut();
  await repair.lab.link('replica->source').restore();
  const run = await repair.run();
  assert.equal(run.outcome, 'verified', run.because);
});

test('errno 0 and stopped: held as an intentional stop, unless the policy says after how long it is not', async () => {
  await onReplica('STOP SLAVE SQL_THREAD');
  const id = await write();
  const look = await repair.look();
  assert.deepEqual([look.alreadyFixed.is, look.preconditions['error_class']?.code], ['allow', 'intentional_stop']);
  await repair.mark();
  const refused = await repair.run({}, { now: true });
  assert.equal(refused.outcome, 'refused', refused.because);
  assert.match(refused.because ?? '', /^intentional_stop/);
  assert.deepEqual(await repair.said(), []);
  assert.equal(await hasRow(id), false);

  const run = await repair.run({ resumeCleanStopSeconds: 1 });
  assert.equal(run.outcome, 'verified', run.because);
  assert.equal(await hasRow(id), true);
  assert.deepEqual(
    (await repair.said()).map((s) => s.statement),
    ['START SLAVE SQL_THREAD'],
  );
});

test('the applier gave up on a lock: one START for one standstill, and none that is not verified', async () => {
  const id = await write();
  await arrives(id);
  const block = await blockApplier(id);
  const { observers, progressMark, preconditions } = await repair.look();
  assert.equal(preconditions['error_class']?.code, 'retryable');
  assert.deepEqual(
    observers?.map((o) => o.says),
    ['broken', 'broken'],
  );
  await repair.mark();
  const failed = await repair.run({ verifySeconds: 5 });
  assert.equal(failed.outcome, 'failed', failed.because);
  assert.equal((await repair.said()).length, 1);
  assert.equal((await repair.look()).progressMark, progressMark, 'nothing has moved: no further attempt');

  await block[Symbol.asyncDispose]();
  const run = await repair.run();
  assert.equal(run.outcome, 'verified', run.because);
  const [row] = await onReplica(`SELECT state FROM shop.orders WHERE id = ${id}`);
  assert.equal(row?.['state'], 'paid');
});

test('a session that was ended cannot change anything: what it would have said is not heard', async () => {
  const id = await write();
  await arrives(id);
  await using block = await blockApplier(id);
  await block[Symbol.asyncDispose]();
  await repair.mark();
  let killed = 0;
  const kill = async (lock: VisibleLock | undefined): Promise<void> => {
    const { connection } = lock?.identity as { connection: number };
    await onReplica(`KILL ${connection}`);
    killed = connection;
    const isGone = async (): Promise<boolean> =>
      (await onReplica(`SELECT ID FROM information_schema.PROCESSLIST WHERE ID = ${connection}`)).length === 0;
    await waitFor(isGone, { what: 'the session to be gone' });
  };
  const run = await repair.run(
    {},
    {
      change: (action) => ({
        ...action,
        steps: (...args) =>
          action.steps(...args).map((step): Step<unknown> => {
            const { apply } = step;
            if (step.name !== 'start' || apply === undefined) return step;
            return {
              ...step,
              apply: async (at, session) => {
                if (killed === 0) await kill(at.lock);
                return await apply(at, session);
              },
            };
          }),
      }),
    },
  );
  assert.ok(killed > 0);
  assert.notEqual(run.outcome, 'verified', run.because);
  assert.deepEqual(await repair.said(), []);
  assert.equal((await status())['Slave_SQL_Running'], 'No');
  assert.equal((await repair.run()).outcome, 'verified');
});

test('a successor ends the recorded session first: the former one loses its lock and its word', async () => {
  const taken = await lockReplica(target, repair.world, within(10_000));
  assert.ok(taken.is === 'held', JSON.stringify(taken));
  const { lock } = taken;
  const session = sessionOf(lock);
  const second = await lockReplica(target, repair.world, within(10_000));
  assert.equal(second.is, 'refused');
  await repair.mark();
  const former = [{ step: 'start', attempt: 1, fence: 1, identity: session.identity }];
  const ended = await endSessions(target, repair.world, former, within(10_000));
  assert.equal(ended.is, 'yes', ended.because);
  assert.equal((await lock.held(within(5_000))).is, 'no');
  const applied = await mutate(session, 'STOP SLAVE SQL_THREAD', repair.world, within(5_000));
  assert.notEqual(applied.is, 'done');
  const again = await lockReplica(target, repair.world, within(10_000));
  assert.ok(again.is === 'held', JSON.stringify(again));
  // another start of the server, and a number that was never given: nothing is ended
  const stale = { ...(session.identity as { startedAtSeconds: number }), startedAtSeconds: 1 };
  const { connection } = again.lock.identity as { connection: number };
  await endSessions(
    target,
    repair.world,
    [{ step: '', attempt: 1, fence: 1, identity: { ...stale, connection } }],
    within(10_000),
  );
  assert.equal((await again.lock.held(within(5_000))).is, 'yes');
  assert.deepEqual(
    (await repair.said()).map((s) => s.statement),
    [`KILL ${(session.identity as { connection: number }).connection}`],
  );
  await again.lock[Symbol.asyncDispose]();
  await lock[Symbol.asyncDispose]();
});

test('a name of a channel that the server does not list never reaches it', async () => {
  for (const connection of ["x'; DROP TABLE shop.orders; -- CANARY", 'CANARY$(reboot)', 'CANARY`']) {
    const look = await repair.look({ connection });
    assert.equal(look.preconditions['channel']?.code, 'no_such_channel', connection);
    assert.equal(look.before, undefined);
    const run = await repair.run({ connection }, { now: true });
    assert.equal(run.outcome, 'refused', run.because);
  }
  const everything = await repair.everything();
  assert.match(everything, /SHOW ALL SLAVES STATUS/);
  assert.doesNotMatch(everything, /CANARY/);
});

test('MariaDB, GTID, source down, received events not applied: refused with the trap named, and nothing is lost', async () => {
  await sleepyReceiver();
  await onReplica('STOP SLAVE SQL_THREAD');
  const last = await write(50);
  const [source] = await repair.lab.sql('source', 'SELECT @@GLOBAL.gtid_binlog_pos AS pos');
  const pos = String(source?.['pos']);
  await statusIs('everything to be received', (r) => r['Gtid_IO_Pos'] === pos);
  await repair.lab.part('source').kill();
  await statusIs('the receiver to notice', (r) => r['Slave_IO_Running'] === 'Connecting');
  await repair.mark();
  const look = await repair.look({ thread: 'io' });
  assert.deepEqual(
    [look.preconditions['relay_log']?.code, look.preconditions['primary']?.code],
    ['gtid_relay_trap', 'primary_down'],
  );
  const run = await repair.run({ thread: 'io' }, { now: true });
  assert.equal(run.outcome, 'refused', run.because);
  assert.match(run.because ?? '', /^gtid_relay_trap/);
  assert.deepEqual(await repair.said(), []);
  assert.equal((await status())['Gtid_IO_Pos'], pos);

  // what the guard is for: the same by hand loses all of them until the source is back
  await onReplica('STOP SLAVE IO_THREAD');
  await onReplica('START SLAVE IO_THREAD');
  assert.notEqual((await status())['Gtid_IO_Pos'], pos);
  await repair.lab.part('source').start();
  await onReplica('STOP SLAVE');
  await onReplica('START SLAVE');
  await arrives(last);
});

test('errno 1236, the source has purged what is needed: never started', async () => {
  await onReplica('STOP SLAVE IO_THREAD');
  await write();
  await repair.lab.sql('source', 'FLUSH BINARY LOGS');
  await write();
  await waitFor(
    async () => {
      const [now] = await repair.lab.sql('source', 'SHOW MASTER STATUS');
      await repair.lab.sql('source', `PURGE BINARY LOGS TO '${String(now?.['File'])}'`);
      return (await repair.lab.sql('source', 'SHOW BINARY LOGS')).length === 1;
    },
    { what: 'the binary logs to be purged', intervalMs: 500 },
  );
  await onReplica('START SLAVE IO_THREAD');
  await statusIs('the error', (r) => r['Last_IO_Errno'] === '1236');
  await repair.mark();
  const look = await repair.look();
  assert.deepEqual([look.preconditions['error_class']?.code, look.preconditions['purged']?.code], ['purged', 'purged']);
  assert.match(look.advice.map((a) => a.text).join(), /set up anew|Restore a backup/);
  const run = await repair.run({}, { now: true });
  assert.equal(run.outcome, 'refused', run.because);
  assert.deepEqual(await repair.said(), []);
  assert.match(against(look), /deny purged/);

  // the same with conditions that allow everything: then it is started, fails at once, and people are told never to
  const mutant = await repair.run(
    {},
    {
      now: true,
      change: (action) => ({ ...action, look: async (...args) => withoutConditions(await action.look(...args)) }),
    },
  );
  assert.deepEqual(
    [mutant.outcome, (await repair.said()).map((s) => s.statement)],
    ['failed', ['START SLAVE IO_THREAD']],
  );
  assert.match(mutant.because ?? '', /ended again \(purged\)/);
});

test('its account may do this and no more', async () => {
  const lines = await onReplica("SHOW GRANTS FOR 'remediator'@'%'");
  const text = lines.map((row) => Object.values(row).join()).join('\n');
  assert.match(text, /REPLICATION SLAVE ADMIN/);
  assert.doesNotMatch(text, /SUPER|ALL PRIVILEGES|CONNECTION ADMIN/);
});
