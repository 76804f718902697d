// An exposition that is too large to be held twice is sent part by part: the same bytes, whoever asks and however.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { gauge } from '../../../exporter/families.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { SampleWriter } from '../../../exporter/scrape/writer.ts';
import type { Doors } from '../../../exporter/doors.ts';
import { createApp } from '../../../exporter/server.ts';

const family = gauge('big', 'A family.', ['n', 'text']);

async function serveBig(
  t: TestContext,
  series: number,
  maxScrapes = 64,
): Promise<{ port: number; lines: number; faults: unknown[] }> {
  const writer = new SampleWriter({ level: 'target', constant: { target: 't' } });
  for (let n = 0; n < series; n++) writer.put({ family, value: n, labels: { n: String(n), text: 'x'.repeat(200) } });
  const blocks = writer.finish();
  const faults: unknown[] = [];
  const app = createApp({
    rounds: { scrape: () => Promise.resolve(blocks), settled: true, states: [] } as unknown as Doors,
    self: {
      scrapeStarted: () => () => undefined,
      answered: () => undefined,
      blocks: () => Promise.resolve([]),
      processBlocks: () => Promise.resolve([]),
    } as unknown as Parameters<typeof createApp>[0]['self'],
    clock: systemClock,
    version: '1',
    maxScrapes,
    fault: (_part, error) => faults.push(error),
    reload: () => Promise.resolve(true),
    isCallerKnown: () => false,
  });
  const server = createServer((req, res) => {
    app(req, res);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, lines: series + 2, faults };
}

for (const series of [10, 60_000]) {
  test(`${series} series: zipped and plain are the same, and whole`, async (t) => {
    const { port, lines, faults } = await serveBig(t, series);
    const url = `http://127.0.0.1:${port}/metrics`;
    const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
    const text = await plain.text();
    assert.equal(plain.headers.get('content-length'), String(text.length));
    const zipped = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(zipped.headers.get('content-encoding'), 'gzip');
    assert.equal(await zipped.text(), text);
    assert.equal(text.split('\n').length - 1, lines);
    assert.ok(text.endsWith(`${series - 1}\n`));
    const head = await fetch(url, { method: 'HEAD', headers: { 'accept-encoding': 'identity' } });
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(text.length)]);
    assert.deepEqual(faults, []);
  });
}

test('one who goes away in the middle is no fault', async (t) => {
  const { port, faults } = await serveBig(t, 60_000);
  for (const encoding of ['gzip', 'identity']) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${encoding}\r\n\r\n`);
    await once(socket, 'data');
    socket.destroy();
  }
  await waitFor(
    async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/-/healthy`);
      return answer.ok;
    },
    { what: 'the server to answer the next' },
  );
  assert.deepEqual(faults, []);
});

for (const series of [32_000, 60_000]) {
  test(`${series} series that nobody takes count as a scrape that runs, until their connection ends`, async (t) => {
    const { port } = await serveBig(t, series, 1);
    const url = `http://127.0.0.1:${port}/metrics`;
    const status = async (): Promise<number> => {
      const answer = await fetch(url);
      await answer.arrayBuffer();
      return answer.status;
    };
    const idle = connect(port, '127.0.0.1'); // without a listener nothing is read
    idle.on('error', () => undefined);
    await waitFor(
      async () => {
        idle.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'); // again, when one of the others was faster
        return (await status()) === 503;
      },
      { deadlineMs: 60_000, what: 'its scrape to run' },
    );
    assert.equal(await status(), 503);
    idle.destroy();
    await waitFor(async () => (await status()) === 200, { deadlineMs: 60_000, what: 'room for the next' });
  });
}
