// The exporter among port scanners and worse: each request ends in a 4xx or with its connection, nothing is kept, nothing is
// connected to, and nothing is told or changed that is not for everybody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { hashSync } from 'bcryptjs';
import { waitFor } from '../../deploy/lab/ready.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { serve, type Serving } from '../../exporter/serve.ts';
import { systems } from '../../exporter/systems/index.ts';
import { fakeSystem, script } from '../support/fake-system.ts';
import { hostileRequests } from '../support/hostile-requests.ts';
import { exchange, type Where } from '../support/raw-http.ts';
import { portOf } from '../support/serving-port.ts';
import { makeAuthority, makeCertificate } from '../support/web-certificates.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-hostile-'));
before(() => {
  makeAuthority(dir, 'ca');
  makeCertificate(dir, 'server', { authority: 'ca', names: 'IP:127.0.0.1', usage: 'serverAuth' });
});
after(() => {
  rmSync(dir, { recursive: true });
});

const routes = ['/', '/metrics', '/probe', '/sd', '/-/healthy', '/-/ready'];

/** Counts connections; there must be none. */
async function witness(t: TestContext): Promise<{ readonly address: string; readonly count: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`, count: () => count };
}

interface Room {
  readonly serving: Serving;
  readonly tcp: Where;
  readonly unix: Where;
  readonly loads: () => number;
  readonly opens: () => number;
}

let rooms = 0;

async function room(t: TestContext, web?: string): Promise<Room> {
  const a = script();
  let loads = 0;
  rooms += 1;
  const path = join(dir, `${rooms}.sock`);
  const file = join(dir, 'web.yml');
  if (web !== undefined) writeFileSync(file, web);
  const serving = await serve({
    load: () => {
      loads += 1;
      const targets = [{ name: 'a', kind: 'fake', address: { id: 'a' } }];
      return Promise.resolve(inventoryOf({ targets }, 'test.yml', [fakeSystem({ a })]));
    },
    listen: [{ host: '127.0.0.1', port: 0 }, { path }],
    ...{ web: web === undefined ? undefined : file, version: '1', clock: systemClock },
    ...{ log: createLog('test', 'silent'), pipelines: () => undefined },
  });
  t.after(() => serving.stop());
  const tls = web?.includes('tls_server_config') === true;
  const host = { host: '127.0.0.1', port: portOf(serving), tls };
  await waitFor(() => a.opens > 0, { what: 'the first look at the target' });
  return { serving, tcp: host, unix: { path, tls }, loads: () => loads, opens: () => a.opens };
}

const isRefused = (status: number | undefined): boolean => status !== undefined && status >= 400 && status < 500;

test('scans, tricks and floods on a plain port and a unix socket: 4xx, no connection, no reload', async (t) => {
  const seen = await witness(t);
  const { tcp, unix, loads, opens } = await room(t);
  const ask = async (where: Where, route: string): Promise<void> => {
    for (const { name, send, notHttp = false, large = false } of hostileRequests(route, seen.address)) {
      const { status, head } = await exchange(where, send());
      const isFine = isRefused(status) || ((notHttp || large) && status === undefined);
      assert.ok(isFine, `${name} on ${route}: ${head.slice(0, 300)}`);
    }
  };
  // Without a line's end it is cut off only when the time for the headers is over.
  const slow = exchange(tcp, ['GET /metrics HTTP/1.1\r\nHost: x\r\nX: ']);
  // each way of asking on one route, and the cheap ones on all
  await Promise.all([ask(tcp, '/metrics'), ask(unix, '/probe')]);
  for (const route of routes) {
    for (const { name, send, notHttp, large } of hostileRequests(route, seen.address)) {
      if (notHttp === true || large === true) continue;
      assert.ok(isRefused((await exchange(tcp, send())).status), `${name} on ${route}`);
    }
  }
  assert.equal((await slow).status, 408);
  assert.deepEqual([seen.count(), loads(), opens()], [0, 1, 1]);
});

test('plain HTTP on a TLS port, garbage on it, and tricks inside of TLS', async (t) => {
  const seen = await witness(t);
  const { tcp } = await room(t, 'tls_server_config: {cert_file: server.pem, key_file: server.key}');
  for (const { name, send, notHttp = false, large = false } of hostileRequests('/metrics', seen.address)) {
    const outside = await exchange({ ...tcp, tls: false }, send());
    assert.equal(outside.status, undefined, `${name} without TLS`);
    const { status } = await exchange(tcp, send());
    assert.ok(isRefused(status) || ((notHttp || large) && status === undefined), `${name} inside of TLS: ${status}`);
  }
  assert.equal(seen.count(), 0);
});

test('a redirect of a target leads nowhere', async (t) => {
  const seen = await witness(t);
  let asked = 0;
  const redirector = createHttp((_request, response) => {
    asked += 1;
    response.writeHead(302 + (asked % 2) * 5, { Location: `http://${seen.address}/metrics` }).end();
  }).listen(0, '127.0.0.1');
  await once(redirector, 'listening');
  t.after(() => {
    redirector.closeAllConnections();
    redirector.close();
  });
  const url = `http://127.0.0.1:${String((redirector.address() as AddressInfo).port)}`;
  const targets = [
    { name: 'j1', kind: 'jvm', address: { prometheus: { url: `${url}/metrics` } } },
    { name: 'j2', kind: 'jvm', address: { jolokia: { url: `${url}/jolokia/` } } },
    { name: 'c1', kind: 'kafka-connect', address: { url } },
  ];
  const serving = await serve({
    load: () => Promise.resolve(inventoryOf({ targets }, 'test.yml', systems)),
    listen: [{ host: '127.0.0.1', port: 0 }],
    ...{ version: '1', clock: systemClock, log: createLog('test', 'silent'), pipelines: () => undefined },
  });
  t.after(() => serving.stop());
  const text = await (await fetch(`http://127.0.0.1:${portOf(serving)}/metrics`)).text();
  for (const { name } of targets) assert.match(text, new RegExp(`pipemedic_target_up\\{target="${name}"\\} 0\n`));
  assert.ok(asked >= targets.length, `the targets were asked ${asked} times`);
  assert.equal(seen.count(), 0);
});

test('on each listener: a reload takes POST, a user, and no page of another site', async (t) => {
  const users = `basic_auth_users: {ann: "${hashSync('secret', 4)}"}\n`;
  const { tcp, unix, loads } = await room(t, users);
  const login = `Authorization: Basic ${Buffer.from('ann:secret').toString('base64')}\r\n`;
  const ask = async (where: Where, method: string, headers: string): Promise<number | undefined> => {
    const text = `${method} /-/reload HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`;
    return (await exchange(where, [text])).status;
  };
  for (const where of [tcp, unix]) {
    const first = loads();
    assert.equal(await ask(where, 'POST', ''), 401);
    assert.equal(await ask(where, 'POST', 'Authorization: Basic eDp5\r\n'), 401);
    assert.equal(await ask(where, 'GET', login), 405);
    assert.equal(await ask(where, 'POST', `${login}Sec-Fetch-Site: cross-site\r\n`), 403);
    assert.equal(loads(), first);
    assert.equal(await ask(where, 'POST', login), 200);
    assert.equal(loads(), first + 1);
  }
});

test('without users every page is for everybody, and none says more than /metrics', async (t) => {
  const secret = 'mysql://root:hunter2@10.9.8.7:3306 said no to ann';
  const bad = script({ open: () => Promise.reject(new Error(secret)) });
  const inventory = inventoryOf({ targets: [{ name: 'bad', kind: 'fake', address: { id: 'bad' } }] }, 'test.yml', [
    fakeSystem({ bad }),
  ]);
  const serving = await serve({
    load: () => Promise.resolve(inventory),
    listen: [{ host: '127.0.0.1', port: 0 }],
    ...{ version: '1', clock: systemClock, log: createLog('test', 'silent'), pipelines: () => undefined },
  });
  t.after(() => serving.stop());
  const url = `http://127.0.0.1:${portOf(serving)}`;
  await (await fetch(`${url}/metrics`)).text();
  for (const path of [...routes, '/probe?target=bad', '/probe?target=x', '/-/reload', '/none']) {
    for (const method of ['GET', 'POST']) {
      const response = await fetch(`${url}${path}`, { method });
      const text = await response.text();
      assert.doesNotMatch(text, /hunter2|10\.9\.8\.7|said no/, `${method} ${path}`);
      assert.equal(response.headers.get('cache-control'), 'no-store', path);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff', path);
      assert.equal(response.headers.get('access-control-allow-origin'), null, path);
    }
  }
});
