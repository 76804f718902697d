// Several addresses at a time, unix sockets among them: all or none, open to the owner only, never in a living one's place.
import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { createHttpServer, type ListenAddress } from '../../../exporter/runtime/http.ts';
import { listenAll, type Listening } from '../../../exporter/runtime/web-listen.ts';
import { exchange } from '../../support/raw-http.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-listen-'));
after(() => {
  rmSync(dir, { recursive: true });
});

const loopback = { host: '127.0.0.1', port: 0 };
const failed = (error: Error): never => {
  throw error;
};

function start(says: string, addresses: readonly ListenAddress[]): Promise<Listening> {
  return listenAll(() => createHttpServer((_request, response) => response.end(says)), addresses, failed);
}

async function said(where: { readonly path: string } | { readonly port: number }): Promise<string> {
  const at = 'path' in where ? where : { ...where, host: '127.0.0.1' };
  return (await exchange(at, ['GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'])).body;
}

/** A socket whose process is gone: the file stays, nobody listens. */
async function stale(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.before`, resolve));
  renameSync(`${path}.before`, path); // closing removes the name that it knows
  await new Promise((resolve) => server.close(resolve));
  assert.ok(lstatSync(path).isSocket());
}

test('each address answers, and says what it is', async () => {
  const path = join(dir, 'each');
  const it = await start('hello', [loopback, { path }, loopback]);
  const [first, second, third] = it.addresses;
  assert.match(first?.text ?? '', /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(second, { text: `unix:${path}`, port: undefined });
  assert.notEqual(first?.port, third?.port);
  for (const { port } of it.addresses) assert.equal(await said(port === undefined ? { path } : { port }), 'hello');
  await it.close(0);
  assert.ok(!existsSync(path));
});

test('a unix socket is open to its owner only, whatever the umask', async () => {
  const path = join(dir, 'mode');
  const before = process.umask(0);
  try {
    const it = await start('x', [{ path }]);
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    assert.equal(process.umask(0), 0, 'as it was');
    await it.close(0);
  } finally {
    process.umask(before);
  }
});

test('all or none: what was bound before the one that fails is let go', async () => {
  const other = await start('other', [loopback]);
  const taken = other.addresses[0]?.port ?? 0;
  const path = join(dir, 'none');
  const free = await start('free', [loopback]);
  const port = free.addresses[0]?.port ?? 0;
  await free.close(0);
  await assert.rejects(start('x', [{ path }, { host: '127.0.0.1', port }, { host: '127.0.0.1', port: taken }]), {
    code: 'EADDRINUSE',
  });
  assert.ok(!existsSync(path));
  assert.equal(await said({ port: taken }), 'other');
  const again = await start('again', [{ host: '127.0.0.1', port }, { path }]);
  assert.equal(await said({ port }), 'again');
  await again.close(0);
  await other.close(0);
});

test('the same address twice is refused', async () => {
  const path = join(dir, 'twice');
  await assert.rejects(start('x', [{ path }, { path }]), /another program listens on this socket/);
  assert.ok(!existsSync(path));
});

test('the socket of a dead process is replaced, that of a living one stays and goes on answering', async () => {
  const path = join(dir, 'stale');
  await stale(path);
  const one = await start('one', [{ path }]);
  assert.equal(await said({ path }), 'one');
  const { ino } = lstatSync(path);
  await assert.rejects(start('two', [{ path }]), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    return error.message.includes('another program listens on this socket');
  });
  assert.equal(lstatSync(path).ino, ino);
  assert.equal(await said({ path }), 'one');
  await one.close(0);
});

test('several that start at the same time on a stale socket: one has it, and it answers', async () => {
  const path = join(dir, 'race');
  for (let round = 0; round < 20; round++) {
    await stale(path);
    const all = await Promise.allSettled([1, 2, 3].map((n) => start(`is ${n}`, [{ path }])));
    const well = all.flatMap((one, i) => (one.status === 'fulfilled' ? [{ it: one.value, says: `is ${i + 1}` }] : []));
    assert.equal(well.length, 1, `round ${round}`);
    assert.equal(await said({ path }), well[0]?.says);
    await well[0]?.it.close(0);
  }
});

test('what is no socket is left alone', async () => {
  const file = join(dir, 'file');
  writeFileSync(file, 'mine');
  const folder = join(dir, 'folder');
  mkdirSync(folder);
  const link = join(dir, 'link');
  const behind = join(dir, 'behind');
  await stale(behind);
  symlinkSync(behind, link);
  for (const path of [file, folder, link]) {
    await assert.rejects(start('x', [{ path }]), /something else than a socket/);
  }
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  assert.ok(lstatSync(folder).isDirectory() && lstatSync(link).isSymbolicLink() && lstatSync(behind).isSocket());
  await assert.rejects(start('x', [{ path: join(dir, 'no', 'folder') }]));
  await assert.rejects(start('x', [{ path: join(dir, 'x'.repeat(200)) }]));
});
