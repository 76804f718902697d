import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  closeServer,
  createHttpServer,
  defaultServerLimits,
  listen,
  parseListenAddress,
} from '../../../exporter/runtime/http.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';

for (const [text, address] of [
  ['127.0.0.1:9930', { host: '127.0.0.1', port: 9930 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:9930', { host: '::1', port: 9930 }],
  [':9930', { host: undefined, port: 9930 }],
  ['unix:/run/x/web.sock', { path: '/run/x/web.sock' }],
  ['unix:web.sock', undefined],
  ['unix:/run/', undefined],
  ['unix:', undefined],
  ['9930', undefined],
  ['127.0.0.1', undefined],
  ['::1:9930', undefined],
  ['host:65536', undefined],
  ['host:-1', undefined],
  ['http://host:80', undefined],
  ['', undefined],
] as const) {
  test(`listen address "${text}"`, () => {
    assert.deepEqual(parseListenAddress(text), address);
  });
}

test('a port in use is said by its code', async () => {
  const one = createHttpServer(() => undefined);
  const { port } = await listen(one, { host: '127.0.0.1', port: 0 });
  const two = createHttpServer(() => undefined);
  await assert.rejects(listen(two, { host: '127.0.0.1', port }), { code: 'EADDRINUSE' });
  await closeServer(one, 0);
  await closeServer(two, 0);
});

test('closing lets a request that runs end, then cuts off what is left', async () => {
  let answer = (): void => undefined;
  const server = createHttpServer((_req, res) => {
    answer = () => res.end('done');
    server.emit('asked');
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${String(port)}/`;
  const polite = fetch(url).then((res) => res.text());
  await once(server, 'asked');
  const closing = closeServer(server, 5000);
  answer();
  assert.equal(await polite, 'done');
  await closing;

  await listen(server, { host: '127.0.0.1', port });
  const hung = assert.rejects(fetch(url));
  await once(server, 'asked');
  await closeServer(server, 20);
  await hung;
});

test('headers that do not come, and headers without end, are cut off', async () => {
  const limits = { ...defaultServerLimits, headersMs: 100, requestMs: 200, headerBytes: 1024 };
  const server = createHttpServer((_req, res) => res.end(), limits);
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  for (const [sent, status] of [
    ['GET / HTTP/1.1\r\nHost: x\r\n', '408'],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(2000)}\r\n\r\n`, '431'],
  ] as const) {
    const socket = connect(port, '127.0.0.1');
    let got = '';
    socket.on('data', (chunk) => (got += chunk.toString()));
    socket.write(sent);
    await once(socket, 'close', { signal: AbortSignal.timeout(5000) });
    assert.ok(got.startsWith(`HTTP/1.1 ${status} `), got);
  }
  await closeServer(server, 0);
});

test('a connection that says nothing, and one that is closed by half, are not kept', async () => {
  const limits = { ...defaultServerLimits, headersMs: 100, requestMs: 200 };
  const server = createHttpServer((_req, res) => res.end('x'), limits);
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const silent = connect(port, '127.0.0.1');
  silent.resume();
  const half = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  half.resume();
  half.end('GET / HTTP/1.1\r\n');
  await Promise.all([silent, half].map((s) => once(s, 'end', { signal: AbortSignal.timeout(30_000) })));
  silent.destroy();
  half.destroy();
  await closeServer(server, 0);
});

test('who asks on without waiting for answers is cut off, however many requests came in one piece', async () => {
  let asked = 0;
  const server = createHttpServer(() => {
    asked += 1; // and answers none
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const { status } = await exchange({ port, host: '127.0.0.1' }, ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3000)]);
  assert.equal(status, undefined);
  assert.equal(asked, defaultServerLimits.underWayPerSocket);
  // one after the other is what connections are kept for
  server.removeAllListeners('request');
  server.on('request', (_req, res) => void res.end('x'));
  const client = new RawClient({ port, host: '127.0.0.1' });
  for (let i = 0; i < 20; i++) assert.equal(await client.status('GET / HTTP/1.1\r\nHost: x\r\n\r\n', false), 200);
  client.close();
  await closeServer(server, 0);
});

test('who does not take the answer is cut off, and so is an answer that does not come', async () => {
  const limits = { ...defaultServerLimits, answerMs: 200 };
  const closed: Promise<unknown>[] = [];
  const server = createHttpServer((req, res) => {
    closed.push(once(res, 'close', { signal: AbortSignal.timeout(30_000) }));
    if (req.url === '/large') res.end(Buffer.alloc(64 << 20));
    server.emit('asked');
  }, limits);
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  for (const path of ['/large', '/never']) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    const asked = once(server, 'asked');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await asked;
    await closed.at(-1);
    socket.destroy();
  }
  assert.equal(closed.length, 2);
  await closeServer(server, 0);
});

test('no more connections than are allowed', async () => {
  const server = createHttpServer((_req, res) => res.end('x'), { ...defaultServerLimits, connections: 3 });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const sockets = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  const { status } = await exchange({ port, host: '127.0.0.1' }, ['GET / HTTP/1.1\r\nHost: x\r\n\r\n']);
  assert.equal(status, undefined);
  for (const socket of sockets) socket.destroy();
  await closeServer(server, 0);
});
