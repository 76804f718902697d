// The whole exporter but its command line: real sockets on both sides, targets that hang, break and recover.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { pause } from '../../exporter/runtime/deadline.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { defaultDeadline } from '../../exporter/scrape/deadline.ts';
import { serve, type Serving } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../support/exposition-parser.ts';
import { fakeSystem, script, type Script } from '../support/fake-system.ts';
import { portOf } from '../support/serving-port.ts';

/** Accepts and never says a word. */
class Silent {
  readonly sockets = new Set<Socket>();
  accepted = 0;
  readonly #server: Server;
  constructor() {
    this.#server = createServer((socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.sockets.delete(socket));
      socket.resume();
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

async function serveFor(
  t: TestContext,
  load: () => Promise<Inventory>,
): Promise<{ serving: Serving; url: string; port: number }> {
  const serving = await serve({
    load,
    listen: [{ host: '127.0.0.1', port: 0 }],
    version: '1.2.3',
    clock: systemClock,
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
    deadline: { ...defaultDeadline, defaultMs: 3000 },
  });
  t.after(() => serving.stop());
  const port = portOf(serving);
  return { serving, url: `http://127.0.0.1:${String(port)}`, port };
}

function fakes(scripts: Readonly<Record<string, Script>>, more: readonly object[] = []): () => Promise<Inventory> {
  const targets = [...Object.keys(scripts).map((id) => ({ name: id, kind: 'fake', address: { id } })), ...more];
  return () => Promise.resolve(inventoryOf({ targets }, 'test.yml', [fakeSystem(scripts), ...systems]));
}

async function scrape(url: string, timeoutSeconds: number): Promise<Map<string, ParsedFamily>> {
  const startedMs = performance.now();
  const res = await fetch(`${url}/metrics`, {
    headers: { 'X-Prometheus-Scrape-Timeout-Seconds': String(timeoutSeconds) },
  });
  const text = await res.text();
  const tookMs = performance.now() - startedMs;
  assert.equal(res.status, 200);
  assert.ok(tookMs < timeoutSeconds * 1000, `answered after ${tookMs.toFixed(0)} ms`);
  return parseExposition(text);
}

async function ready(url: string): Promise<void> {
  const endMs = performance.now() + 15_000;
  while ((await fetch(`${url}/-/ready`)).status !== 200) {
    assert.ok(performance.now() < endMs, 'not ready in time');
    await pause(20);
  }
}

test('real clients against a server that accepts and is silent: in time, the other target whole, connections bounded', async (t) => {
  const silent = new Silent();
  const port = await silent.listen();
  t.after(() => {
    silent.close();
  });
  const address = { host: '127.0.0.1', port };
  const hung = [
    { name: 'hung-mysql', kind: 'mysql', address },
    { name: 'hung-redis', kind: 'redis', address },
    { name: 'hung-kafka', kind: 'kafka', address: { brokers: [`127.0.0.1:${String(port)}`] } },
  ].filter(({ kind }) => systems.some((s) => s.kind === kind));
  const { url } = await serveFor(t, fakes({ good: script() }, hung));
  await ready(url); // clients are loaded by now
  for (let i = 0; i < 3; i++) {
    const found = await scrape(url, 1);
    for (const { name, kind } of hung) {
      assert.equal(valueOf(found, 'pipemedic_target_up', { target: name }), 0, name);
      assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: name, class: 'deadline' }), 1, name);
      const up = systems.find((s) => s.kind === kind)?.up;
      if (up !== undefined) assert.equal(valueOf(found, up.name, { target: name }), 0, name);
    }
    assert.equal(valueOf(found, 'mysql_replication_state', { target: 'hung-mysql', state: 'unknown' }), 1);
    assert.equal(valueOf(found, 'redis_replication_state', { target: 'hung-redis', state: 'unknown' }), 1);
    assert.equal(valueOf(found, 'fake_value', { target: 'good', key: 'a' }), 1);
    assert.equal(valueOf(found, 'fake_state', { target: 'good', state: 'ok' }), 1);
    assert.equal(valueOf(found, 'fake_other', { target: 'good' }), 2);
    assert.equal(valueOf(found, 'pipemedic_collector_success', { target: 'good', collector: 'value' }), 1);
    assert.ok(
      silent.sockets.size <= hung.length,
      `${String(silent.sockets.size)} connections to ${String(hung.length)} targets`,
    );
  }
  assert.ok(silent.accepted >= hung.length);
});

test('50 scrapes at once over HTTP: one open', async (t) => {
  const slow = script({ open: () => pause(100) });
  const { url } = await serveFor(t, fakes({ slow }));
  const all = await Promise.all(Array.from({ length: 50 }, () => scrape(url, 5)));
  for (const found of all) assert.equal(valueOf(found, 'fake_value', { target: 'slow' }), 1);
  assert.equal(slow.opens, 1);
});

test('ready only after the first round', async (t) => {
  let release = (): void => undefined;
  const slow = script({ open: () => new Promise((resolve) => (release = resolve)) });
  const { url } = await serveFor(t, fakes({ slow }));
  const before = await fetch(`${url}/-/ready`);
  assert.equal(before.status, 503);
  assert.match(await before.text(), /first sweep/);
  assert.equal((await fetch(`${url}/-/healthy`)).status, 200);
  release();
  await ready(url);
});

test('formats, encodings, methods and paths', async (t) => {
  const { url, port } = await serveFor(t, fakes({ a: script(), b: script() }));
  const plain = await fetch(`${url}/metrics`, { headers: { 'Accept-Encoding': 'identity' } });
  assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const self = parseExposition(await plain.text());
  assert.equal(valueOf(self, 'pipemedic_exporter_build_info', { version: '1.2.3', node: process.version }), 1);
  assert.equal(valueOf(self, 'pipemedic_exporter_config_last_reload_successful'), 1);
  assert.equal(valueOf(self, 'pipemedic_exporter_scrapes_in_flight'), 1);
  assert.ok((valueOf(self, 'process_resident_memory_bytes') ?? 0) > 1e6);
  assert.equal(valueOf(self, 'pipemedic_targets_configured'), 2);

  const open = await fetch(`${url}/metrics`, { headers: { Accept: 'application/openmetrics-text;version=1.0.0' } });
  assert.equal(open.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  const text = await open.text();
  assert.ok(text.endsWith('\n# EOF\n'));
  assert.equal(parseExposition(text).get('process_cpu_seconds')?.type, 'counter');

  // by hand, because fetch unpacks
  const req = request({ port, host: '127.0.0.1', path: '/metrics', headers: { 'Accept-Encoding': 'gzip' } }).end();
  const [res] = (await once(req, 'response')) as [NodeJS.ReadableStream & { headers: Record<string, string> }];
  assert.equal(res.headers['content-encoding'], 'gzip');
  const chunks: Buffer[] = [];
  for await (const chunk of res) chunks.push(Buffer.from(chunk));
  parseExposition(gunzipSync(Buffer.concat(chunks)).toString());

  const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), '');
  for (const path of ['/metrics', '/probe', '/sd', '/', '/-/ready', '/-/healthy']) {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const wrong = await fetch(`${url}${path}`, { method });
      assert.equal(wrong.status, 405, `${method} ${path}`);
      assert.equal(wrong.headers.get('allow'), 'GET, HEAD');
    }
  }
  for (const path of ['/metric', '/-/reloads', '/probe/a', '/sd/a', '/metrics/x']) {
    assert.equal((await fetch(`${url}${path}`)).status, 404, path);
  }
  assert.equal(plain.headers.get('x-powered-by'), null);
});

test('a body is not read: the answer comes at once and ends the connection', async (t) => {
  const { port } = await serveFor(t, fakes({ a: script() }));
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  let got = '';
  socket.on('data', (chunk) => (got += chunk.toString()));
  socket.on('error', () => undefined);
  socket.write('POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nbegin');
  await once(socket, 'close', { signal: AbortSignal.timeout(5000) });
  assert.match(got, /^HTTP\/1\.1 405 /);
  assert.match(got, /\r\nConnection: close\r\n/i);
});

test('the landing page shows the state of each target, without the words of a server', async (t) => {
  const bad = script({ open: () => Promise.reject(new Error('<script>alert("x")</script>')) });
  const { url } = await serveFor(t, fakes({ good: script(), bad }));
  await ready(url);
  const res = await fetch(url);
  const html = await res.text();
  const text = html.replaceAll(/<\/?(a|span)[^>]*>/g, '');
  assert.match(text, /<td>good<\/td><td>fake<\/td><td>up<\/td>/);
  assert.match(text, /<td>bad<\/td><td>fake<\/td><td>down \(bug\)<\/td><td>a fault of the exporter<\/td>/);
  assert.doesNotMatch(html, /script|alert\(|&quot;x/);
  assert.match(html, /Version 1\.2\.3/);
  assert.match(res.headers.get('content-security-policy') ?? '', /default-src 'none'/);
});

test('a scrape whose client went away does no harm', async (t) => {
  const slow = script({ collect: () => pause(200) });
  const { url } = await serveFor(t, fakes({ slow }));
  await ready(url);
  await assert.rejects(fetch(`${url}/metrics`, { signal: AbortSignal.timeout(50) }));
  const found = await scrape(url, 5);
  assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'slow' }), 1);
  const endMs = performance.now() + 5000;
  for (;;) {
    const after = await scrape(url, 5);
    if (valueOf(after, 'pipemedic_exporter_http_requests_total', { handler: '/metrics', code: '499' }) === 1) break;
    assert.ok(performance.now() < endMs);
  }
});

test('reload: the new inventory is taken whole or not at all, and the metric says which', async (t) => {
  const scripts = { a: script(), b: script() };
  const loads = [
    fakes({ a: scripts.a }),
    fakes(scripts),
    (): Promise<Inventory> => Promise.reject(new Error('bad file')),
    fakes({ b: scripts.b }),
  ];
  const { serving, url } = await serveFor(t, () => loads.shift()?.() ?? Promise.reject(new Error('no more')));
  const look = async (): Promise<unknown[]> => {
    const found = await scrape(url, 5);
    return [
      valueOf(found, 'pipemedic_targets_configured'),
      valueOf(found, 'pipemedic_target_up', { target: 'a' }),
      valueOf(found, 'pipemedic_target_up', { target: 'b' }),
      valueOf(found, 'pipemedic_exporter_config_last_reload_successful'),
    ];
  };
  assert.deepEqual(await look(), [1, 1, undefined, 1]);
  assert.equal(await serving.reload(), true);
  assert.deepEqual(await look(), [2, 1, 1, 1]);
  assert.equal(await serving.reload(), false);
  assert.deepEqual(await look(), [2, 1, 1, 0]);
  assert.equal(await serving.reload(), true);
  assert.deepEqual(await look(), [1, undefined, 1, 1]);
  assert.equal(scripts.a.opens, 1);
});

test('stopping closes the connections to the targets', async (t) => {
  const a = script();
  const { serving, url } = await serveFor(t, fakes({ a }));
  await ready(url);
  assert.equal(a.connections, 1);
  await serving.stop();
  assert.equal(a.connections, 0);
  await assert.rejects(fetch(url));
});
