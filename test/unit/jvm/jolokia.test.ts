import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Auth } from '../../../exporter/fields.ts';
import { jvmAddress } from '../../../exporter/systems/jvm/address.ts';
import { openJvm, type JvmClient } from '../../../exporter/systems/jvm/client.ts';
import { jolokiaRequest, seenByJolokia } from '../../../exporter/systems/jvm/facts-jolokia.ts';
import type { JvmLook } from '../../../exporter/systems/jvm/facts-model.ts';
import { testCall } from '../mysql/fake-client.ts';

/** What Jolokia 2.6.0 answered to `jolokiaRequest` on OpenJDK 17.0.15 with Serial. */
const recorded = readFileSync(new URL('fixtures/jolokia-2.6.0-serial.json', import.meta.url), 'utf8');

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

interface Agent {
  readonly url: string;
  readonly asked: readonly Asked[];
  answer: { status: number; text: string };
}

async function agent(t: TestContext): Promise<Agent> {
  const asked: Asked[] = [];
  const found = { url: '', asked, answer: { status: 200, text: recorded } };
  const read = async (request: IncomingMessage): Promise<void> => {
    let body = '';
    for await (const part of request) body += String(part);
    const { method = '', url = '', headers } = request;
    asked.push({ method, url, authorization: headers.authorization, body });
  };
  const server = createServer((request, response) => {
    void read(request).then(() => response.writeHead(found.answer.status).end(found.answer.text));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  found.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jolokia`;
  return found;
}

const open = (url: string, auth?: Auth): JvmClient => openJvm(jvmAddress.parse({ jolokia: { url } }), undefined, auth);

async function look(client: JvmClient): Promise<JvmLook> {
  const [only] = await client.looks(testCall());
  assert.ok(only);
  return only;
}

test('one POST reads named beans and attributes, nothing is listed, searched or executed', async (t) => {
  const server = await agent(t);
  const { state, heap, runtime } = await look(open(server.url));
  assert.equal(state, 'visible');
  assert.ok(heap.known);
  assert.deepEqual(
    server.asked.map(({ method, url }) => [method, url]),
    [['POST', '/jolokia/']],
  );
  const requests = JSON.parse(server.asked[0]?.body ?? '') as { type: string; mbean: string; attribute?: unknown }[];
  for (const { type, mbean, attribute } of requests) {
    assert.equal(type, 'read');
    assert.match(mbean, /^java\.(lang|nio):type=\w+(,name=\*)?$/);
    assert.ok(attribute !== undefined, 'all attributes would be read');
  }
  const properties = requests.filter(({ attribute }) => attribute === 'SystemProperties');
  assert.ok(
    properties.every((request) => 'path' in request),
    'system properties may hold secrets',
  );

  const [area, outside] = heap.value.areas;
  assert.deepEqual(area, {
    area: 'heap',
    usedBytes: 14_524_088,
    committedBytes: 64_880_640,
    maxBytes: 64_880_640,
    initBytes: 67_108_864,
  });
  assert.equal(outside?.maxBytes, undefined);
  assert.equal(heap.value.pools.length, 8);
  assert.deepEqual(heap.value.gcs, [
    { gc: 'Copy', count: 1, seconds: 0.014 },
    { gc: 'MarkSweepCompact', count: 1, seconds: 0.015 },
  ]);
  assert.deepEqual(heap.value.afterGcRatio.known && heap.value.afterGcRatio.value, 4_161_392 / 64_880_640);
  assert.deepEqual([runtime?.numbers.threads, runtime?.numbers.classes], [12, 2647]);
  assert.deepEqual([runtime?.numbers.startTimeSeconds, runtime?.numbers.cpuSeconds], [1_795_274_765.289, 1.53]);
  assert.deepEqual(
    runtime?.buffers?.find(({ pool }) => pool === 'direct'),
    {
      pool: 'direct',
      usedBytes: 139_840,
      capacityBytes: 139_840,
      count: 3,
    },
  );
  assert.equal(runtime.info?.runtime, 'OpenJDK Runtime Environment');
});

test('credentials come from a file, read again each time', async (t) => {
  const server = await agent(t);
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-jolokia-'));
  t.after(() => {
    rmSync(dir, { recursive: true });
  });
  const file = join(dir, 'password');
  writeFileSync(file, 'one\n');
  const client = open(server.url, { user: 'u', password_file: file });
  await look(client);
  writeFileSync(file, 'two\n');
  await look(client);
  await look(open(server.url, { password_file: file }));
  const basic = (password: string): string => `Basic ${Buffer.from(`u:${password}`).toString('base64')}`;
  assert.deepEqual(
    server.asked.map(({ authorization }) => authorization),
    [basic('one'), basic('two'), 'Bearer two'],
  );
  rmSync(file);
  const missing = await look(client);
  assert.equal(missing.state, 'unknown');
  assert.match(missing.why, /password_file/);
  assert.equal(missing.process.known, false);
});

test('what is refused or makes no sense is unknown, and the process alive', async (t) => {
  const server = await agent(t);
  for (const [status, text, why] of [
    [401, '', /status 401: set auth/],
    [403, '', /status 403/],
    [302, '', /status 302/],
    [200, '<html>', /not JSON/],
    [200, '{"status":500,"error":"no such thing"}', /no such thing/],
    [200, '[]', /not an answer of Jolokia/],
    [200, '['.repeat(200_000), /not JSON/],
    [200, JSON.stringify(Array.from({ length: 11 }, () => ({ status: 404 }))), /does not tell the use of the heap/],
    [200, JSON.stringify(Array.from({ length: 11 }, () => ({ status: 403 }))), /policy of Jolokia forbids/],
    [200, JSON.stringify(Array.from({ length: 11 }, () => null)), /does not tell/],
  ] as const) {
    server.answer = { status, text };
    const found = await look(open(server.url));
    assert.equal(found.state, 'unknown', found.why);
    assert.match(found.why, why);
    assert.deepEqual(found.process.known && found.process.value, 'alive');
  }
});

test('beans that are not there, and values of wrong types, leave their numbers out', () => {
  const answers = JSON.parse(recorded) as { status: number; value: unknown }[];
  const changed = (index: number, answer: unknown): string =>
    JSON.stringify(answers.map((before, i) => (i === index ? answer : before)));
  const size = (JSON.parse(jolokiaRequest) as unknown[]).length;
  assert.equal(answers.length, size);
  for (let i = 1; i < size; i++) {
    for (const answer of [{ status: 404 }, { status: 200, value: 'text' }, { status: 200, value: [1] }, null]) {
      const { heap } = seenByJolokia(changed(i, answer), 5);
      assert.ok(heap.known, String(i));
    }
  }
  const hostile = {
    status: 200,
    value: {
      'java.lang:name="a,b\\"c",type=MemoryPool': { Usage: { used: -1, max: '5' }, CollectionUsage: null },
      'java.lang:name=x,type=MemoryPool': null,
      'java.lang:type=MemoryPool,name=x': { Usage: { used: 3 } },
      __proto__: { Usage: { used: 4 } },
    },
  };
  const { heap } = seenByJolokia(changed(1, hostile), 5);
  assert.ok(heap.known);
  assert.deepEqual(
    heap.value.pools.map(({ pool, usedBytes }) => [pool, usedBytes]),
    [
      ['a,b"c', undefined],
      ['x', undefined],
    ],
  );
});

test('nobody there is gone', async () => {
  const found = await look(open('http://127.0.0.1:1/jolokia'));
  assert.deepEqual([found.state, found.process.known && found.process.value], ['gone', 'gone']);
  const client = open('http://127.0.0.1:1/jolokia');
  await assert.rejects(client.ping(testCall()), { code: 'refused' });
  assert.equal(client.collectsWhileDown, true, 'a sweep goes on to tell it');
});

test('a sweep asks once: what the sign of life saw is what is collected', async (t) => {
  const server = await agent(t);
  const clock = { monoMs: 0 };
  const client = open(server.url);
  await client.ping(testCall(clock));
  await client.looks(testCall(clock));
  assert.equal(server.asked.length, 1);
  await client.looks(testCall(clock));
  assert.equal(server.asked.length, 2, 'taken once');
  await client.ping(testCall(clock));
  clock.monoMs = 60_000;
  await client.looks(testCall(clock));
  assert.equal(server.asked.length, 4, 'not of an earlier sweep');
});
