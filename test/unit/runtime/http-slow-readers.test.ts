// Whoever asks and does not read: cut off soon, and never so many that others find no room.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { gauge } from '../../../exporter/families.ts';
import type { Doors } from '../../../exporter/doors.ts';
import { closeServer, createHttpServer, defaultServerLimits, listen } from '../../../exporter/runtime/http.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { SampleWriter } from '../../../exporter/scrape/writer.ts';
import { createApp } from '../../../exporter/server.ts';
import { fakeSystem, script } from '../../support/fake-system.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';

const large = 64 << 20;
const limits = { ...defaultServerLimits, stalledMs: 150 };

function asking(port: number, text: string, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  socket.write(text);
  return socket;
}

/** Of a program that is itself late: a machine that is busy, a page that takes long to compress. */
async function* pausing(): AsyncGenerator<string> {
  await setTimeout(3 * limits.stalledMs);
  yield 'a';
  await setTimeout(3 * limits.stalledMs);
  yield 'b';
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

async function serveSlow(t: TestContext): Promise<{ readonly port: number; readonly closed: string[] }> {
  const closed: string[] = [];
  const server = createHttpServer((req, res) => {
    const { url = '' } = req;
    res.once('close', () => closed.push(`${url} ${res.writableFinished ? 'taken' : 'cut'}`));
    if (url === '/later') void setTimeout(4 * limits.stalledMs).then(() => res.end('late'));
    else if (url === '/small') res.end('x');
    else if (url === '/stream') {
      const piece = Buffer.alloc(1 << 20);
      pipeline(Readable.from(Array.from({ length: 64 }, () => piece)), res).catch(() => undefined);
    } else if (url === '/pauses') {
      res.setHeader('Content-Length', 2);
      pipeline(Readable.from(pausing()), res).catch(() => undefined);
    } else res.end(Buffer.alloc(large));
  }, limits);
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  t.after(() => closeServer(server, 0));
  return { port, closed };
}

for (const [name, text] of [
  ['an answer in one piece', get('/large')],
  ['one that is sent part by part', get('/stream')],
  ['one behind another on the same connection', get('/small') + get('/large')],
] as const) {
  test(`who takes nothing of an answer is cut off: ${name}`, async (t) => {
    const { port, closed } = await serveSlow(t);
    const socket = asking(port, text);
    await waitFor(() => closed.find((c) => c.endsWith('cut')), { what: 'the end of it' });
    socket.destroy();
  });
}

test('who waits for what takes long is not cut off, on a connection that had answers before either', async (t) => {
  const { port, closed } = await serveSlow(t);
  const client = new RawClient({ host: '127.0.0.1', port });
  for (const path of ['/small', '/later', '/small', '/later']) assert.equal(await client.status(get(path), false), 200);
  client.close();
  assert.deepEqual(
    closed.filter((c) => c.endsWith('cut')),
    [],
  );
});

test('who has taken all that there is yet of an answer is not cut off when the rest is late', async (t) => {
  const { port, closed } = await serveSlow(t);
  const client = new RawClient({ host: '127.0.0.1', port });
  for (const path of ['/pauses', '/small']) assert.equal(await client.status(get(path), false), 200);
  client.close();
  assert.deepEqual(closed, ['/pauses taken', '/small taken']);
});

test('of one host come no more connections than its share; what is beyond is told', async (t) => {
  const server = createHttpServer((_req, res) => res.end('x'), { ...limits, connections: 4, connectionsEach: 2 });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  t.after(() => closeServer(server, 0));
  const from = (localAddress: string) => exchange({ host: '127.0.0.1', port, localAddress }, [closing]);
  const closing = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const idle = await Promise.all(
    [1, 2].map(async () => {
      const accepted = once(server, 'connection');
      const socket = asking(port, '');
      await accepted;
      return socket;
    }),
  );
  const dropped = once(server, 'drop');
  assert.equal((await from('127.0.0.1')).status, undefined);
  assert.deepEqual(await dropped, [{ remoteAddress: '127.0.0.1' }]);
  assert.equal((await from('127.0.0.2')).status, 200);
  for (const socket of idle) socket.destroy();
  await waitFor(async () => (await from('127.0.0.1')).status === 200, { what: 'room again' });
});

test('answers that a host does not take leave room for others, on every page that is held in memory', async (t) => {
  const writer = new SampleWriter({ level: 'target', constant: { target: 't' } });
  const family = gauge('big', 'A family.', ['n', 'text']);
  const text = 'x'.repeat(1000);
  for (let n = 0; n < 12_000; n++) writer.put({ family, value: n, labels: { n: String(n), text } });
  const blocks = writer.finish();
  const app = createApp({
    rounds: {
      ...{ scrape: () => Promise.resolve(blocks), settled: true, states: [] },
      inventory: inventoryOf({ targets: [{ name: 'a', kind: 'fake', address: { id: 'a' } }] }, 'test.yml', [
        fakeSystem({ a: script() }),
      ]),
    } as unknown as Doors,
    self: {
      scrapeStarted: () => () => undefined,
      answered: () => undefined,
      blocks: () => Promise.resolve([]),
      processBlocks: () => Promise.resolve([]),
    } as unknown as Parameters<typeof createApp>[0]['self'],
    ...{ clock: systemClock, version: '1', maxScrapes: 4 },
    fault: (part, error) => {
      throw new Error(part, { cause: error });
    },
    reload: () => Promise.resolve(true),
    isCallerKnown: () => false,
  });
  const server = createHttpServer(
    (req, res) => {
      app(req, res);
    },
    { ...limits, stalledMs: 60_000 },
  );
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  t.after(() => closeServer(server, 0));
  const status = async (path: string, localAddress: string): Promise<number | undefined> => {
    const text = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    return (await exchange({ host: '127.0.0.1', port, localAddress }, [text])).status;
  };
  const idle = Array.from({ length: 6 }, () => asking(port, get('/metrics')));
  await waitFor(async () => (await status('/', '127.0.0.1')) === 503, { what: 'its share to be full' });
  for (const path of ['/metrics', '/sd', '/']) {
    assert.equal(await status(path, '127.0.0.1'), 503, path);
    assert.equal(await status(path, '127.0.0.2'), 200, path);
  }
  for (const socket of idle) socket.destroy();
  await waitFor(async () => (await status('/', '127.0.0.1')) === 200, { what: 'room again' });
});
