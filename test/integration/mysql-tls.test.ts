// Sessions on a MariaDB whose machine is not in UTC: TLS and whom its certificate must name, roles, locks, semi-sync, and
// what is said of a server without binary logs.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { claimAddress, ports, type Claim } from '../../deploy/lab/address.ts';
import { isRoot, program } from '../../deploy/lab/context.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import type { Call } from '../../exporter/collector.ts';
import type { Tls } from '../../exporter/fields.ts';
import { within } from '../../exporter/runtime/deadline.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { openMysql, type MysqlClient } from '../../exporter/systems/mysql/client.ts';
import { readMetadataLockWaits, readSemiSync, readTransactions } from '../../exporter/systems/mysql/facts-activity.ts';
import { examineMysql } from '../../exporter/systems/mysql/facts-doctor.ts';
import { readDumpThreads } from '../../exporter/systems/mysql/facts-threads.ts';
import { makeCertificates } from '../support/certificates.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-tls-'));
const inDir = (name: string): string => join(dir, name);
let claim: Claim;
let server: ChildProcess;

function call(): Call {
  return { signal: within(5000), clock: systemClock };
}

function open(host: string | undefined, tls: Tls | undefined): Promise<MysqlClient> {
  const address = host === undefined ? { socket: inDir('s.sock') } : { host, port: ports.source };
  return openMysql({ address, auth: { user: 'root' }, tls }, call());
}

before(async () => {
  claim = await claimAddress();
  makeCertificates(dir, `DNS:db.test,IP:${claim.address}`);
  const user = isRoot() ? ['--user=root'] : [];
  execFileSync(
    program('mariadb-install-db'),
    ['--no-defaults', `--datadir=${inDir('data')}`, '--auth-root-authentication-method=normal', ...user],
    { stdio: 'ignore', cwd: dir },
  );
  server = spawn(
    program('mariadbd'),
    [
      '--no-defaults',
      `--datadir=${inDir('data')}`,
      `--socket=${inDir('s.sock')}`,
      `--pid-file=${inDir('s.pid')}`,
      `--bind-address=${claim.address}`,
      `--port=${ports.source}`,
      `--ssl-ca=${inDir('ca.pem')}`,
      `--ssl-cert=${inDir('server.pem')}`,
      `--ssl-key=${inDir('server.key')}`,
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=16M',
      ...user,
    ],
    { stdio: 'ignore', env: { ...process.env, TZ: 'Asia/Kolkata' } },
  );
  await waitFor(async () => (await open(undefined, undefined))[Symbol.asyncDispose]().then(() => true), {
    what: 'the server with TLS',
  });
  // root without a password comes from localhost only, and this address is not that
  asRoot("CREATE USER 'root'@'%'; GRANT REPLICA MONITOR ON *.* TO 'root'@'%'");
});

function argvAsRoot(statements: string): string[] {
  return ['--no-defaults', `--socket=${inDir('s.sock')}`, '-uroot', '-e', statements];
}

function asRoot(statements: string): void {
  execFileSync(program('mariadb'), argvAsRoot(statements), { stdio: 'ignore' });
}

after(async () => {
  const exit = once(server, 'exit');
  server.kill('SIGKILL');
  await exit;
  claim.release();
  rmSync(dir, { recursive: true, force: true });
});

async function cipher(tls: Tls): Promise<string> {
  await using client = await open(claim.address, tls);
  const [row] = await client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", [], call());
  return String(row?.['Value']);
}

test('the certificate must be of the authority and name the address, or the name that is configured', async () => {
  const ca_file = inDir('ca.pem');
  assert.match(await cipher({ ca_file }), /^TLS_|AES/, 'by its IP address');
  assert.match(await cipher({ ca_file, server_name: 'db.test' }), /^TLS_|AES/);
  await assert.rejects(cipher({ ca_file, server_name: 'other.test' }), { code: 'tls', message: /other\.test/ });
  await assert.rejects(cipher({}), { code: 'tls' }, 'an authority that nobody trusts');
  await assert.rejects(open(undefined, { ca_file }), { code: 'tls', message: /localhost/ }, 'a socket is localhost');
  await assert.rejects(cipher({ ca_file: inDir('none.pem') }), { code: 'secret', message: /none\.pem/ });
});

test('without tls in the inventory the connection is plain', async () => {
  await using client = await open(claim.address, undefined);
  const [row] = await client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", [], call());
  assert.equal(row?.['Value'], '');
});

test('the age of a transaction does not depend on the time zone of the machine; locks that are waited for', async () => {
  await using client = await open(undefined, undefined);
  const idle = { open: 0, long: 0, oldestSeconds: 0, waiting: 0, longestWaitSeconds: 0 };
  assert.deepEqual(await readTransactions(client, 60, call()), idle);
  assert.deepEqual(await readMetadataLockWaits(client, call()), { applier: 0, client: 0 });
  asRoot('CREATE DATABASE shop; CREATE TABLE shop.a (id INT PRIMARY KEY, n INT); INSERT INTO shop.a VALUES (1, 1)');
  const sessions = [
    'BEGIN; UPDATE shop.a SET n = 2; SELECT SLEEP(60)',
    'UPDATE shop.a SET n = 3',
    'ALTER TABLE shop.a ADD x INT',
  ];
  const processes: ChildProcess[] = [];
  try {
    for (const [i, statements] of sessions.entries()) {
      processes.push(spawn(program('mariadb'), argvAsRoot(statements), { stdio: 'ignore' }));
      // the holder first: one open transaction; then the one that waits for it
      await waitFor(async () => (await readTransactions(client, 60, call())).open >= Math.min(i + 1, 2), {
        what: 'the transaction to be open',
        intervalMs: 150, // InnoDB renews its list only when nobody has read it for 100 ms
      });
    }
    const seen = await waitFor(
      async () => {
        const found = await readTransactions(client, 0, call());
        return found.longestWaitSeconds >= 1 && (await readMetadataLockWaits(client, call())).client === 1 && found;
      },
      { what: 'a row lock and a metadata lock that are waited for', intervalMs: 150 },
    );
    assert.deepEqual([seen.open, seen.long, seen.waiting], [2, 2, 1]);
    assert.ok(seen.oldestSeconds >= seen.longestWaitSeconds && seen.oldestSeconds < 60, `${seen.oldestSeconds} s`);
  } finally {
    for (const process of processes) process.kill('SIGKILL');
  }
});

test('privileges of a role in use count as held; without it threads are not shown', async () => {
  asRoot(
    "CREATE ROLE monitor; GRANT PROCESS, BINLOG MONITOR, REPLICA MONITOR ON *.* TO monitor; CREATE USER 'by_role'@'%', 'bare'@'%'; GRANT monitor TO 'by_role'@'%'; SET DEFAULT ROLE monitor FOR 'by_role'@'%'",
  );
  const as = (user: string): Promise<MysqlClient> =>
    openMysql({ address: { host: claim.address, port: ports.source }, auth: { user }, tls: undefined }, call());
  await using client = await as('by_role');
  assert.deepEqual(await readDumpThreads(client, call()), []);
  const grants = (await examineMysql(client, call())).filter((f) => f.check.startsWith('grant_'));
  // It writes no binary logs, so nothing is wanted for them.
  assert.deepEqual(
    grants.map((f) => [f.check, f.ok]),
    [
      ['grant_replica_monitor', true],
      ['grant_process', true],
    ],
  );
  await using bare = await as('bare');
  const denied = { code: 'denied', message: /GRANT PROCESS ON \*\.\* TO 'bare'@'%'$/ };
  await assert.rejects(readDumpThreads(bare, call()), denied);
  await assert.rejects(readTransactions(bare, 60, call()), denied);
});

test('a server without binary logs is not ready for readers; semi-sync without a replica protects nothing', async () => {
  await using client = await open(undefined, undefined);
  const found = new Map((await examineMysql(client, call())).map((f) => [f.check, f]));
  assert.equal(found.get('log_bin')?.ok, false);
  assert.match(found.get('log_bin')?.fix ?? '', /under \[mariadbd\]/);
  assert.equal(found.get('binlog_filters')?.ok, 'unknown');
  assert.equal(found.get('encryption')?.text, 'a unix socket');
  assert.equal(found.get('clock')?.ok, true);
  assert.deepEqual(await readSemiSync(client, call()), { source: 'not_configured', replica: 'not_configured' });
  asRoot('SET GLOBAL rpl_semi_sync_master_enabled = ON');
  assert.deepEqual(await readSemiSync(client, call()), { source: 'degraded', replica: 'not_configured' });
});
