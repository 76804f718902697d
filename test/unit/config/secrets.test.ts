// Secrets are read at each use: a rotated one is taken without a restart, and one that cannot be used is told by its place.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { missingSecrets } from '../../../exporter/config/secrets.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { readSecret } from '../../../exporter/runtime/secrets.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { fakeInventory, fakeSystem, roundsDeps, script } from '../../support/fake-system.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pipemedic-secret-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

test('secrets that cannot be used are named by their place, one line each', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'secret');
  await writeFile(file, 'geheim\n');
  await writeFile(join(dir, 'empty'), '\n');
  await writeFile(join(dir, 'large'), 'x'.repeat(70_000));
  execFileSync('mkfifo', [join(dir, 'pipe')]); // nobody writes to it: whoever waits for it waits for ever
  const of = (auth: object, tls: object = {}): Promise<readonly string[]> =>
    missingSecrets(
      inventoryOf({ targets: [{ name: 'a', kind: 'fake', address: { id: 'x' }, auth, tls }] }, 'x', [fakeSystem({})]),
      { SET: 'geheim', EMPTY: '' },
    );
  assert.deepEqual(await of({ password_file: file }), []);
  assert.deepEqual(await of({ password_env: 'SET' }), []);
  assert.deepEqual(await of({ password_env: 'UNSET' }), [
    'targets[0] (a).auth.password_env: environment variable UNSET is not set. Set it, or use password_file',
  ]);
  assert.deepEqual(await of({ password_env: 'EMPTY' }), [
    'targets[0] (a).auth.password_env: environment variable EMPTY is empty. Set it, or use password_file',
  ]);
  for (const [name, why] of [
    ['empty', 'is empty'],
    ['large', 'has more than 64 KiB'],
    ['pipe', 'is no regular file'],
    ['.', 'is no regular file'],
  ] as const) {
    assert.deepEqual(await of({ password_file: join(dir, name) }), [
      `targets[0] (a).auth.password_file: ${join(dir, name)} ${why}. Create the file and let this user read it`,
    ]);
  }
  const missing = await of(
    { password_file: `${file}.no` },
    { ca_file: `${file}.ca`, key_file: file, cert_file: join(dir, 'empty') },
  );
  assert.deepEqual(
    missing.map((m) => m.split(':')[0]),
    ['targets[0] (a).auth.password_file', 'targets[0] (a).tls.ca_file', 'targets[0] (a).tls.cert_file'],
  );
});

test('files that are no certificates, and a key that is another one’s, are told before a connection fails', async (t) => {
  const dir = await folder(t);
  for (const name of ['one', 'two']) {
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
    execFileSync('openssl', [...args, '-keyout', `${name}.key`, '-out', `${name}.pem`], { cwd: dir, stdio: 'ignore' });
  }
  await writeFile(join(dir, 'text'), 'geheim');
  const of = (tls: Readonly<Record<string, string>>): Promise<readonly string[]> => {
    const files = Object.fromEntries(Object.entries(tls).map(([key, name]) => [key, join(dir, name)]));
    const document = { targets: [{ name: 'a', kind: 'fake', address: { id: 'x' }, tls: files }] };
    return missingSecrets(inventoryOf(document, 'x', [fakeSystem({})]));
  };
  assert.deepEqual(await of({ ca_file: 'two.pem', cert_file: 'one.pem', key_file: 'one.key' }), []);
  assert.deepEqual(await of({ ca_file: 'text' }), [
    'targets[0] (a).tls: there is no certificate in ca_file. Name a file in PEM format',
  ]);
  for (const wrong of [
    { cert_file: 'one.pem', key_file: 'two.key' },
    { cert_file: 'text', key_file: 'one.key' },
  ]) {
    const [problem = '', ...more] = await of(wrong);
    assert.match(
      problem,
      /^targets\[0\] \(a\)\.tls: cert_file and key_file cannot be used: .*\. Name a certificate in PEM format and its own key$/,
    );
    assert.doesNotMatch(problem, /geheim/);
    assert.deepEqual(more, []);
  }
});

test('the key that a MySQL password is encrypted with is looked for too', async () => {
  const { mysql } = await import('../../../exporter/systems/mysql/index.ts');
  const address = { host: 'h', server_public_key_file: '/nonexistent.pem' };
  const inventory = inventoryOf({ targets: [{ name: 'a', kind: 'mysql', address }] }, 'x', [mysql]);
  assert.match(
    (await missingSecrets(inventory)).join(),
    /^targets\[0\] \(a\)\.address\.server_public_key_file: ENOENT.*\. Create the file and let this user read it$/,
  );
});

test('a secret ends before its line break; an empty one is none', async (t) => {
  const file = join(await folder(t), 'secret');
  for (const [text, secret] of [
    ['p', 'p'],
    ['p\n', 'p'],
    ['p\r\n', 'p'],
    [' p \n\n', ' p \n'],
  ] as const) {
    await writeFile(file, text);
    assert.equal(await readSecret({ password_file: file }), secret);
  }
  assert.equal(await readSecret({}), undefined);
  for (const text of ['', '\n']) {
    await writeFile(file, text);
    await assert.rejects(readSecret({ password_file: file }), { code: 'secret', message: `password_file ${file} is empty` }); // prettier-ignore
  }
});

test('a rotated password file, and a variable, are taken at the next connection, without a reload', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'password');
  const put = async (revision: string, password: string): Promise<void> => {
    await writeFile(join(dir, revision), password);
    await symlink(revision, join(dir, 'new'));
    await rename(join(dir, 'new'), file); // as Kubernetes rotates: the link is exchanged
  };
  const env: NodeJS.ProcessEnv = { VARIABLE: 'first' };
  let wanted = 'first';
  const login = async (source: Parameters<typeof readSecret>[0]): Promise<void> => {
    if ((await readSecret(source, env)) !== wanted) throw new TargetError('auth', 'wrong password');
  };
  const byFile = script({ open: () => login({ password_file: file }) });
  const byVariable = script({ open: () => login({ password_env: 'VARIABLE' }) });
  await put('one', 'first\n');
  const deps = roundsDeps();
  const rounds = new Rounds(fakeInventory({ byFile, byVariable }), deps);
  t.after(() => rounds.close());
  const down = async (): Promise<readonly (string | undefined)[]> => {
    await rounds.scrape(30_000);
    return rounds.states.map(({ seen }) => seen?.down?.class);
  };
  assert.deepEqual(await down(), [undefined, undefined]);

  // The server has the new one already: who is connected stays, who comes in anew is refused with the old one
  wanted = 'second';
  assert.deepEqual(await down(), [undefined, undefined]);
  byFile.usable = byVariable.usable = false;
  assert.deepEqual(await down(), ['auth', 'auth']);
  await writeFile(join(dir, 'half'), '');
  await symlink('half', join(dir, 'new'));
  await rename(join(dir, 'new'), file);
  assert.deepEqual(await down(), ['secret', 'auth']); // a file that is not written yet is no wrong password
  await put('two', 'second\n');
  env['VARIABLE'] = 'second';
  assert.deepEqual(await down(), [undefined, undefined]);
  assert.deepEqual(deps.faults, []);
});
