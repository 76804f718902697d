import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { prometheusAddress } from '../../../exporter/doctor/prometheus-config.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-login-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'login.yml');
  await writeFile(file, text);
  return file;
}

test('the URL, with a path prefix, without a slash at its end', async () => {
  const found = await prometheusAddress('https://prom.example/team/a/', undefined, {});
  assert.deepEqual(found, { url: 'https://prom.example/team/a', auth: undefined, tls: undefined });
});

for (const [what, url] of [
  ['no URL', 'prom:9090'],
  ['another scheme', 'file:///etc/passwd'],
  ['user and password', 'http://me:hush-9@prom:9090'],
  ['a token as a query', 'http://prom:9090/?token=hush-9'],
] as const) {
  test(`refused: ${what}, and it is not repeated`, async () => {
    await assert.rejects(prometheusAddress(url, undefined, {}), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.ok(!error.message.includes('hush-9') && !error.message.includes(url), error.message);
      return true;
    });
  });
}

test('a file as promtool reads it: paths are relative to it', async (t) => {
  const basic = await fileWith(
    t,
    'basic_auth: {username: me, password_file: pw}\ntls_config: {ca_file: /ca.pem, server_name: p}\n',
  );
  const found = await prometheusAddress('http://p', basic, { PIPEMEDIC_PROMETHEUS_TOKEN: 'x' });
  assert.deepEqual(found.auth, { user: 'me', password_file: join(basic, '../pw') });
  assert.deepEqual([found.tls?.ca_file, found.tls?.server_name], ['/ca.pem', 'p']);
  const bearer = await fileWith(t, 'authorization: {type: Bearer, credentials_file: /run/token}\n');
  assert.deepEqual((await prometheusAddress('http://p', bearer, {})).auth, { password_file: '/run/token' });
});

test('a file that is no YAML: its line is told, and nothing of what stands in it', async (t) => {
  const broken = await fileWith(t, 'basic_auth:\n  username: me\n  password: hush-9\n bad: [\n');
  await assert.rejects(prometheusAddress('http://p', broken, {}), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /line 4: not YAML: bad indentation of a mapping entry/);
    assert.ok(!error.message.includes('hush-9'), error.message);
    return true;
  });
});

test('the environment names secrets, and its own are read at each use', async () => {
  const of = async (env: NodeJS.ProcessEnv) => (await prometheusAddress('http://p', undefined, env)).auth;
  assert.deepEqual(await of({ PIPEMEDIC_PROMETHEUS_TOKEN: 't' }), { password_env: 'PIPEMEDIC_PROMETHEUS_TOKEN' });
  assert.deepEqual(await of({ PIPEMEDIC_PROMETHEUS_USER: 'me', PIPEMEDIC_PROMETHEUS_PASSWORD: 'p' }), {
    user: 'me',
    password_env: 'PIPEMEDIC_PROMETHEUS_PASSWORD',
  });
  await assert.rejects(of({ PIPEMEDIC_PROMETHEUS_TOKEN: 't', PIPEMEDIC_PROMETHEUS_USER: 'me' }), /are both set/);
});

for (const [what, text, problem] of [
  [
    'a secret in the file',
    'basic_auth: {username: me, password: hush-9}\n',
    /basic_auth\.password: the secret itself does not stand here/,
  ],
  [
    'both ways',
    'basic_auth: {username: me}\nauthorization: {credentials_file: t}\n',
    /basic_auth or authorization, not both/,
  ],
  ['an unknown key', 'oauth2: {}\n', /oauth2/],
  ['no YAML', 'basic_auth: [', /./],
] as const) {
  // prettier-ignore
  test(`wrong file: ${what}`, async (t) => {
    const file = await fileWith(t, text);
    await assert.rejects(prometheusAddress('http://p', file, {}), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, problem);
      assert.ok(error.message.startsWith(file) && !error.message.includes('hush-9'), error.message);
      return true;
    });
  });
}

test('a file that is not there', async () => {
  await assert.rejects(
    prometheusAddress('http://p', '/nonexistent/login.yml', {}),
    /\/nonexistent\/login\.yml is not usable/,
  );
});
