// What the MySQL collectors must do on every server, whatever its flavour and version: one server, its accounts and what
// it refuses. Replication is in mysql-suite-replication.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ports } from '../../deploy/lab/address.ts';
import { databasePorts, type DatabaseName } from '../../deploy/lab/release.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import type { Sample } from '../../exporter/families.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { replicationCollector } from '../../exporter/systems/mysql/collector-replication.ts';
import { bytesBetween, readBinlogs } from '../../exporter/systems/mysql/facts-binlogs.ts';
import { readReplication } from '../../exporter/systems/mysql/facts-replication.ts';
import { readClockOffset, readServer } from '../../exporter/systems/mysql/facts-server.ts';
import { readDumpThreads } from '../../exporter/systems/mysql/facts-threads.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { runner, series, statesOf, testCall, type Series } from '../unit/mysql/fake-client.ts';
import { call, clockOffsetSeconds, type Room } from './mysql-room.ts';

/** How many statements of that user have failed, as the server itself counts them. */
async function failures({ lab }: Room, name: DatabaseName, user: string): Promise<number> {
  const [row] = await lab().sql(
    name,
    `SELECT SUM(SUM_ERRORS) AS errors, SUM(COUNT_STAR) AS statements
       FROM performance_schema.events_statements_summary_by_account_by_event_name WHERE USER = '${user}'`,
  );
  assert.ok(Number(row?.['statements']) > 0, 'the server counts');
  return Number(row?.['errors']);
}

async function failedStatements({ lab }: Room, name: DatabaseName): Promise<readonly unknown[]> {
  return lab().sql(
    name,
    'SELECT DIGEST_TEXT, SUM_ERRORS FROM performance_schema.events_statements_summary_by_digest WHERE SUM_ERRORS > 0',
  );
}

/** With every collector, also those that are off by default, and all variables. */
function boundTo(room: Room, name: DatabaseName): ReturnType<typeof mysql.bind> {
  return mysql.bind(
    {
      name: 'db',
      kind: 'mysql',
      address: { host: room.lab().address, port: databasePorts[name] },
      auth: { user: 'exporter', password_file: room.lab().secretFile('exporter') },
      collectors: {
        ...Object.fromEntries(mysql.collectors.map((c) => [c.name, {}])),
        heartbeat: { utc: true },
        global_status: { all: true },
        global_variables: { all: true },
      },
    },
    () => assert.fail('nothing is referred to'),
  );
}

/** Every collector on one connection, `times` times over, then what `doctor` asks. The samples of the last time. */
export async function sweeps(room: Room, name: DatabaseName, times = 2): Promise<Series> {
  const bound = boundTo(room, name);
  assert.equal(bound.collectors.length, mysql.collectors.length);
  const opened = await bound.open(call());
  let last: Sample[] = [];
  try {
    for (let i = 0; i < times; i++) {
      last = [];
      await opened.ping(call());
      for (const collector of bound.collectors) {
        const before = last.length;
        await collector.collect(opened, (sample) => last.push(sample), { ...testCall(), ...call() });
        assert.ok(last.length > before || mayBeSilent(collector.name, name), `${collector.name} on ${name}`);
      }
    }
    await bound.examine(opened, call());
  } finally {
    await opened[Symbol.asyncDispose]();
  }
  return series(last);
}

/** Nothing has registered with a replica. */
function mayBeSilent(collector: string, name: DatabaseName): boolean {
  return collector === 'slave_hosts' && name === 'replica';
}

export async function noStatementFails(room: Room, name: DatabaseName, doing: () => Promise<unknown>): Promise<void> {
  {
    await using client = await room.open(name);
    await client.ping(call());
  }
  const before = await failures(room, name, 'exporter');
  await doing();
  const after = await failures(room, name, 'exporter');
  assert.equal(after, before, `on ${name}: ${JSON.stringify(await failedStatements(room, name))}`);
}

export function serverSuite(room: Room): void {
  const { flavour, lab, open } = room;
  const skip = room.missing;

  test('a session is read only, in UTC and limited by the server', { skip }, async () => {
    await using client = await open('source');
    assert.equal(client.flavour, flavour.kind);
    assert.equal(client.logBin, true);
    assert.equal(client.account, 'exporter@%');
    const { readOnly, limitSeconds } = flavour.session;
    const [session] = await client.query(
      `SELECT ${readOnly} AS ro, @@time_zone AS tz, ${limitSeconds} AS max`,
      [],
      call(),
    );
    assert.deepEqual([Number(session?.['ro']), session?.['tz'], Number(session?.['max'])], [1, '+00:00', 5]);
  });

  test('every collector succeeds, and no statement fails by the count of a healthy server', { skip }, async () => {
    for (const name of ['source', 'replica'] as const) {
      await noStatementFails(room, name, () => sweeps(room, name));
    }
    await using client = await open('source');
    const before = await failures(room, 'source', 'exporter');
    await assert.rejects(client.query('SELECT nothing_of_the_sort', [], call()), TargetError);
    assert.equal(await failures(room, 'source', 'exporter'), before + 1, 'it would have been counted');
  });

  test('a source: settings, binary logs, who reads them', { skip }, async () => {
    await using client = await open('source');
    const server = await readServer(client, call());
    assert.equal(server.serverId, 1);
    assert.deepEqual(
      [server.flavour, server.logBin, server.binlogFormat, server.binlogRowImage, server.readOnly],
      [flavour.kind, true, 'ROW', 'FULL', false],
    );

    const before = await readBinlogs(client, call());
    await lab().sql('source', 'FLUSH BINARY LOGS');
    await lab().sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)");
    const later = await readBinlogs(client, call());
    assert.equal(later.files.length, before.files.length + 1);
    assert.ok(before.current && later.current);
    const distance = bytesBetween(later, before.current, later.current);
    const size = (name: string): number => later.files.find((f) => f.name === name)?.sizeBytes ?? NaN;
    assert.equal(distance, size(before.current.file) - before.current.position + later.current.position);

    const threads = await readDumpThreads(client, call());
    assert.deepEqual(
      threads.map(({ user, command }) => [user, command]),
      [['repl', flavour.kind === 'mysql' ? 'Binlog Dump GTID' : 'Binlog Dump']],
    );

    const { samples } = await runner(replicationCollector)(client);
    assert.deepEqual(statesOf(samples, 'mysql_replication_state'), [
      'mysql_replication_state{channel_name="",connection_name="",state="not_configured"}',
    ]);
  });

  test('the clock of a server is its own, whatever the time zones of server and client', { skip }, async (t) => {
    const zones = await Promise.all(
      (['source', 'replica'] as const).map((name) =>
        lab().sql(
          name,
          'SELECT @@system_time_zone AS os, @@GLOBAL.time_zone AS own, TIMEDIFF(NOW(), UTC_TIMESTAMP()) AS off',
        ),
      ),
    );
    assert.deepEqual(
      zones.map(([row]) => [row?.['os'], row?.['own'], row?.['off']]),
      [
        ['IST', 'SYSTEM', '05:30:00'],
        ['NST', '-07:00', '-07:00:00'],
      ],
    );
    assert.ok([630, 660].includes(-new Date().getTimezoneOffset()), 'the client is elsewhere');

    await using source = await open('source');
    const right = await readClockOffset(source, call());
    assert.ok(Math.abs(right.offsetMs) < 2000, `${right.offsetMs} ms off`);
    await using client = await open('replica');
    const { offsetMs } = await readClockOffset(client, call());
    const offMs = room.isClockWrong ? clockOffsetSeconds * 1000 : 0;
    if (!room.isClockWrong) t.diagnostic('the clock of this server cannot be set wrong');
    assert.ok(Math.abs(offsetMs - offMs) < 2000, `${offsetMs} ms off`);
  });

  test('each way of not being let in has its class, and no error holds the password', { skip }, async () => {
    const { address, dir, secretFile, secret } = lab();
    const to = (port: number, auth: { user: string; password_file: string }, ms = 2000): Promise<unknown> =>
      openMysql({ address: { host: address, port }, auth, tls: undefined }, call(ms));
    const auth = { user: 'exporter', password_file: secretFile('exporter') };
    const wrong = { user: 'exporter', password_file: secretFile('another') };

    await assert.rejects(to(ports.source, wrong), (error: unknown) => {
      assert.ok(error instanceof TargetError);
      assert.equal(error.code, 'auth');
      assert.match(error.message, /1045/);
      assert.ok(!error.message.includes(secret('another')));
      return true;
    });
    await assert.rejects(to(1, auth), { code: 'refused' });
    await assert.rejects(openMysql({ address: { socket: `${dir}/none.sock` }, auth, tls: undefined }, call()), {
      code: 'refused',
    });
    await assert.rejects(to(ports.source, { user: 'exporter', password_file: '/nonexistent' }), { code: 'secret' });
    await assert.rejects(
      openMysql({ address: { host: address, port: ports.source }, auth, tls: { ca_file: secretFile('lab') } }, call()),
      { code: 'tls' },
      'that is no certificate',
    );
    await using local = await openMysql({ address: { socket: `${dir}/source.sock` }, auth, tls: undefined }, call());
    await local.ping(call());
  });

  test(
    'a server that accepts and never answers ends at the deadline, and its connection is destroyed',
    { skip },
    async () => {
      const link = lab().link('replica->source');
      await link.blackhole();
      const auth = { user: 'exporter', password_file: lab().secretFile('exporter') };
      const address = { host: lab().address, port: ports.replicaToSource };
      const begun = performance.now();
      await assert.rejects(openMysql({ address, auth, tls: undefined }, call(400)), { code: 'deadline' });
      assert.ok(performance.now() - begun < 1500);

      await link.restore();
      await using client = await openMysql({ address, auth, tls: undefined }, call());
      await link.blackhole();
      await assert.rejects(client.query('SELECT 1', [], call(300)), { code: 'deadline' });
      assert.equal(client.usable(), false);
      await assert.rejects(client.query('SELECT 1', [], call(300)), { code: 'unreachable' });
      await link.restore();
    },
  );

  test('what is denied is told with the exact GRANT, and the GRANT helps', { skip }, async () => {
    await lab().sql('source', "CREATE USER 'nobody'@'%' IDENTIFIED BY 'n0body-secret'");
    process.env['NOBODY_PASSWORD'] = 'n0body-secret';
    const auth = { user: 'nobody', password_env: 'NOBODY_PASSWORD' };
    const openNobody = (): Promise<MysqlClient> =>
      openMysql({ address: { host: lab().address, port: ports.source }, auth, tls: undefined }, call());
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
      await lab().sql('source', grant);
      await using allowed = await openNobody();
      await read(allowed, call());
      await lab().sql('source', "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'nobody'@'%'"); // one may help with the next
    }
  });

  test(
    'a query that takes too long for the server ends as a deadline and leaves the connection usable',
    { skip },
    async () => {
      await using client = await open('source');
      const { sql, errno } = flavour.slow;
      await assert.rejects(client.query(sql, [], call(9000)), { code: 'deadline', message: new RegExp(String(errno)) });
      assert.equal(client.usable(), true);
      await assert.rejects(client.query('CREATE DATABASE nothing', [], call()), TargetError);
    },
  );

  test('the shipped grants are enough for every fact, for exporter and remediator', { skip }, async () => {
    for (const who of ['exporter', 'remediator'] as const) {
      const file = new URL(`../../deploy/sql/${flavour.shippedGrants(who)}`, import.meta.url);
      const statements = readFileSync(file, 'utf8')
        .replaceAll(/^--.*$/gm, '')
        .replace('CHANGE-ME', 'n0body-secret')
        .split(';')
        .filter((statement) => statement.trim() !== '');
      assert.ok(statements.length >= 3);
      for (const statement of statements) await lab().sql('source', statement);
      process.env['SHIPPED_PASSWORD'] = 'n0body-secret';
      const auth = { user: `pipemedic_${who}`, password_env: 'SHIPPED_PASSWORD' };
      const address = { host: lab().address, port: ports.source };
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
}
