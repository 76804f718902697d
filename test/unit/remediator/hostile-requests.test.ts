// The remediator among port scanners and worse: each request ends in a 4xx or with its connection, and nothing is stored.
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { loadInventory } from '../../../exporter/config/loader.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { defaultLimits } from '../../../remediator/policies.ts';
import { serve } from '../../../remediator/serve.ts';
import { settingsOf } from '../../../remediator/settings.ts';
import type { Store } from '../../../remediator/store/store.ts';
import { flood } from '../../support/flood.ts';
import { hostileRequests } from '../../support/hostile-requests.ts';
import { idleEvaluator } from '../../support/idle-evaluator.ts';
import { exchange, type Where } from '../../support/raw-http.ts';
import { makeHome, token } from '../../support/remediator-serve.ts';
import { portOf } from '../../support/serving-port.ts';
import { policy } from './evaluator-bench.ts';

async function serving(t: TestContext): Promise<{ readonly where: Where; readonly store: Store }> {
  const home = await makeHome();
  t.after(() => home[Symbol.asyncDispose]());
  const inventory = await loadInventory(home.configFile);
  const stores: Store[] = [];
  const remediator = await serve({
    inventory,
    settings: settingsOf(inventory, home.configFile),
    policyFile: { policies: [policy], limits: defaultLimits, rules: [] },
    reloadPolicies: () => Promise.reject(new Error('somebody has reloaded')),
    ...{ listen: [{ host: '127.0.0.1', port: 0 }], version: '1', log: createLog('test', 'silent'), actions: [] },
    createEvaluator: (parts) => {
      stores.push(parts.store);
      return idleEvaluator;
    },
  });
  t.after(() => remediator.stop());
  const [store] = stores;
  assert.ok(store !== undefined);
  return { where: { host: '127.0.0.1', port: portOf(remediator) }, store };
}

const isRefused = (status: number | undefined): boolean => status !== undefined && status >= 400 && status < 500;

test('scans, tricks and floods on every kind of route', async (t) => {
  const { where, store } = await serving(t);
  let reached = 0;
  const witness = createServer((socket) => {
    reached += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(witness, 'listening');
  t.after(() => witness.close());
  const address = `127.0.0.1:${String((witness.address() as AddressInfo).port)}`;
  for (const route of ['/metrics', '/webhook/main', '/api/v1/runs', '/-/reload']) {
    for (const { name, send, notHttp = false, large = false } of hostileRequests(route, address)) {
      const { status, head } = await exchange(where, send());
      const isFine = isRefused(status) || ((notHttp || large) && status === undefined);
      assert.ok(isFine, `${name} on ${route}: ${head.slice(0, 300)}`);
    }
  }
  const known = `Authorization: Bearer ${token}\r\nHost: x\r\nConnection: close\r\n`;
  for (const request of [
    'POST /webhook/%zz',
    'POST /webhook/other',
    'POST /webhook/main%00',
    'POST /webhook/main',
    'GET /api/v1/why/%zz',
    'GET /api/v1/why/%00',
    'GET /api/v1/nothing',
    'GET /api/v1/../../metrics',
    'DELETE /api/v1/runs',
    'POST /api/v1/pause',
  ]) {
    const { status, head } = await exchange(where, [`${request} HTTP/1.1\r\n${known}Content-Length: 0\r\n\r\n`]);
    assert.ok(isRefused(status), `${request}: ${head}`);
  }
  const large = Buffer.alloc(1 << 20, 'x');
  const { status } = await exchange(where, [
    `POST /webhook/main HTTP/1.1\r\n${known}Content-Length: ${100 * large.length}\r\n\r\n`,
    ...Array.from({ length: 100 }, () => large),
  ]);
  assert.ok(status === 413 || status === undefined, String(status));
  assert.equal(reached, 0);
  assert.deepEqual(await store.auditOf({ limit: 10 }), []);
  assert.deepEqual(await store.openEpisodes(), []);
});

test('10,000 random requests: each is refused, and the heap is what it was', async (t) => {
  const { where } = await serving(t);
  const routes = ['/-/healthy', '/-/ready', '/metrics', '/api/v1/runs', '/webhook/main', '/-/reload'];
  await flood(where, routes, ['/api/v1/why/', '/webhook/', '/api/v1/runs?limit=']);
});
