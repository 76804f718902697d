// The MySQL collectors against a real MariaDB source and replica whose link can be broken.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { ports } from '../../deploy/lab/address.ts';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { replicationCollector } from '../../exporter/systems/mysql/collector-replication.ts';
import { bytesBetween, readBinlogs } from '../../exporter/systems/mysql/facts-binlogs.ts';
import { readReplication, type ReplicaChannel } from '../../exporter/systems/mysql/facts-replication.ts';
import { cdcReady, readServer } from '../../exporter/systems/mysql/facts-server.ts';
import { readDumpThreads } from '../../exporter/systems/mysql/facts-threads.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import type { Call } from '../../exporter/collector.ts';
import { runner, statesOf, testCall } from '../unit/mysql/fake-client.ts';

let lab: Lab;

before(async () => {
  lab = await startLab({ parts: ['source', 'replica'] });
  await lab.sql('source', "CREATE USER 'nobody'@'%' IDENTIFIED BY 'n0body-secret'");
});

after(() => lab.stop());

function call(ms = 5000): Call {
  return { signal: within(ms), clock: systemClock };
}

function open(name: 'source' | 'replica', user = 'exporter', given = call()): Promise<MysqlClient> {
  const auth = { user, password_file: lab.secretFile(user) };
  return openMysql({ address: { host: lab.address, port: ports[name] }, auth, tls: undefined }, given);
}

/** Not in the binary log: with strict GTIDs a replica stops at transactions of its own. */
async function unlogged(name: 'source' | 'replica', statement: string): Promise<void> {
  const password = lab.secret('lab');
  const connection = await createConnection({ host: lab.address, port: ports[name], user: 'lab', password });
  await connection.query('SET sql_log_bin = 0');
  await connection.query(statement);
  await connection.end();
}

async function channelWhen(
  client: MysqlClient,
  what: string,
  is: (channel: ReplicaChannel) => boolean,
): Promise<ReplicaChannel> {
  return waitFor(
    async (signal) => {
      const [channel] = await readReplication(client, { signal, clock: systemClock });
      return channel !== undefined && is(channel) && channel;
    },
    { deadlineMs: 15_000, what },
  );
}

test('a session is read only, in UTC and limited by the server, and no statement of a sweep fails on a healthy server', async () => {
  await using client = await open('source');
  assert.equal(client.flavour, 'mariadb');
  assert.equal(client.logBin, true);
  assert.equal(client.account, 'exporter@%');
  const [session] = await client.query(
    'SELECT @@tx_read_only AS ro, @@time_zone AS tz, @@max_statement_time AS max, CONNECTION_ID() AS id',
    [],
    call(),
  );
  assert.deepEqual([Number(session?.['ro']), session?.['tz'], Number(session?.['max'])], [1, '+00:00', 5]);

  const bound = mysql.bind(
    {
      name: 'db',
      kind: 'mysql',
      address: { host: lab.address, port: ports.source },
      auth: { user: 'exporter', password_file: lab.secretFile('exporter') },
    },
    () => assert.fail('nothing is referred to'),
  );
  // MariaDB's own log of every statement that ended in an error
  await lab.sql('source', "INSTALL SONAME 'sql_errlog'");
  const opened = await bound.open(call());
  await opened.ping(call());
  for (const collector of bound.collectors) {
    const samples: string[] = [];
    await collector.collect(opened, ({ family }) => samples.push(family.name), testCall());
    assert.ok(samples.length > 0, collector.name);
  }
  await opened[Symbol.asyncDispose]();
  await assert.rejects(lab.sql('source', 'SELECT nothing_of_the_sort'));
  const errors = readFileSync(`${lab.dir}/source/sql_errors.log`, 'utf8').trim().split('\n');
  assert.ok(errors.some((line) => line.includes('nothing_of_the_sort')));
  assert.deepEqual(
    errors.filter((line) => line.includes('exporter[')),
    [],
  );
  await lab.sql('source', "UNINSTALL SONAME 'sql_errlog'");
});

test('a source: settings, binary logs, who reads them', async () => {
  await using client = await open('source');
  const server = await readServer(client, call());
  assert.equal(server.serverId, 1);
  assert.ok(Math.abs(server.nowMs - Date.now()) < 5000);
  assert.deepEqual(
    cdcReady(server).filter(({ ok }) => !ok),
    [],
  );

  const before = await readBinlogs(client, call());
  await lab.sql('source', 'FLUSH BINARY LOGS');
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)");
  const later = await readBinlogs(client, call());
  assert.equal(later.files.length, before.files.length + 1);
  assert.ok(before.current && later.current);
  const distance = bytesBetween(later, before.current, later.current);
  const size = (name: string): number => later.files.find((f) => f.name === name)?.sizeBytes ?? NaN;
  assert.equal(distance, size(before.current.file) - before.current.position + later.current.position);

  const threads = await readDumpThreads(client, call());
  assert.deepEqual(
    threads.map(({ user, command }) => [user, command]),
    [['repl', 'Binlog Dump']],
  );

  const { samples } = await runner(replicationCollector)(client);
  assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [
    'mysql_replication_state{channel_name="",connection_name="",state="not_configured"}',
  ]);
});

test('a replica: running, stopped, cut off, refused, broken by an error, and running again', async () => {
  await using client = await open('replica');
  const run = runner(replicationCollector);
  const isRunning = (c: ReplicaChannel): boolean => c.state === 'running' && c.lagSeconds.known;
  await channelWhen(client, 'the replica to run', isRunning);
  assert.ok([...(await run(client)).samples.keys()].some((k) => k.startsWith('mysql_replication_lag_seconds')));

  await lab.sql('replica', 'STOP SLAVE IO_THREAD');
  const stopped = await channelWhen(client, 'the receiver to stop', (c) => c.ioRunning === 'no');
  assert.deepEqual([stopped.state, stopped.sqlRunning, stopped.lastIoErrno], ['stopped', true, 0]);
  const { samples } = await run(client);
  assert.ok(![...samples.keys()].some((key) => key.includes('seconds_behind') || key.includes('lag_seconds')));
  assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [
    'mysql_replication_state{channel_name="",connection_name="",state="stopped"}',
  ]);

  await lab.link('replica->source').cut();
  await lab.sql('replica', 'START SLAVE IO_THREAD');
  const cut = await channelWhen(client, 'a refused connection', (c) => c.lastIoErrno !== 0);
  assert.deepEqual([cut.state, cut.ioRunning, cut.lagSeconds.known], ['connecting', 'connecting', false]);
  await lab.link('replica->source').restore();
  await channelWhen(client, 'the replica to run again', isRunning);

  await unlogged('source', "ALTER USER 'repl'@'%' IDENTIFIED BY 'another'");
  await lab.sql('replica', 'STOP SLAVE IO_THREAD');
  await lab.sql('replica', 'START SLAVE IO_THREAD');
  const refused = await channelWhen(client, 'a refused password', (c) => c.lastIoErrno === 1045);
  assert.equal(refused.state, 'connecting');
  assert.match(refused.why, /Access denied/);
  await unlogged('source', `ALTER USER 'repl'@'%' IDENTIFIED BY '${lab.secret('repl')}'`);
  await channelWhen(client, 'the replica to run with the old password', isRunning);

  await unlogged('replica', "INSERT INTO shop.orders (id, customer, state, total) VALUES (7777, 'here', 'new', 1)");
  await lab.sql('source', "INSERT INTO shop.orders (id, customer, state, total) VALUES (7777, 'there', 'new', 1)");
  const broken = await channelWhen(client, 'the applier to break', (c) => !c.sqlRunning);
  assert.deepEqual([broken.state, broken.lastSqlErrno, broken.ioRunning], ['stopped', 1062, 'yes']);
  assert.equal(broken.lagSeconds.known, false);
});

test('a receiver on a dead link says running and 0 s; it is called stalled after two heartbeat periods', async () => {
  await lab.sql('replica', 'STOP SLAVE');
  await unlogged('replica', 'DELETE FROM shop.orders WHERE id = 7777');
  await lab.sql('replica', 'CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 0.5');
  await lab.sql('replica', 'START SLAVE');
  await using client = await open('replica');
  await channelWhen(client, 'the replica to run', (c) => c.state === 'running' && c.ioState.startsWith('Waiting for'));
  const run = runner(replicationCollector);
  const look = async (): Promise<{ states: readonly string[]; lag: number | undefined }> => {
    const { samples } = await run(client, { ...testCall(), ...call() });
    const lag = samples.get('mysql_replication_lag_seconds{channel_name="",connection_name="",method="status"}');
    return { states: statesOf(samples, 'mysql_replication_state'), lag };
  };
  const isState = (states: readonly string[], state: string): boolean =>
    states[0]?.includes(`state="${state}"`) === true;
  for (let i = 0; i < 4; i++) assert.ok(isState((await look()).states, 'running'));
  await lab.link('replica->source').blackhole();
  const stalled = await waitFor(
    async () => {
      const seen = await look();
      return isState(seen.states, 'stalled') && seen;
    },
    { deadlineMs: 10_000, what: 'the stall to be seen', intervalMs: 200 },
  );
  assert.equal(stalled.lag, undefined);
  const [row] = await readReplication(client, call());
  assert.deepEqual(
    [row?.ioRunning, row?.lagSeconds.known && row.lagSeconds.value],
    ['yes', 0],
    'what the server itself says of it',
  );
  await lab.link('replica->source').restore();
  await waitFor(async () => isState((await look()).states, 'running'), { deadlineMs: 10_000, what: 'running again' });
});

test('each way of not being let in has its class, and no error holds the password', async () => {
  const to = (port: number, auth: { user: string; password_file: string }, ms = 2000): Promise<unknown> =>
    openMysql({ address: { host: lab.address, port }, auth, tls: undefined }, call(ms));
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const wrong = { user: 'exporter', password_file: lab.secretFile('another') };

  await assert.rejects(to(ports.source, wrong), (error: unknown) => {
    assert.ok(error instanceof TargetError);
    assert.equal(error.code, 'auth');
    assert.match(error.message, /1045/);
    assert.ok(!error.message.includes(lab.secret('another')));
    return true;
  });
  await assert.rejects(to(1, auth), { code: 'refused' });
  await assert.rejects(openMysql({ address: { socket: `${lab.dir}/none.sock` }, auth, tls: undefined }, call()), {
    code: 'refused',
  });
  await assert.rejects(to(ports.source, { user: 'exporter', password_file: '/nonexistent' }), { code: 'secret' });
  await assert.rejects(
    openMysql(
      { address: { host: lab.address, port: ports.source }, auth, tls: { ca_file: lab.secretFile('lab') } },
      call(),
    ),
    { code: 'tls' },
    'the server speaks no TLS',
  );
  await using local = await openMysql({ address: { socket: `${lab.dir}/source.sock` }, auth, tls: undefined }, call());
  await local.ping(call());
});

test('a server that accepts and never answers ends at the deadline, and its connection is destroyed', async () => {
  await lab.link('replica->source').blackhole();
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const address = { host: lab.address, port: ports.replicaToSource };
  const begun = performance.now();
  await assert.rejects(openMysql({ address, auth, tls: undefined }, call(400)), { code: 'deadline' });
  assert.ok(performance.now() - begun < 1500);

  await lab.link('replica->source').restore();
  await using client = await openMysql({ address, auth, tls: undefined }, call());
  await lab.link('replica->source').blackhole();
  await assert.rejects(client.query('SELECT 1', [], call(300)), { code: 'deadline' });
  assert.equal(client.usable(), false);
  await assert.rejects(client.query('SELECT 1', [], call(300)), { code: 'unreachable' });
  await lab.link('replica->source').restore();
});

test('what is denied is told with the exact GRANT, and the GRANT helps', async () => {
  process.env['NOBODY_PASSWORD'] = 'n0body-secret';
  const auth = { user: 'nobody', password_env: 'NOBODY_PASSWORD' };
  const openNobody = (): Promise<MysqlClient> =>
    openMysql({ address: { host: lab.address, port: ports.source }, auth, tls: undefined }, call());
  for (const read of [readReplication, readBinlogs, readDumpThreads]) {
    await using client = await openNobody();
    const grant = await read(client, call()).then(
      () => assert.fail('it must be denied'),
      (error: unknown) => {
        assert.ok(error instanceof TargetError);
        assert.equal(error.code, 'denied');
        const [, found = ''] = /To allow it: (GRANT .+)$/.exec(error.message) ?? [];
        return found;
      },
    );
    assert.match(grant, / ON \*\.\* TO 'nobody'@'%'$/);
    await lab.sql('source', grant);
    await using allowed = await openNobody();
    await read(allowed, call());
  }
});

test('a query that takes too long for the server ends as a deadline and leaves the connection usable', async () => {
  await using client = await open('source');
  await assert.rejects(client.query('SELECT SLEEP(30)', [], call(9000)), { code: 'deadline', message: /1969/ });
  assert.equal(client.usable(), true);
  await assert.rejects(client.query('CREATE DATABASE nothing', [], call()), TargetError);
});

test('the shipped grants are enough for every fact, for exporter and remediator', async () => {
  for (const who of ['exporter', 'remediator']) {
    const file = new URL(`../../deploy/sql/${who}-mariadb.sql`, import.meta.url);
    const statements = readFileSync(file, 'utf8')
      .replaceAll(/^--.*$/gm, '')
      .replace('CHANGE-ME', 'n0body-secret')
      .split(';')
      .filter((statement) => statement.trim() !== '');
    assert.ok(statements.length >= 3);
    for (const statement of statements) await lab.sql('source', statement);
    process.env['SHIPPED_PASSWORD'] = 'n0body-secret';
    const auth = { user: `pipemedic_${who}`, password_env: 'SHIPPED_PASSWORD' };
    const address = { host: lab.address, port: ports.source };
    await using client = await openMysql({ address, auth, tls: undefined }, call());
    await readServer(client, call());
    await readReplication(client, call());
    assert.ok((await readBinlogs(client, call())).current);
    assert.ok((await readDumpThreads(client, call())).length > 0);
    const [lock] = await client.query("SELECT GET_LOCK('a', 0) AS got", [], call());
    assert.equal(Number(lock?.['got']), 1);
    await assert.rejects(client.query('SELECT COUNT(*) FROM shop.orders', [], call()), { code: 'denied' });
  }
});
