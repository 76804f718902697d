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

for (const [text, address] of [
  ['127.0.0.1:9930', { host: '127.0.0.1', port: 9930 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:9930', { host: '::1', port: 9930 }],
  [':9930', { host: undefined, port: 9930 }],
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
