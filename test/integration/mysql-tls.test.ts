// The connection to a server with TLS: whom its certificate must name.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

function makeCertificates(address: string): void {
  const openssl = (...argv: string[]): void => {
    execFileSync('openssl', argv, { cwd: dir, stdio: 'ignore' });
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test ca');
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=db.test');
  writeFileSync(inDir('names'), `subjectAltName=DNS:db.test,IP:${address}\n`);
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl('x509', '-req', '-in', 'server.csr', ...ca, '-out', 'server.pem', '-days', '2', '-extfile', 'names');
}

before(async () => {
  claim = await claimAddress();
  makeCertificates(claim.address);
  const asRoot = isRoot() ? ['--user=root'] : [];
  execFileSync(
    program('mariadb-install-db'),
    ['--no-defaults', `--datadir=${inDir('data')}`, '--auth-root-authentication-method=normal', ...asRoot],
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
      ...asRoot,
    ],
    { stdio: 'ignore' },
  );
  await waitFor(async () => (await open(undefined, undefined))[Symbol.asyncDispose]().then(() => true), {
    deadlineMs: 20_000,
    what: 'the server with TLS',
  });
  // root without a password comes from localhost only, and this address is not that
  const socket = ['--no-defaults', `--socket=${inDir('s.sock')}`, '-uroot', '-e'];
  const statement = "CREATE USER 'root'@'%'; GRANT REPLICA MONITOR ON *.* TO 'root'@'%'";
  execFileSync(program('mariadb'), [...socket, statement], { stdio: 'ignore' });
});

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
