// What may stand in the web configuration file, and that each mistake is named with its path and without its secret.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { isEverybodyKnown, openWebConfig } from '../../../exporter/runtime/web-config.ts';
import { readWebConfig } from '../../../exporter/runtime/web-config-file.ts';
import { sansIn } from '../../../exporter/runtime/web-config-tls.ts';

const dir = mkdtempSync(join(tmpdir(), 'pipemedic-web-'));
after(() => {
  rmSync(dir, { recursive: true });
});
const file = join(dir, 'web.yml');
// of the password `secret`, cost 4
const hash = '$2y$04$uK8H7VfyQzWqjYh8n0pTB.0Wq7zF8pX4hYxL2X1p4v7vQw0m5b6eK';

function parse(text: string): ReturnType<typeof readWebConfig> {
  writeFileSync(file, text);
  return readWebConfig(file);
}

test('what exporter-toolkit takes is taken, with its defaults', () => {
  for (const nothing of ['', '# nothing\n\n  # yet\n', '{}'])
    assert.deepEqual(parse(nothing), { basic_auth_users: {} });
  assert.deepEqual(parse('basic_auth_users:\n'), { basic_auth_users: {} });
  const full = parse(`
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireClientCert
  client_allowed_sans: [a.test, 10.0.0.1]
  min_version: TLS11
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: ${hash}
rate_limit: {interval: 1m1.5s, burst: 2}
`);
  assert.deepEqual(full.tls_server_config, {
    cert_file: 'server.crt',
    key_file: 'server.key',
    client_auth_type: 'RequireAnyClientCert',
    client_allowed_sans: ['a.test', '10.0.0.1'],
    min_version: 'TLSv1.1',
    max_version: 'TLSv1.3',
    cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256', 'TLS_AES_128_GCM_SHA256'],
    prefer_server_cipher_suites: true,
    curve_preferences: ['P-256', 'X25519'],
  });
  assert.deepEqual(full.rate_limit, { interval: 61_500, burst: 2 });
});

const pair = 'cert_file: a, key_file: b';
const mistakes: readonly (readonly [text: string, said: RegExp])[] = [
  ['tls_server_config: {cert_file: a}', /tls_server_config\.key_file: key_file or key is wanted/],
  ['tls_server_config: {cert_file: a, cert: x, key_file: b}', /cert_file: cert_file or cert is wanted, one of them/],
  [`tls_server_config: {${pair}, min_version: TLS9}`, /min_version: TLS9 is not one of TLS10, TLS11, TLS12, TLS13/],
  [`tls_server_config: {${pair}, min_version: toString}`, /min_version: toString is not one of/],
  [`tls_server_config: {${pair}, min_version: TLS13, max_version: TLS12}`, /min_version: is above max_version/],
  [`tls_server_config: {${pair}, cipher_suites: [NULL-MD5]}`, /cipher_suites\[0\]: NULL-MD5 is not one of/],
  [`tls_server_config: {${pair}, curve_preferences: [P9]}`, /curve_preferences\[0\]: P9 is not one of CurveP256/],
  [`tls_server_config: {${pair}, client_auth_type: Maybe}`, /client_auth_type: NoClientCert, RequestClientCert/],
  [
    `tls_server_config: {${pair}, client_auth_type: RequireAndVerifyClientCert}`,
    /client_ca_file: is wanted with client_auth_type RequireAndVerifyClientCert/,
  ],
  [`tls_server_config: {${pair}, client_ca_file: c}`, /client_auth_type: is wanted with a client_ca_file/],
  [
    `tls_server_config: {${pair}, client_ca_file: c, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [a]}`,
    /client_allowed_sans: wants client_auth_type RequireAndVerify/,
  ],
  [`tls_server_config: {${pair}, sni: x}`, /tls_server_config: Unrecognized key: "sni"/],
  ['http_server_config: {http2: true}', /http2: HTTP\/2 is not served/],
  ['http_server_config: {headers: {X-Powered-By: me}}', /headers: Unrecognized key: "X-Powered-By"/],
  ['http_server_config: {headers: {X-Frame-Options: allow}}', /X-Frame-Options"\]: deny or sameorigin/],
  [
    'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nSet-Cookie: x"}}',
    /Content-Security-Policy"\]: printable ASCII on one line/,
  ],
  ['basic_auth_users: {alice: plain-secret}', /basic_auth_users\.alice: is no bcrypt hash/],
  [`basic_auth_users: {alice: "${hash.replace('$04$', '$31$')}"}`, /alice: has a cost of 31/],
  [`basic_auth_users: {"a:b": "${hash}"}`, /basic_auth_users/],
  [`basic_auth_users: {__proto__: "${hash}"}`, /basic_auth_users: nobody can have the name __proto__/],
  ['rate_limit: {interval: 1s}', /rate_limit: burst: 0 would refuse every request/],
  ['rate_limit: {interval: soon, burst: 1}', /rate_limit\.interval: a duration such as/],
  ['users: {}', /Unrecognized key: "users"/],
  ['tls_server_config: [', /web\.yml is not usable/],
  ['- a', /web\.yml is not usable/],
];
for (const [text, said] of mistakes) {
  test(`refused: ${text.slice(0, 90)}`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, said);
        assert.ok(!error.message.includes('plain-secret') && !error.message.includes('$2y$'), 'no secret in it');
        return true;
      },
    );
  });
}

test('what is no YAML is told by its line, without a part of the file: hashes and keys stand in it', () => {
  for (const broken of [
    `basic_auth_users:\n  alice: ${hash}\n bad: [\n`,
    `basic_auth_users:\n  alice: !${hash.slice(4, 20).replace('$', '')}\n`,
    `basic_auth_users: *${hash.slice(7, 20)}\n`,
    `basic_auth_users:\n  alice: "${hash}\n`,
  ]) {
    assert.throws(
      () => parse(broken),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, /line \d: not YAML: .*Mend it there$/);
        assert.ok(!error.message.includes(hash.slice(8, 16)), error.message);
        return true;
      },
    );
  }
});

test('a file that is not there, and certificates that are not, are refused at the start', () => {
  const quiet = (): void => undefined;
  assert.throws(() => openWebConfig(join(dir, 'none.yml'), quiet), /none\.yml is not usable:[^]*ENOENT/);
  writeFileSync(file, `tls_server_config: {${pair}}`);
  assert.throws(() => openWebConfig(file, quiet), /tls_server_config\.cert_file: ENOENT[^]*a'/);
  writeFileSync(join(dir, 'a'), 'no certificate');
  writeFileSync(join(dir, 'b'), 'no key');
  assert.throws(() => openWebConfig(file, quiet), /web\.yml is not usable:[^]*tls_server_config: /);
});

test('a file that changes is read again, also twice in one tick of the clock with the same size; else it is not', () => {
  const said: (string | undefined)[] = [];
  let wallMs = Date.now();
  writeFileSync(file, 'basic_auth_users: {}');
  const web = openWebConfig(
    file,
    (problem) => said.push(problem),
    () => wallMs,
  );
  const users = (): readonly string[] => Object.keys(web.now().document.basic_auth_users);
  assert.deepEqual(users(), []);
  for (const name of ['a', 'b', 'c']) {
    writeFileSync(file, `basic_auth_users: {${name}: "${hash}"}`);
    wallMs += 1;
    assert.deepEqual(users(), [name]);
  }
  wallMs += 60_000;
  const settled = web.now();
  wallMs += 1;
  assert.equal(web.now(), settled, 'the same object: nothing was read');

  writeFileSync(file, 'basic_auth_users: {a: x}');
  assert.match(web.now().fault ?? '', /is no bcrypt hash/);
  assert.deepEqual(users(), ['c'], 'kept, but nobody is let in while there is a fault');
  writeFileSync(file, `basic_auth_users: {z: "${hash}"}\n# well again`);
  assert.equal(web.now().fault, undefined);
  assert.deepEqual(users(), ['z']);
  assert.deepEqual(
    said.map((s) => s?.includes('bcrypt')),
    [true, undefined],
  );
  writeFileSync(file, `tls_server_config: {${pair}}`);
  assert.match(web.now().fault ?? '', /TLS is switched on or off by a restart only/);
});

test('a file with users that is emptied, as many begin to write, lets nobody in until something stands in it', () => {
  writeFileSync(file, `basic_auth_users: {alice: "${hash}"}`);
  let nowMs = Date.now();
  const web = openWebConfig(file, () => undefined, () => (nowMs += 1)); // prettier-ignore
  assert.equal(web.now().fault, undefined);
  for (const nothing of ['', '# being written\n']) {
    writeFileSync(file, nothing);
    assert.match(web.now().fault ?? '', /it is empty, or not written yet\. Write \{\} to ask nobody/);
  }
  writeFileSync(file, '{}');
  assert.deepEqual([web.now().fault, web.now().document.basic_auth_users], [undefined, {}]);
  writeFileSync(file, '');
  assert.equal(web.now().fault, undefined, 'nobody was asked before either');
});

test('who is asked who they are: users, or certificates that are verified, and nobody by TLS alone', () => {
  const tls = (type: string, ca: string): string =>
    `tls_server_config: {cert_file: a, key_file: b, client_auth_type: ${type}${ca}}\n`;
  const withCa = ', client_ca_file: c';
  const known = (text: string): boolean => {
    const document = parse(text);
    return isEverybodyKnown({ document, secure: undefined, fault: undefined });
  };
  assert.equal(isEverybodyKnown(undefined), false);
  assert.equal(known('{}'), false);
  assert.equal(known(tls('NoClientCert', '')), false);
  assert.equal(known(tls('RequestClientCert', withCa)), false);
  assert.equal(known(tls('RequireAnyClientCert', withCa)), false);
  assert.equal(known(tls('VerifyClientCertIfGiven', withCa)), false);
  assert.equal(known(tls('RequireAndVerifyClientCert', withCa)), true);
  assert.equal(known(`basic_auth_users: {alice: "${hash}"}`), true);
  assert.equal(known(`${tls('NoClientCert', '')}basic_auth_users: {alice: "${hash}"}`), true);
});

test('names in certificates cannot pass for others', () => {
  assert.deepEqual(sansIn('DNS:a.test, IP Address:10.0.0.1, URI:spiffe://x/y, email:a@b.test'), [
    'a.test',
    '10.0.0.1',
    'spiffe://x/y',
    'a@b.test',
  ]);
  assert.deepEqual(sansIn('URI:"http://x/, DNS:admin.test", DNS:b'), ['http://x/, DNS:admin.test', 'b']);
  assert.deepEqual(sansIn('othername:<unsupported>, DNS:a.test'), ['a.test']);
  assert.deepEqual(sansIn('x"y:1, DNS:admin.test'), [], 'nothing is guessed after what is not understood');
  assert.deepEqual(sansIn(undefined), []);
});
