import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import { jvmAddress } from '../../../exporter/systems/jvm/address.ts';
import { openJvm } from '../../../exporter/systems/jvm/client.ts';

test('by HTTP: refused is gone, no answer in time is unknown, another status is alive and unknown', async () => {
  const answers: { status: number; text: string; wait?: true }[] = [];
  const server = createServer((_request, response) => {
    const answer = answers.at(-1);
    if (answer?.wait === true) return;
    response.writeHead(answer?.status ?? 500, answer?.status === 302 ? { location: 'http://127.0.0.1:1/' } : {});
    response.end(answer?.text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const jvm = openJvm(jvmAddress.parse({ maxwell_http: { url: `http://127.0.0.1:${address.port}` } }), undefined);
  const seen = async (ms = 3000): Promise<readonly [string, string]> => {
    const [found] = await jvm.looks({ signal: within(ms), clock: systemClock });
    assert.ok(found);
    return [found.state, found.process.known ? found.process.value : 'unknown'];
  };

  answers.push({
    status: 200,
    text: '{"gauges":{"X.jvm.memory_usage.heap.used":{"value":5},"X.jvm.memory_usage.heap.max":{"value":9}}}',
  });
  assert.deepEqual(await seen(), ['visible', 'alive']);
  answers.push({ status: 302, text: '' });
  assert.deepEqual(await seen(), ['unknown', 'alive'], 'redirects are not followed');
  answers.push({ status: 503, text: '' });
  assert.deepEqual(await seen(), ['unknown', 'alive']);
  answers.push({ status: 200, text: 'x'.repeat(5_000_000) });
  assert.deepEqual(await seen(), ['unknown', 'unknown'], 'too large');
  answers.push({ status: 200, text: '', wait: true });
  assert.deepEqual(await seen(300), ['unknown', 'unknown']);
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  assert.deepEqual(await seen(), ['gone', 'gone']);
});
