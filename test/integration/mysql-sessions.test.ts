// Sessions on a real MySQL 9: how a password travels, what an account may see, what holds others up, what `doctor` says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createConnection, type Connection } from 'mysql2/promise';
import { ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { mysql9Missing, startMysql9 } from '../../deploy/lab/mysql9.ts';
import type { Call } from '../../exporter/collector.ts';
import type { Tls } from '../../exporter/fields.ts';
import type { Finding } from '../../exporter/findings.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { Connection as KeptConnection } from '../../exporter/scrape/connection.ts';
import type { MysqlAddress } from '../../exporter/systems/mysql/address.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { defaultNeeds } from '../../exporter/systems/mysql/facts-cdc.ts';
import { readMetadataLockWaits, readSemiSync, readTransactions } from '../../exporter/systems/mysql/facts-activity.ts';
import { examineMysql } from '../../exporter/systems/mysql/facts-doctor.ts';
import { readersOf, readReplicaHints } from '../../exporter/systems/mysql/facts-readers.ts';
import { readDumpThreads } from '../../exporter/systems/mysql/facts-threads.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { makeCertificates } from '../support/certificates.ts';

const skip = mysql9Missing();
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sessions-'));
const inDir = (name: string): string => join(dir, name);
let lab: Awaited<ReturnType<typeof startMysql9>>;

before(async () => {
  if (skip !== false) return;
  makeCertificates(dir, 'DNS:db.test');
  const settings = { 'ssl-ca': inDir('ca.pem'), 'ssl-cert': inDir('server.pem'), 'ssl-key': inDir('server.key') };
  lab = await startMysql9({ options: { source: { settings } } });
});

after(async () => {
  if (skip === false) await lab.stop();
  rmSync(dir, { recursive: true, force: true });
});

function call(ms = 5000): Call {
  return { signal: within(ms), clock: systemClock };
}

type Extra = Partial<Extract<MysqlAddress, { host: string }>>;

function open(user: string, passwordFile = lab.secretFile(user), extra: Extra = {}, tls?: Tls): Promise<MysqlClient> {
  const address = { host: lab.address, port: ports.source, ...extra };
  return openMysql({ address, auth: { user, password_file: passwordFile }, tls }, call());
}

async function session(user: string): Promise<Connection> {
  return createConnection({ host: lab.address, port: ports.source, user, password: lab.secret(user) });
}

/** A new password empties the server's cache of the account: the next log-in is a full one. */
async function newUser(name: string, password: string, grants = ''): Promise<string> {
  await lab.sql('source', `CREATE USER IF NOT EXISTS '${name}'@'%'`);
  await lab.sql('source', `ALTER USER '${name}'@'%' IDENTIFIED BY '${password}'`);
  if (grants !== '') await lab.sql('source', `GRANT ${grants} TO '${name}'@'%'`);
  writeFileSync(inDir(name), `${password}\n`);
  return inDir(name);
}

test(
  'caching_sha2_password: over TLS, over a socket, and over plain TCP only with a key that can be trusted',
  { skip },
  async () => {
    const full = async (extra: Extra = {}, tls?: Tls): Promise<string> => {
      const file = await newUser('fresh', `p-${performance.now()}`);
      await using client = await open('fresh', file, extra, tls);
      return client.account;
    };
    assert.equal(await full({}, { ca_file: inDir('ca.pem'), server_name: 'db.test' }), 'fresh@%');
    assert.equal(await full(), 'fresh@%', 'on the loopback interface the key of the server is taken');
    await assert.rejects(full({ publicKeyRetrieval: false }), {
      code: 'auth',
      message: /the connection is not encrypted: set tls, or address\.server_public_key_file/,
    });
    copyFileSync(join(lab.dir, 'source', 'public_key.pem'), inDir('public_key.pem'));
    assert.equal(await full({ publicKeyRetrieval: false, publicKeyFile: inDir('public_key.pem') }), 'fresh@%');
    await assert.rejects(full({ publicKeyFile: inDir('none.pem') }), { code: 'secret', message: /none\.pem/ });
    execFileSync('openssl', ['rsa', '-in', 'ca.key', '-pubout', '-out', 'other.pem'], { cwd: dir, stdio: 'ignore' });
    await assert.rejects(full({ publicKeyFile: inDir('other.pem') }), { code: 'auth' }, 'the key of another server');
    await assert.rejects(full({}, { server_name: 'db.test' }), { code: 'tls' }, 'an authority that nobody trusts');

    const file = await newUser('local', 'over-a-socket');
    const address = { socket: join(lab.dir, 'source.sock') };
    await using client = await openMysql(
      { address, auth: { user: 'local', password_file: file }, tls: undefined },
      call(),
    );
    assert.equal(client.account, 'local@%');
  },
);

async function examine(client: MysqlClient, needs = defaultNeeds): Promise<ReadonlyMap<string, Finding>> {
  return new Map((await examineMysql(client, call(), needs)).map((finding) => [finding.check, finding]));
}

function faults(findings: ReadonlyMap<string, Finding>): Finding[] {
  return [...findings.values()].filter(({ ok }) => ok !== true);
}

test(
  'doctor: nothing to mend with the shipped grants; each missing one with the GRANT that helps',
  { skip },
  async () => {
    await using client = await open('exporter');
    const found = await examine(client);
    assert.deepEqual(faults(found), []);
    assert.match(found.get('version')?.text ?? '', /^MySQL 9\..*exporter@%$/);

    const file = await newUser('bare', 'b');
    const missing = await (async () => {
      await using bare = await open('bare', file);
      const findings = await examine(bare);
      assert.equal(findings.get('binlog_filters')?.ok, 'unknown');
      return [...findings.values()].filter((f) => f.check.startsWith('grant_'));
    })();
    assert.deepEqual(
      missing.slice(0, 3).map(({ ok, fix }) => [ok, fix?.replace(/ TO .*/, '')]),
      [
        [false, 'GRANT REPLICATION CLIENT ON *.*'],
        [false, 'GRANT PROCESS ON *.*'],
        [false, 'GRANT SELECT ON performance_schema.replication_connection_status'],
      ],
    );
    for (const { fix = '' } of missing) await lab.sql('source', fix);
    await using granted = await open('bare', file);
    assert.deepEqual(faults(await examine(granted)), []);
  },
);

test('privileges of a role in use count as held', { skip }, async () => {
  await lab.sql('source', "CREATE ROLE 'monitor'");
  await lab.sql('source', "GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'monitor'");
  const file = await newUser('by_role', 'r');
  await lab.sql('source', "GRANT 'monitor' TO 'by_role'@'%'");
  await lab.sql('source', "SET DEFAULT ROLE 'monitor' TO 'by_role'@'%'");
  await using client = await open('by_role', file);
  assert.equal((await examine(client)).get('grant_process')?.ok, true);
  assert.equal((await readDumpThreads(client, call())).length, 1);
});

test('a setting that breaks readers is found, and the statement that doctor prints mends it', { skip }, async () => {
  await using client = await open('exporter');
  for (const [check, statement] of [
    ['binlog_row_image', 'SET GLOBAL binlog_row_image = MINIMAL'],
    ['binlog_row_value_options', 'SET GLOBAL binlog_row_value_options = PARTIAL_JSON'],
    ['retention', 'SET GLOBAL binlog_expire_logs_seconds = 3600'],
  ] as const) {
    await lab.sql('source', statement);
    const { ok, fix = '' } = (await examine(client)).get(check) ?? {};
    assert.equal(ok, false, check);
    await lab.sql('source', fix.split(';')[0] ?? '');
    assert.equal((await examine(client)).get(check)?.ok, true, check);
  }
  const strict = { ...defaultNeeds, rowMetadata: 'full', gtid: true } as const;
  const { ok, fix = '' } = (await examine(client, strict)).get('binlog_row_metadata') ?? {};
  assert.equal(ok, false);
  await lab.sql('source', fix);
  assert.equal((await examine(client, strict)).get('binlog_row_metadata')?.ok, true);
  assert.equal((await examine(client, strict)).get('gtid_mode')?.ok, true);
});

test('grants of the reader: seen by an account that may, unknown to one that may not', { skip }, async () => {
  await using blind = await open('exporter');
  await using seeing = await open('lab');
  const grants = async (client: MysqlClient, user: string): Promise<Finding | undefined> =>
    (await examine(client, { ...defaultNeeds, user })).get('grants');
  assert.equal((await grants(blind, 'maxwell'))?.ok, 'unknown');
  assert.equal((await grants(seeing, 'maxwell'))?.ok, true);
  assert.equal((await grants(seeing, 'repl@%'))?.fix, "GRANT REPLICATION CLIENT, SELECT ON *.* TO 'repl'@'%'");
  assert.match((await grants(seeing, 'nobody_at_all'))?.text ?? '', /'nobody_at_all'@'%' lacks REPLICATION SLAVE/);
});

test('who reads the binary log: a replica by its UUID where the account may list replicas', { skip }, async () => {
  for (const [user, serverId] of [
    ['lab', '2'],
    ['exporter', ''],
  ] as const) {
    await using client = await open(user);
    const readers = readersOf(await readDumpThreads(client, call()), await readReplicaHints(client, call()));
    assert.deepEqual(
      readers.map((r) => [r.user, r.serverId, r.connections]),
      [['repl', serverId, 1]],
    );
  }
});

test('long transactions, waits for row locks and metadata locks are counted', { skip }, async () => {
  await using client = await open('exporter');
  const before_ = await readTransactions(client, 0, call());
  assert.equal(before_.waiting, 0);
  await lab.sql('source', "INSERT INTO shop.orders (customer, state, total) VALUES ('a', 'new', 1)");
  const [holder, waiter, ddl] = await Promise.all([session('writer'), session('writer'), session('lab')]);
  try {
    await holder.query('BEGIN');
    await holder.query('UPDATE shop.orders SET total = 2');
    waiter.query('UPDATE shop.orders SET total = 3').catch(() => undefined);
    // InnoDB renews its list only when nobody has read it for 100 ms
    const waiting = async (): Promise<boolean> => (await readTransactions(client, 0, call())).waiting === 1;
    await waitFor(waiting, { what: 'a row lock that is waited for', intervalMs: 150 });
    ddl.query('ALTER TABLE shop.orders ADD x INT').catch(() => undefined);
    const seen = await waitFor(
      async () => {
        const found = await readTransactions(client, 0, call());
        const locks = await readMetadataLockWaits(client, call());
        return found.waiting === 1 && found.longestWaitSeconds >= 1 && locks.client === 1 && found;
      },
      { what: 'a metadata lock that is waited for', intervalMs: 150 },
    );
    assert.equal(seen.open, 2);
    assert.ok(seen.oldestSeconds >= 1 && seen.oldestSeconds < 60, `${seen.oldestSeconds} s`);
    assert.equal(seen.long, 2, 'longer than 0 s');
    assert.equal((await readTransactions(client, 60, call())).long, 0, 'none longer than a minute');
  } finally {
    for (const connection of [holder, waiter, ddl]) connection.destroy();
  }
});

test('semi-sync: not there, set to on without a replica that acknowledges, and with one', { skip }, async () => {
  await using client = await open('exporter');
  assert.deepEqual(await readSemiSync(client, call()), { source: 'not_configured', replica: 'not_configured' });
  await lab.sql('source', "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
  await lab.sql('source', 'SET GLOBAL rpl_semi_sync_source_enabled = ON');
  assert.equal((await readSemiSync(client, call())).source, 'degraded');
  await lab.sql('replica', "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'");
  await lab.sql('replica', 'SET GLOBAL rpl_semi_sync_replica_enabled = ON');
  await lab.sql('replica', 'STOP REPLICA IO_THREAD');
  await lab.sql('replica', 'START REPLICA IO_THREAD');
  await waitFor(async () => (await readSemiSync(client, call())).source === 'active', {
    what: 'semi-sync to be active',
  });
});

test(
  'a connection that the server kills is unusable at once, and its statement ends as unreachable',
  { skip },
  async () => {
    await using client = await open('exporter');
    const [row] = await client.query('SELECT CONNECTION_ID() AS id', [], call());
    const sleeping = client.query('SELECT SLEEP(4)', [], call());
    sleeping.catch(() => undefined); // it ends while the KILL is being answered
    await waitFor(
      async () =>
        (await lab.sql('source', "SELECT 1 FROM performance_schema.processlist WHERE INFO LIKE 'SELECT SLEEP%'"))
          .length > 0,
      {
        what: 'the statement to run',
      },
    );
    const started = performance.now();
    await lab.sql('source', `KILL ${String(row?.['id'])}`);
    await assert.rejects(sleeping, { code: 'unreachable' });
    assert.ok(performance.now() - started < 2000);
    assert.equal(client.usable(), false);
  },
);

test(
  'one connection per target, kept while it is healthy; a new one takes the password of that moment',
  { skip },
  async () => {
    const file = await newUser('kept', 'pw-one');
    const address = { host: lab.address, port: ports.source };
    const target = { name: 'db', kind: 'mysql', address, auth: { user: 'kept', password_file: file } };
    const bound = mysql.bind(target, () => assert.fail('refers to no other target'));
    const connection = new KeptConnection(bound, createLog('test', 'silent'));
    const ids = async (): Promise<string> => {
      const rows = await lab.sql('source', "SELECT ID FROM performance_schema.processlist WHERE USER = 'kept'");
      return rows.map((row) => String(row['ID'])).join();
    };
    try {
      const client = await connection.ready(call());
      const first = await ids();
      assert.match(first, /^\d+$/, 'one');
      await lab.sql('source', "ALTER USER 'kept'@'%' IDENTIFIED BY 'pw-two'");
      assert.equal(await connection.ready(call()), client, 'the one in use goes on');
      assert.equal(await ids(), first);

      await lab.sql('source', `KILL ${first}`);
      await assert.rejects(connection.ready(call()), { code: 'auth', message: /^((?!pw-).)*$/ });
      assert.equal(await ids(), '');
      writeFileSync(file, 'pw-two\n');
      await connection.ready(call());
      assert.match(await ids(), /^\d+$/, 'one again');
    } finally {
      await connection.closed();
    }
    await waitFor(async () => (await ids()) === '', { what: 'the connection to be gone' });
  },
);
