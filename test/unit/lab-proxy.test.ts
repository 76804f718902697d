import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { claimAddress } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';

interface Room {
  readonly proxy: TcpProxy;
  /** A connection through the proxy, with what has come back on it. */
  readonly open: () => Promise<{ socket: Socket; received: () => string; closed: () => boolean }>;
  /** How many connections the server has. */
  readonly serverConnections: () => number;
  /** The server resets them. */
  readonly dropConnections: () => void;
}

/** An echo server behind a proxy. */
async function room(t: TestContext): Promise<Room> {
  const { address, release } = await claimAddress();
  const inside = new Set<Socket>();
  const server: Server = createServer((socket) => {
    inside.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => inside.delete(socket));
    socket.pipe(socket);
  });
  server.listen({ host: address, port: 20_001 });
  await once(server, 'listening');
  const proxy = new TcpProxy({ name: 'a->b', host: address, port: 20_002, to: { host: address, port: 20_001 } });
  await proxy.open();
  const outside: Socket[] = [];
  t.after(() => {
    proxy.close();
    server.close();
    for (const socket of [...inside, ...outside]) socket.destroy();
    release();
  });
  return {
    proxy,
    serverConnections: () => inside.size,
    dropConnections: () => {
      for (const socket of inside) socket.resetAndDestroy();
    },
    open: async () => {
      const socket = connect({ host: address, port: 20_002 });
      outside.push(socket);
      let received = '';
      let closed = false;
      socket.on('data', (chunk) => (received += chunk.toString('utf8')));
      socket.on('error', () => undefined);
      socket.on('close', () => (closed = true));
      await once(socket, 'connect');
      return { socket, received: () => received, closed: () => closed };
    },
  };
}

const soon = { what: 'it', intervalMs: 5 };

/** Long enough for anything to come through on loopback: an echo through another link of the same process. */
async function quiet(t: TestContext): Promise<void> {
  const other = await room(t);
  const probe = await other.open();
  for (let i = 1; i <= 20; i++) {
    probe.socket.write('.');
    await waitFor(() => probe.received().length === i, soon);
  }
}

test('passes both ways, and the end of a connection too', async (t) => {
  const { proxy, open, serverConnections } = await room(t);
  const client = await open();
  client.socket.write('hello');
  await waitFor(() => client.received() === 'hello', soon);
  client.socket.end('bye');
  await waitFor(() => client.received() === 'hellobye' && client.closed() && serverConnections() === 0, soon);
  assert.equal(proxy.state, 'open');
});

test('cut: connections end and new ones are refused, until restored', async (t) => {
  const { proxy, open, serverConnections } = await room(t);
  const client = await open();
  client.socket.write('hello');
  await waitFor(() => client.received() === 'hello', soon);
  await proxy.cut();
  await waitFor(() => client.closed() && serverConnections() === 0, soon);
  await assert.rejects(open(), { code: 'ECONNREFUSED' });
  await proxy.restore();
  const again = await open();
  again.socket.write('again');
  await waitFor(() => again.received() === 'again', soon);
});

test('blackhole: connections stay and are accepted, nothing passes, and what was held back comes after', async (t) => {
  const { proxy, open, serverConnections } = await room(t);
  const old = await open();
  old.socket.write('a');
  await waitFor(() => old.received() === 'a', soon);
  await proxy.blackhole();
  old.socket.write('b');
  const fresh = await open();
  fresh.socket.write('c');
  const leaving = await open();
  leaving.socket.end();
  await quiet(t);
  assert.equal(old.received(), 'a');
  assert.equal(fresh.received(), '');
  assert.deepEqual([old.closed(), fresh.closed(), leaving.closed()], [false, false, false]);
  assert.equal(serverConnections(), 1);
  await proxy.restore();
  await waitFor(() => old.received() === 'ab' && fresh.received() === 'c' && leaving.closed(), soon);
});

test('blackhole: a server that goes away is not noticed by its clients, until restored', async (t) => {
  const { proxy, open, dropConnections, serverConnections } = await room(t);
  const client = await open();
  client.socket.write('a');
  await waitFor(() => client.received() === 'a', soon);
  await proxy.blackhole();
  dropConnections();
  await waitFor(() => serverConnections() === 0, soon);
  await quiet(t);
  assert.equal(client.closed(), false);
  await proxy.restore();
  await waitFor(() => client.closed(), soon);
});
