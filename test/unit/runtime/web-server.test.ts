// The web configuration on real sockets: every type of client certificate, passwords, changes while the server runs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest, type IncomingHttpHeaders } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { hashSync } from 'bcryptjs';
import { waitFor } from '../../../deploy/lab/ready.ts';
import { closeServer, defaultServerLimits, listen } from '../../../exporter/runtime/http.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { openWeb, type Web } from '../../../exporter/runtime/web-server.ts';
import { exchange } from '../../support/raw-http.ts';
import { makeAuthority, makeCertificate } from '../../support/web-certificates.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-websrv-'));
const at = (name: string): string => join(dir, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');

before(() => {
  makeAuthority(dir, 'ca');
  makeAuthority(dir, 'otherca');
  const server = { authority: 'ca', names: 'IP:127.0.0.1', usage: 'serverAuth' };
  makeCertificate(dir, 'server', server);
  makeCertificate(dir, 'renewed', server);
  const client = { authority: 'ca', names: 'DNS:am.test,URI:spiffe://x/am', usage: 'clientAuth' };
  makeCertificate(dir, 'client', client);
  makeCertificate(dir, 'stranger', { ...client, authority: 'otherca' });
  makeCertificate(dir, 'wronguse', { ...client, usage: 'serverAuth' });
  makeCertificate(dir, 'expired', { ...client, days: -1 });
  makeCertificate(dir, 'between', { authority: 'ca', names: 'DNS:between.test' });
  makeCertificate(dir, 'leaf', { ...client, authority: 'between' });
  writeFileSync(at('chain.pem'), read('leaf.pem') + read('between.pem'));
  copyFileSync(at('leaf.key'), at('chain.key'));
});
after(() => {
  rmSync(dir, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Serving extends AsyncDisposable {
  readonly port: number;
  readonly log: readonly string[];
  /** Rejects when the connection is refused. */
  readonly get: (options?: {
    readonly path?: string;
    readonly as?: string;
    readonly user?: string;
    readonly bearer?: string;
  }) => Promise<Answer>;
}

async function serving(config: string): Promise<Serving> {
  writeFileSync(at('web.yml'), config);
  const isTls = config.includes('tls_server_config');
  const log: string[] = [];
  const logger = createLog('test', 'silent');
  logger.error = (fields: unknown) => void log.push(JSON.stringify(fields));
  const web: Web = openWeb(at('web.yml'), logger);
  const server = web.server(
    (request, response) => {
      response.end(JSON.stringify(web.callerOf(request)));
    },
    { ownAuth: (request) => request.url?.startsWith('/own') === true },
  );
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  return {
    port,
    log,
    get: ({ path = '/', as, user, bearer } = {}) =>
      new Promise((resolve, reject) => {
        const headers: Record<string, string> = {};
        if (user !== undefined) headers['Authorization'] = `Basic ${Buffer.from(user).toString('base64')}`;
        if (bearer !== undefined) headers['Authorization'] = `Bearer ${bearer}`;
        const options = { host: '127.0.0.1', port, path, headers, agent: false };
        const identity = as === undefined ? {} : { cert: read(`${as}.pem`), key: read(`${as}.key`) };
        const request = isTls ? secureRequest({ ...options, ...identity, ca: read('ca.pem') }) : plainRequest(options);
        request.on('error', reject);
        request.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('error', reject);
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
          });
        });
        request.end();
      }),
    [Symbol.asyncDispose]: async () => {
      await closeServer(server, 0);
      await web[Symbol.asyncDispose]();
    },
  };
}

function tls(more = ''): string {
  return `tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n${more.replaceAll(/^(?=.)/gm, '  ')}`;
}

type Outcome = 'in' | 'out';
const allowed: readonly (readonly [type: string, none: Outcome, client: Outcome, stranger: Outcome, use: Outcome])[] = [
  ['NoClientCert', 'in', 'in', 'in', 'in'],
  ['RequestClientCert', 'in', 'in', 'in', 'in'],
  ['RequireAnyClientCert', 'out', 'in', 'in', 'in'],
  ['VerifyClientCertIfGiven', 'in', 'in', 'out', 'out'],
  ['RequireAndVerifyClientCert', 'out', 'in', 'out', 'out'],
];
for (const [type, ...expected] of allowed) {
  test(`${type}: none, a good certificate, one of a stranger, one for servers`, async () => {
    const ca = type === 'NoClientCert' ? '' : 'client_ca_file: ca.pem\n';
    await using it = await serving(tls(`client_auth_type: ${type}\n${ca}`));
    const found: Outcome[] = [];
    for (const as of [undefined, 'client', 'stranger', 'wronguse']) {
      const answer = await it.get(as === undefined ? {} : { as }).catch(() => undefined);
      found.push(answer?.status === 200 ? 'in' : 'out');
      if (answer === undefined) continue;
      const { certificateNames } = JSON.parse(answer.text) as { certificateNames: string[] };
      // a name is worth something only when its authority was checked
      const isKnown = as === 'client' && type !== 'NoClientCert';
      assert.deepEqual(certificateNames, isKnown ? ['am.test', 'spiffe://x/am'] : [], as);
    }
    assert.deepEqual(found, expected);
  });
}

test('only names that are allowed come in, and a change of the list counts for the next connection', async () => {
  const config = (san: string): string =>
    tls(`client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: ca.pem\nclient_allowed_sans: ["${san}"]\n`);
  await using it = await serving(config('spiffe://x/am'));
  assert.equal((await it.get({ as: 'client' })).status, 200);
  writeFileSync(at('web.yml'), config('spiffe://x/a'));
  await assert.rejects(it.get({ as: 'client' }));
  writeFileSync(at('web.yml'), config('am.test'));
  assert.equal((await it.get({ as: 'client' })).status, 200);
});

// As crypto/tls verifies for exporter-toolkit: the time, and a chain up to an authority of client_ca_file.
for (const type of ['VerifyClientCertIfGiven', 'RequireAndVerifyClientCert', 'RequireAnyClientCert']) {
  test(`${type}: an expired certificate, and one of an authority in between, with and without that`, async () => {
    await using it = await serving(tls(`client_auth_type: ${type}\nclient_ca_file: ca.pem\n`));
    const found: Outcome[] = [];
    for (const as of ['expired', 'leaf', 'chain']) {
      found.push(
        await it.get({ as }).then(
          () => 'in' as const,
          () => 'out' as const,
        ),
      );
    }
    assert.deepEqual(found, type === 'RequireAnyClientCert' ? ['in', 'in', 'in'] : ['out', 'out', 'in']);
  });
}

test('another authority in client_ca_file counts for the next connection; a file without one, not', async () => {
  copyFileSync(at('ca.pem'), at('clients.pem'));
  await using it = await serving(tls('client_auth_type: RequireAndVerifyClientCert\nclient_ca_file: clients.pem\n'));
  assert.equal((await it.get({ as: 'client' })).status, 200);
  copyFileSync(at('otherca.pem'), at('clients.pem'));
  await assert.rejects(it.get({ as: 'client' }));
  assert.equal((await it.get({ as: 'stranger' })).status, 200);
  writeFileSync(at('clients.pem'), read('ca.pem') + read('otherca.pem'));
  for (const as of ['client', 'stranger']) assert.equal((await it.get({ as })).status, 200, as);
  for (const half of ['', read('otherca.pem').slice(0, 100)]) {
    writeFileSync(at('clients.pem'), half);
    assert.equal((await it.get({ as: 'client' })).status, 200, 'half written: those before stay in use');
    assert.match(it.log.at(-1) ?? '', /client_ca_file: it holds no certificate/);
  }
  writeFileSync(at('clients.pem'), read('otherca.pem'));
  await assert.rejects(it.get({ as: 'client' }));
});

/** What a handshake ends with: protocol, cipher, the server's serial number, or the error. */
function handshake(port: number, options: ConnectionOptions = {}): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, ca: read('ca.pem'), ...options }, () => {
      const { serialNumber } = socket.getPeerCertificate();
      resolve({ protocol: socket.getProtocol(), cipher: socket.getCipher().standardName, serialNumber });
      socket.destroy();
    });
    socket.on('error', (error: Error) => {
      resolve({ error: error.message });
    });
  });
}

test('versions, ciphers and curves are those of the file', async () => {
  await using it = await serving(
    tls(
      'max_version: TLS12\ncipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\ncurve_preferences: [CurveP384]\n',
    ),
  );
  const { protocol, cipher } = await handshake(it.port);
  assert.deepEqual([protocol, cipher], ['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256']);
  assert.ok((await handshake(it.port, { minVersion: 'TLSv1.3' }))['error'] !== undefined);
  assert.ok((await handshake(it.port, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }))['error'] !== undefined);
  assert.ok((await handshake(it.port, { ecdhCurve: 'X25519' }))['error'] !== undefined);
  writeFileSync(at('web.yml'), tls('min_version: TLS13\n'));
  assert.equal((await handshake(it.port))['protocol'], 'TLSv1.3');
  assert.ok((await handshake(it.port, { maxVersion: 'TLSv1.2' }))['error'] !== undefined);
});

test('TLS 1.1 where it is asked for, and not otherwise', async () => {
  const old: ConnectionOptions = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' };
  await using it = await serving(tls());
  assert.ok((await handshake(it.port, old))['error'] !== undefined);
  writeFileSync(at('web.yml'), tls('min_version: TLS11\n'));
  assert.equal((await handshake(it.port, old))['protocol'], 'TLSv1.1');
});

test('a renewed certificate is taken at the next connection; until its key is there the old one stays', async () => {
  copyFileSync(at('server.pem'), at('live.pem'));
  copyFileSync(at('server.key'), at('live.key'));
  await using it = await serving('tls_server_config: {cert_file: live.pem, key_file: live.key}');
  const first = (await handshake(it.port))['serialNumber'];
  copyFileSync(at('renewed.pem'), at('live.pem'));
  assert.equal((await handshake(it.port))['serialNumber'], first);
  assert.equal((await it.get()).status, 200);
  assert.equal(it.log.filter((l) => l.includes('tls_server_config')).length, 1, it.log.join('\n'));
  copyFileSync(at('renewed.key'), at('live.key'));
  const second = (await handshake(it.port))['serialNumber'];
  assert.ok(second !== undefined && second !== first);
});

test('users: 401 with a challenge, the right password, one that is changed, and routes with credentials of their own', async () => {
  const users = (password: string): string =>
    `basic_auth_users: {alice: "${hashSync(password, 4).replace('$2b$', '$2y$')}"}\n`;
  await using it = await serving(users('secret'));
  const none = await it.get();
  assert.deepEqual([none.status, none.headers['www-authenticate']], [401, 'Basic realm="pipemedic", charset="UTF-8"']);
  const status = async (user: string, path = '/'): Promise<number> => (await it.get({ user, path })).status;
  assert.equal((await it.get({ user: 'alice:secret' })).text, '{"user":"alice","certificateNames":[]}');
  for (const wrong of ['alice:Secret', 'alice:', 'alice', 'bob:secret', '__proto__:x']) {
    assert.equal(await status(wrong), 401, wrong);
    assert.equal(await status(wrong), 401, `${wrong}, from what is kept`);
  }
  assert.equal((await it.get({ bearer: 'secret' })).status, 401);
  assert.equal((await it.get({ path: '/own', bearer: 'x' })).text, '{"certificateNames":[]}');
  assert.equal((await it.get({ path: '/own', user: 'alice:secret' })).status, 200);
  assert.equal(await status('alice:wrong', '/own'), 401, 'who tries a password is judged by it');
  writeFileSync(at('web.yml'), users('new'));
  assert.equal(await status('alice:secret'), 401);
  assert.equal(await status('alice:new'), 200);
});

test('passwords are compared beside the event loop, and no number of guesses holds up who is known', async () => {
  await using it = await serving(`basic_auth_users: {alice: "${hashSync('secret', 8)}"}\n`);
  assert.equal((await it.get({ user: 'alice:secret' })).status, 200);
  let judged = 0;
  const guesses = Array.from({ length: 60 }, async (_, i) => {
    const answer = await it.get({ user: `alice:guess${i}` });
    if (answer.status === 401) judged += 1;
    return answer;
  });
  assert.equal((await it.get({ user: 'alice:secret' })).status, 200);
  assert.ok(judged < 16, `${judged} guesses were judged before the one who is known`);
  const statuses = (await Promise.all(guesses)).map((a) => a.status);
  assert.ok(statuses.every((s) => s === 401 || s === 503));
  assert.ok(statuses.includes(503), 'no more than a few wait');
});

test('headers, the rate limit, and a file that cannot be understood: closed until it is mended', async () => {
  const headers = 'http_server_config: {headers: {X-Frame-Options: deny, Content-Security-Policy: ""}}\n';
  await using it = await serving(headers);
  const answer = await it.get();
  assert.equal(answer.headers['x-frame-options'], 'deny');
  writeFileSync(at('web.yml'), `${headers}basic_auth_users: {alice: "${hashSync('x', 4)}"}\n`);
  const refused = await it.get();
  assert.deepEqual([refused.status, refused.headers['x-frame-options']], [401, 'deny'], 'on refusals too');
  assert.ok(!('content-security-policy' in answer.headers));
  writeFileSync(at('web.yml'), `${headers}rate_limit: {interval: 1h, burst: 2}\n`);
  const found: number[] = [];
  for (let i = 0; i < 4; i++) found.push((await it.get()).status);
  assert.deepEqual(found, [200, 200, 429, 429]);
  writeFileSync(at('web.yml'), 'basic_auth_user: {}');
  const closed = await it.get();
  assert.equal(closed.status, 500);
  assert.ok(!closed.text.includes('basic_auth_user'), 'what is wrong is for the log');
  assert.ok(it.log.some((l) => l.includes('Unrecognized key')));
  writeFileSync(at('web.yml'), headers);
  assert.equal((await it.get()).status, 200);
});

test('behind TLS the same limits hold: no handshake, no headers, no answer, questions without end', async () => {
  writeFileSync(at('web.yml'), tls());
  const web = openWeb(at('web.yml'), createLog('test', 'silent'));
  let asked = 0;
  const never = (): void => void (asked += 1);
  const limits = { ...defaultServerLimits, headersMs: 3000, requestMs: 4000, answerMs: 500 };
  const server = web.server(never, { limits });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const where = { host: '127.0.0.1', port, tls: true };
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n';
  const found = await Promise.all([
    exchange({ ...where, tls: false }, []),
    exchange({ ...where, tls: false }, [Buffer.from('1603010200', 'hex')]),
    exchange(where, [request]),
    exchange(where, [`${request}\r\n`]),
  ]);
  assert.deepEqual(
    found.map(({ status }) => status),
    [undefined, undefined, 408, undefined],
  );
  assert.equal(asked, 1);
  await exchange(where, [`${request}\r\n`.repeat(500)]);
  assert.equal(asked, 1 + limits.underWayPerSocket);
  await closeServer(server, 0);
  await web[Symbol.asyncDispose]();
});

test('behind TLS too, one host has its share of connections only', async (t) => {
  writeFileSync(at('web.yml'), tls());
  const web = openWeb(at('web.yml'), createLog('test', 'silent'));
  const server = web.server((_request, response) => response.end('x'), {
    limits: { ...defaultServerLimits, connectionsEach: 1 },
  });
  t.after(async () => {
    await closeServer(server, 0);
    await web[Symbol.asyncDispose]();
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const options = { host: '127.0.0.1', port, ca: read('ca.pem') };
  const held = connect(options);
  await once(held, 'secureConnect');
  const dropped = once(server, 'drop');
  const beyond = connect(options);
  beyond.on('error', () => undefined);
  const cutOff = new Promise((resolve) => void beyond.once('close', resolve));
  assert.deepEqual(await dropped, [{ remoteAddress: '127.0.0.1' }]);
  await cutOff;
  let answer = '';
  held.setEncoding('utf8').on('data', (text: string) => (answer += text));
  held.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await once(held, 'end');
  assert.match(answer, /^HTTP\/1\.1 200 /);
});

test('behind TLS too, who takes nothing of an answer is cut off', async (t) => {
  writeFileSync(at('web.yml'), tls());
  const web = openWeb(at('web.yml'), createLog('test', 'silent'));
  const cut: boolean[] = [];
  const server = web.server(
    (_request, response) => {
      response.once('close', () => cut.push(!response.writableFinished));
      response.end(Buffer.alloc(64 << 20));
    },
    { limits: { ...defaultServerLimits, stalledMs: 150 } },
  );
  t.after(async () => {
    await closeServer(server, 0);
    await web[Symbol.asyncDispose]();
  });
  const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
  const socket = connect({ host: '127.0.0.1', port, ca: read('ca.pem') });
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  t.after(() => socket.destroy());
  await waitFor(() => cut.length > 0, { what: 'the end of it' });
  assert.deepEqual(cut, [true]);
});
