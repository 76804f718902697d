// Bodies of HTTP services: bounded each, and all that are large together.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { answerBudget } from '../../../exporter/runtime/answer-budget.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import { classOf, messageOf } from '../../../exporter/runtime/errors.ts';
import { openHttp } from '../../../exporter/systems/jvm/facts-fetch.ts';

test('a body: read, too large, or large while others fill the room; what it held is given back', async (t) => {
  const server = createServer(({ url = '' }, response) => {
    response.end('\u{1F600}'.repeat(Number(url.slice(1)) / 4));
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const client = openHttp(url, undefined, undefined, { timeoutMs: 15_000 });
  const read = (bytes: number): Promise<string> =>
    client.get(`/${String(bytes)}`, { signal: within(15_000), clock: systemClock }).then(
      ({ status, text }) => `${String(status)}: ${String(Buffer.byteLength(text))}`,
      (error: unknown) => `${classOf(error)}: ${messageOf(error)}`,
    );
  assert.equal(await read(3_000_000), '200: 3000000');
  assert.equal(await read(5_000_000), `protocol: GET ${url}/5000000: the answer is larger than 4194304 bytes`);
  assert.equal(answerBudget.held, 0);
  const others = answerBudget.begin();
  assert.equal(others.add(256 * 1024 * 1024), undefined);
  const full = answerBudget.held;
  assert.match(await read(3_000_000), /^queue: GET \S+: large answers of this and other targets are more than 256 MiB/);
  assert.equal(await read(100_000), '200: 100000');
  assert.equal(answerBudget.held, full);
  others.end();
  assert.equal(await read(3_000_000), '200: 3000000');
  assert.equal(answerBudget.held, 0);
});

test('what the query of a URL says is not told in an error, whoever makes it', async () => {
  const client = openHttp('http://127.0.0.1:1/metrics?token=hunter2"&name[]=x?y', undefined);
  assert.equal(client.url, 'http://127.0.0.1:1/metrics?…');
  const error: unknown = await client.get('', { signal: within(15_000), clock: systemClock }).catch((e: unknown) => e);
  assert.equal(classOf(error), 'refused');
  assert.match(
    messageOf(error),
    /^GET http:\/\/127\.0\.0\.1:1\/metrics\?…: request to http:\/\/127\.0\.0\.1:1\/metrics\?… failed/,
  );
  assert.equal(inspect(error, { depth: 9 }).includes('hunter2'), false);
});
