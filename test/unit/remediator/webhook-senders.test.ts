// Who may deliver: tokens, users and client certificates, each on a real connection to the receiver; and how it refuses.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { hashSync } from 'bcryptjs';
import express from 'express';
import { closeServer, listen } from '../../../exporter/runtime/http.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { openWeb } from '../../../exporter/runtime/web-server.ts';
import { readWebConfig } from '../../../exporter/runtime/web-config-file.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import type { Settings } from '../../../remediator/settings.ts';
import { StoreError, type NewWebhook } from '../../../remediator/store/store.ts';
import { admitSenders, type Senders } from '../../../remediator/tokens.ts';
import { webhookRouter } from '../../../remediator/webhook.ts';
import { webProblems } from '../../../remediator/web-problems.ts';
import { makeAuthority, makeCertificate } from '../../support/web-certificates.ts';
import { payload, sent } from '../../support/remediator-serve.ts';
import { MovableClock } from './run-harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-senders-'));
const at = (name: string): string => join(dir, name);
before(() => {
  makeAuthority(dir, 'ca');
  makeCertificate(dir, 'server', { authority: 'ca', names: 'IP:127.0.0.1', usage: 'serverAuth' });
  for (const name of ['am', 'prometheus'])
    makeCertificate(dir, name, { authority: 'ca', names: `DNS:${name}.test`, usage: 'clientAuth' });
  writeFileSync(at('old'), 'token-1\n');
  writeFileSync(at('new'), 'token-2\n');
});
after(() => {
  rmSync(dir, { recursive: true });
});

interface Post {
  readonly as?: string;
  readonly authorization?: string;
  readonly method?: string;
  readonly body?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
}

interface Receiver extends AsyncDisposable {
  readonly stored: NewWebhook[];
  readonly state: { full: boolean };
  readonly post: (
    options?: Post,
  ) => Promise<{ readonly status: number; readonly text: string; readonly allow: unknown }>;
}

const good = Buffer.from(JSON.stringify(payload([sent({ alertname: 'MaxwellDown', target: 'maxwell1' })])));

async function receiver(config: string, senders: Partial<Senders>): Promise<Receiver> {
  writeFileSync(at('web.yml'), config);
  const isTls = config.includes('tls_server_config');
  const log = createLog('test', 'silent');
  const web = openWeb(at('web.yml'), log);
  const stored: NewWebhook[] = [];
  const state = { full: false };
  const app = express();
  app.use(
    webhookRouter({
      store: {
        appendWebhook: (hook) => {
          if (state.full) return Promise.reject(new StoreError('full', 'no room'));
          return Promise.resolve(stored.push(hook));
        },
      },
      sources: [{ name: 'main', alertmanagers: [], watchdogMs: 0 }],
      admit: admitSenders({ tokenFiles: [], users: [], sans: [], ...senders }, web.callerOf),
      ...{ clock: new MovableClock(), metrics: createMetrics('test'), log, stored: () => undefined },
    }),
  );
  const server = web.server(app, { ownAuth: ({ url = '' }) => url.startsWith('/webhook/') });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  return {
    stored,
    state,
    post: ({ as, authorization, method = 'POST', body = good, headers = {}, path = '/webhook/main' } = {}) =>
      new Promise((resolve, reject) => {
        const options = {
          ...{ host: '127.0.0.1', port, path, method, agent: false },
          headers: { ...headers, ...(authorization === undefined ? {} : { Authorization: authorization }) },
        };
        const read = (name: string): string => readFileSync(at(name), 'utf8');
        const identity = as === undefined ? {} : { cert: read(`${as}.pem`), key: read(`${as}.key`) };
        const request = isTls ? secureRequest({ ...options, ...identity, ca: read('ca.pem') }) : plainRequest(options);
        request.on('error', reject);
        request.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, text, allow: response.headers.allow });
          });
        });
        request.end(method === 'POST' || method === 'PUT' ? body : undefined);
      }),
    [Symbol.asyncDispose]: async () => {
      await closeServer(server, 0);
      await web[Symbol.asyncDispose]();
    },
  };
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

test('two tokens are valid at a time', async () => {
  await using it = await receiver('', { tokenFiles: [at('old'), at('new')] });
  for (const token of ['token-1', 'token-2']) {
    assert.equal((await it.post({ authorization: `Bearer ${token}` })).status, 200);
  }
  for (const [authorization, status] of [
    ['Bearer token-3', 403],
    ['Bearer token-1 token-2', 401],
    ['Bearer', 401],
    ['token-1', 401],
    [basic('x', 'token-1'), 401],
  ] as const) {
    assert.equal((await it.post({ authorization })).status, status, authorization);
  }
  assert.equal(it.stored.length, 2);
});

test('while one of the tokens cannot be read, what is none of the others comes again: 503, not 403', async () => {
  await using it = await receiver('', { tokenFiles: [at('old'), at('gone')] });
  assert.equal((await it.post({ authorization: 'Bearer token-1' })).status, 200);
  assert.equal((await it.post({ authorization: 'Bearer token-3' })).status, 503);
  assert.equal(it.stored.length, 1);
});

test('a user that may deliver, one that may only look, and none', async () => {
  const users = `{alertmanager: "${hashSync('a', 4)}", prometheus: "${hashSync('p', 4)}"}`;
  await using it = await receiver(`basic_auth_users: ${users}\n`, {
    users: ['alertmanager'],
    tokenFiles: [at('old')],
  });
  assert.equal((await it.post({ authorization: basic('alertmanager', 'a') })).status, 200);
  assert.equal((await it.post({ authorization: 'Bearer token-1' })).status, 200);
  assert.equal((await it.post({ authorization: basic('prometheus', 'p') })).status, 403);
  assert.equal((await it.post({ authorization: basic('alertmanager', 'p') })).status, 401);
  assert.equal((await it.post()).status, 401);
  assert.equal((await it.post({ path: '/other' })).status, 401, 'everything else is behind the users');
  assert.equal(it.stored.length, 2);
});

test('a client certificate that may deliver, one that may only look, and none', async () => {
  const tls = `cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem`;
  await using it = await receiver(`tls_server_config: {${tls}, client_auth_type: VerifyClientCertIfGiven}`, {
    sans: ['am.test'],
  });
  assert.equal((await it.post({ as: 'am' })).status, 200);
  assert.equal((await it.post({ as: 'prometheus' })).status, 401);
  assert.equal((await it.post()).status, 401);
  assert.equal(it.stored.length, 1);
});

test('every other method, a compressed body, and a full store', async () => {
  await using it = await receiver('', { tokenFiles: [at('old')] });
  const authorization = 'Bearer token-1';
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const answer = await it.post({ method, authorization });
    assert.deepEqual([answer.status, answer.allow], [405, 'POST'], method);
    if (method !== 'HEAD') assert.match(answer.text, /follow_redirects: false/);
  }
  for (const encoding of ['gzip', 'br', 'x']) {
    const answer = await it.post({ authorization, body: gzipSync(good), headers: { 'Content-Encoding': encoding } });
    assert.equal(answer.status, 400, encoding);
  }
  assert.equal((await it.post({ authorization, body: gzipSync(good) })).status, 400);
  assert.equal(it.stored.length, 0);
  it.state.full = true;
  assert.equal((await it.post({ authorization })).status, 503);
  it.state.full = false;
  assert.equal((await it.post({ authorization })).status, 200);
  assert.deepEqual(
    it.stored.map((h) => h.body),
    [good],
  );
});

test('what the settings want of the web configuration and do not find there is said at the start', () => {
  const settings = (webhookUsers: readonly string[], webhookSans: readonly string[]): Settings =>
    ({ webhookUsers, webhookSans }) as unknown as Settings;
  assert.deepEqual(webProblems(settings([], []), undefined), []);
  assert.match(webProblems(settings(['a'], []), undefined).join(), /a is no user of the web configuration. Start with/);
  writeFileSync(at('web.yml'), `basic_auth_users: {b: "${hashSync('b', 4)}"}`);
  const web = readWebConfig(at('web.yml'));
  assert.deepEqual(webProblems(settings(['b'], []), web), []);
  assert.match(webProblems(settings(['a', 'b'], []), web).join(), /^[^]*basic_auth_users: a is no user[^]*$/);
  assert.match(webProblems(settings([], ['am.test']), web).join(), /client_sans: nobody verifies client certificates/);
});
