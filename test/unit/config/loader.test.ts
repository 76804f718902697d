import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { loadInventory, readYaml } from '../../../exporter/config/loader.ts';
import { missingSecrets } from '../../../exporter/config/secrets.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { fakeSystem } from '../../support/fake-system.ts';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-config-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'pipemedic.yml');
  await writeFile(file, text);
  return file;
}

for (const [name, text, problem] of [
  [
    'a syntax error, with its line and without the lines around it',
    'a: 1\nsecret: geheim\nb: [1\nc: 2\n',
    /^not YAML in line 4: [^\n]+\. Mend it there$/,
  ],
  ['a key twice', 'a: 1\na: 2\n', /^not YAML in line 2: [^\n]+\. Mend it there$/],
  ['an empty file', '', /^not YAML[^\n]*: [^\n]*empty\. Mend it there$/],
  ['two documents', 'a: 1\n---\nb: 2\n', /^not YAML[^\n]*: [^\n]+\. Mend it there$/],
] as const) {
  test(`refused: ${name}`, async (t) => {
    const file = await fileWith(t, text);
    await assert.rejects(readYaml(file), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.problems.length, 1);
      assert.match(error.problems[0] ?? '', problem);
      assert.doesNotMatch(error.message, /geheim/);
      assert.ok(error.message.startsWith(file));
      return true;
    });
  });
}

test('a file that is not there', async () => {
  await assert.rejects(readYaml('/nonexistent/pipemedic.yml'), /it cannot be read: ENOENT.*Name a readable file$/s);
});

test('what YAML says', async (t) => {
  assert.deepEqual(await readYaml(await fileWith(t, 'a: [1, x]\n')), { a: [1, 'x'] });
});

test('secrets that are not there are named, one line each; those that are there are not read', async (t) => {
  const file = await fileWith(t, 'geheim');
  const of = (auth: object, tls: object = {}): Promise<readonly string[]> =>
    missingSecrets(
      inventoryOf({ targets: [{ name: 'a', kind: 'fake', address: { id: 'x' }, auth, tls }] }, 'x', [fakeSystem({})]),
      { SET: 'geheim' },
    );
  assert.deepEqual(await of({ password_file: file }), []);
  assert.deepEqual(await of({ password_env: 'SET' }), []);
  assert.deepEqual(await of({ password_env: 'UNSET' }), [
    'target a, auth.password_env: environment variable UNSET is not set. Set it, or use password_file',
  ]);
  const missing = await of({ password_file: `${file}.no` }, { ca_file: `${file}.ca`, key_file: file });
  assert.deepEqual(
    missing.map((m) => m.split(':')[0]),
    ['target a, auth.password_file', 'target a, tls.ca_file'],
  );
});

const fake = (name: string, more = ''): string => `{name: ${name}, kind: fake, address: {id: x}${more}}`;

/** Writes pipemedic.yml and its neighbours; the name of the first. */
async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const file = await fileWith(t, files['pipemedic.yml'] ?? '');
  for (const [name, text] of Object.entries(files)) await writeFile(join(dirname(file), name), text);
  return file;
}

test('included files add their targets and pipelines, in order', async (t) => {
  const file = await folderWith(t, {
    'pipemedic.yml': `include: [a.yml, b.yml]\ntargets: [${fake('one')}]\nremediation: {x: 1}`,
    'a.yml': `targets: [${fake('two')}, ${fake('three', ', labels: {team: a}')}]`,
    'b.yml': `targets: [{name: four, kind: fake, address: {id: x, needs: one}}]\npipelines: []`,
  });
  const inventory = await loadInventory(file, [fakeSystem({})]);
  assert.deepEqual([...inventory.targets.keys()], ['one', 'two', 'three', 'four']);
  assert.deepEqual([...(inventory.upstreams.get('four') ?? [])], ['one']);
  assert.deepEqual(inventory.remediation, { x: 1 });
});

test('a problem of an included file names that file and the place in it', async (t) => {
  const file = await folderWith(t, {
    'pipemedic.yml': `include: [a.yml, b.yml]\ntargets: [${fake('one', ', colour: red')}]`,
    'a.yml': `targets: [${fake('two')}, ${fake('three', ', colour: red')}]`,
    'b.yml': `targets: [${fake('four', ', colour: red')}]`,
  });
  const folder = dirname(file);
  await assert.rejects(loadInventory(file, [fakeSystem({})]), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.deepEqual(
      error.problems.map((p) => p.split(': no such key')[0]),
      ['targets[0].colour', `${folder}/a.yml: targets[1].colour`, `${folder}/b.yml: targets[0].colour`],
    );
    return true;
  });
});

for (const [name, files, message] of [
  ['no list', { 'pipemedic.yml': 'include: a.yml' }, /include: cannot stand so\. Write a list of file names/],
  ['no such file', { 'pipemedic.yml': 'include: [a.yml]' }, /a\.yml is not usable:\n {2}- it cannot be read: ENOENT/],
  [
    'an include of an include',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'include: [b.yml]' },
    /a\.yml is not usable:\n {2}- include: no such key/,
  ],
  [
    'remediation in an include',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'remediation: {}' },
    /a\.yml is not usable:\n {2}- remediation: no such key/,
  ],
  ['no target anywhere', { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'targets: []' }, /targets: too few entries/],
  ['targets that are no list', { 'pipemedic.yml': 'include: []\ntargets: x' }, /targets\[0\]: "x" is a string/],
] as const) {
  test(`refused include: ${name}`, async (t) => {
    await assert.rejects(loadInventory(await folderWith(t, files), [fakeSystem({})]), message);
  });
}
