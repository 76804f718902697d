import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import promises, { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { loadInventory, readYaml } from '../../../exporter/config/loader.ts';
import { summaryOf } from '../../../exporter/config/summary.ts';
import { linesOf } from '../../../exporter/config/yaml.ts';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import { settingsOf } from '../../../remediator/settings.ts';
import { fakeSystem } from '../../support/fake-system.ts';

/** Writes files into a folder of their own; the folder. */
async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-config-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

const read = (folder: string): Promise<Inventory> => loadInventory(join(folder, 'pipemedic.yml'), [fakeSystem({})]);

/** Without the folder in front of each name. */
async function refused(folder: string): Promise<readonly string[]> {
  try {
    await read(folder);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((problem) => problem.replaceAll(`${folder}/`, ''));
  }
  return assert.fail('it was taken');
}

const fake = (name: string, more = ''): string => `{name: ${name}, kind: fake, address: {id: x}${more}}`;
const one = (name: string, more = ''): string => `targets: [${fake(name, more)}]\n`;
const names = (inventory: Inventory): string => [...inventory.targets.keys()].join(' ');

for (const [name, text, problem] of [
  [
    'a syntax error, with its line and without the lines around it',
    'a: 1\nsecret: geheim\nb: [1\nc: 2\n',
    ':4: not YAML: deficient indentation. Close the bracket that is open, or indent what is in it',
  ],
  ['a key twice', 'a: 1\nauth: geheim\nb: 2\nauth: 2\n', ':4: not YAML: the key auth is there twice. Take one out'],
  ['a tab', 'a:\n\tb: 1\n', ':2: not YAML: a tab cannot indent. Write spaces'],
  [
    'a colon in text',
    'a: b: geheim\n',
    ':1: not YAML: bad indentation of a mapping entry. Write it below its neighbours, and text with ": " in it in quotes',
  ],
  [
    'text that begins with *',
    'a: *geheim\n',
    ':1: not YAML: no anchor has this name. Put text that begins with * in quotes',
  ],
  [
    'text that begins with !',
    'a: !geheim x\n',
    ':1: not YAML: there are no such tags here. Put text that begins with ! in quotes',
  ],
  ['an empty file', '# nothing\n', ': there is nothing in it. Write a mapping, or take the file away'],
  ['two documents', 'a: 1\n---\nb: 2\n', ': there are several documents in it. Take out the line ---'],
] as const) {
  test(`refused: ${name}`, async (t) => {
    const folder = await folderWith(t, { 'pipemedic.yml': text });
    assert.deepEqual(await refused(folder), [`pipemedic.yml${problem}`]);
    await assert.rejects(readYaml(join(folder, 'pipemedic.yml')), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.doesNotMatch(error.message, /geheim/);
      return error.message.startsWith(folder);
    });
  });
}

test('a file that is not there, is a folder, or is no text', async (t) => {
  await assert.rejects(readYaml('/nonexistent/pipemedic.yml'), /it cannot be read: ENOENT.*Name a readable file$/s);
  await assert.rejects(readYaml('/tmp'), /it cannot be read: it is a folder\. Name a readable file$/);
  await assert.rejects(readYaml('/dev/null'), /it cannot be read: it is no regular file\. Name a readable file$/);
  const folder = await folderWith(t, {});
  await writeFile(join(folder, 'pipemedic.yml'), Buffer.from('\ufefftargets: []', 'utf16le'));
  assert.deepEqual(await refused(folder), ['it cannot be read: it is not UTF-8 text. Name a readable file']);
});

test('what YAML says', async (t) => {
  const folder = await folderWith(t, { 'a.yml': '\ufeffa: [1, x]\n' });
  assert.deepEqual(await readYaml(join(folder, 'a.yml')), { a: [1, 'x'] });
});

test('the line of a path: keys, entries, flow, quotes, anchors, block text, empty values', () => {
  const line = linesOf(`# first
a:
- name: x
  auth: &login {user: u,
    password_file: p}
-
  "na me": y
  auth: *login
  text: |
    one
    two
  none:
  last: 1\r
b:\r
`);
  for (const [path, expected] of [
    [[], 2],
    [['a'], 2],
    [['a', 0], 3],
    [['a', 0, 'name'], 3],
    [['a', 0, 'auth', 'password_file'], 5],
    [['a', 0, 'auth', 'nothing', 'there'], 4],
    [['a', 1], 7],
    [['a', 1, 'na me'], 7],
    [['a', 1, 'auth'], 8],
    [['a', 1, 'auth', 'password_file'], 5],
    [['a', 1, 'text'], 9],
    [['a', 1, 'none'], 12],
    [['a', 1, 'last'], 13],
    [['b'], 14],
    [['b', 'below'], 14],
    [['a', 9], 2],
  ] as const) {
    assert.equal(line(path), expected, path.join('.'));
  }
});

test('included files add their targets and pipelines: own first, then by the list, in folders by name, with what they include', async (t) => {
  const folder = await folderWith(t, {
    'pipemedic.yml': `include: [b.yml, conf.d, 'teams/*/x.y*ml']\n${one('one')}remediation: {x: 1}`,
    'b.yml': `include: [deep/c.yaml]\ntargets: [${fake('two')}, {name: three, kind: fake, address: {id: x, needs: one}}]`,
    'deep/c.yaml': `include: [d.yml]\n${one('four')}`,
    'deep/d.yml': one('five'), // relative to the file that names it
    'conf.d/10-z.yml': one('eight'),
    'conf.d/9-a.yml': one('nine'),
    'conf.d/Z.yml': 'pipelines: []',
    'conf.d/a.yml.bak': one('bad'),
    'conf.d/a.yml~': one('bad'),
    'conf.d/#a.yml#': one('bad'),
    'conf.d/.a.yml.swp': one('bad'),
    'conf.d/.hidden.yml': one('bad'),
    'conf.d/README': 'hello',
    'conf.d/more/deeper.yml': one('bad'),
    'teams/b/x.yml': one('eleven'),
    'teams/a/x.yaml': one('ten'),
    'teams/.git/x.yml': one('bad'),
  });
  const inventory = await read(folder);
  assert.equal(names(inventory), 'one two three four five eight nine ten eleven');
  assert.deepEqual([...(inventory.upstreams.get('three') ?? [])], ['one']);
  assert.deepEqual(inventory.remediation, { x: 1 });
  const left = inventory.leftOut.map(({ name, why }) => `${name.slice(folder.length + 1)}: ${why}`);
  const ending = 'its name does not end in .yml or .yaml';
  assert.deepEqual(left, [
    `conf.d/#a.yml#: ${ending}`,
    'conf.d/.a.yml.swp: hidden',
    'conf.d/.hidden.yml: hidden',
    `conf.d/README: ${ending}`,
    `conf.d/a.yml.bak: ${ending}`,
    `conf.d/a.yml~: ${ending}`,
    `conf.d/more: ${ending}`,
  ]);
  const summary = summaryOf(inventory, () => undefined).replaceAll(`${folder}/`, '');
  assert.match(
    summary,
    /^read, in this order:\n {2}pipemedic\.yml: 1 target, 0 pipelines\n {2}b\.yml: 2 targets, 0 pipelines\n {2}deep\/c\.yaml: 1 target/,
  );
  assert.match(summary, /\n {2}left out: conf\.d\/\.hidden\.yml \(hidden\)\n/);
  assert.match(summary, /\n9 targets, 0 pipelines\n {2}one: fake, pipemedic\.yml:2\n {2}two: fake, b\.yml:2\n/);
});

test('one file alone is shown without its places', async (t) => {
  const inventory = await read(await folderWith(t, { 'pipemedic.yml': one('a') }));
  assert.equal(
    summaryOf(inventory, () => undefined),
    '1 target, 0 pipelines\n  a: fake\n',
  );
});

test('a problem names the file and the line, the place in that file, and the target', async (t) => {
  const folder = await folderWith(t, {
    'pipemedic.yml': `include: [a.yml, b.yml]\ntargets:\n- ${fake('one', ', colour: red')}`,
    'a.yml': `targets:\n- ${fake('two')}\n- name: three\n  kind: fake\n  address:\n    id: 5`,
    'b.yml': `targets:\n- {name: "f o", kind: fake, address: {id: x}}\npipelines:\n- name: p\n  source: one`,
  });
  assert.deepEqual(await refused(folder), [
    'pipemedic.yml:3: targets[0] (one).colour: no such key. Take it out, or write one of: name, instance, auth, tls, series_limit, labels, kind, address, thresholds, collectors',
    'a.yml:6: targets[1] (three).address.id: 5 is a number. Write a string, in quotes',
    'b.yml:2: targets[0].name: "f o" cannot stand here. Write letters, digits and . _ : / @ -, beginning with a letter or digit',
    'b.yml:4: pipelines[0] (p).objective: missing. Add it: a duration such as 30s, 5m or 1h30m',
  ]);
});

test('what is there twice is told with both places', async (t) => {
  const pipeline = 'pipelines: [{name: p, objective: 1s, source: a}]\n';
  const folder = await folderWith(t, {
    'pipemedic.yml': `include: [conf.d]\n\n${one('a')}${pipeline}`,
    'conf.d/b.yml': `${one('b')}${pipeline}`,
    'conf.d/c.yml': `targets:\n- ${fake('c')}\n- ${fake('a')}\n- ${fake('b')}`,
  });
  assert.deepEqual(
    (await refused(folder)).filter((p) => p.includes(' is the name of ')),
    [
      'conf.d/c.yml:3: targets[1] (a).name: a is the name of pipemedic.yml:3: targets[0] (a) too. Give each target its own name',
      'conf.d/c.yml:4: targets[2] (b).name: b is the name of conf.d/b.yml:1: targets[0] (b) too. Give each target its own name',
      'conf.d/b.yml:2: pipelines[0] (p).name: p is the name of pipemedic.yml:4: pipelines[0] (p) too. Give each pipeline its own name',
    ],
  );
});

test('accounts and supervisors for repairs may stand beside their targets, each once', async (t) => {
  const folder = await folderWith(t, {
    'pipemedic.yml': `include: [a.yml, b.yml]\n${one('one')}remediation:\n  store: /s\n  auth: {one: {user: u}}`,
    'a.yml': `${one('two')}remediation: {auth: {two: {user: v}}, supervisors: {two: {kind: x}}}`,
    'b.yml': one('three'),
  });
  assert.deepEqual((await read(folder)).remediation, {
    store: '/s',
    auth: { one: { user: 'u' }, two: { user: 'v' } },
    supervisors: { two: { kind: 'x' } },
  });
  await writeFile(join(folder, 'b.yml'), `remediation:\n  auth:\n    one: {}\n    two: {}\n`);
  assert.deepEqual(await refused(folder), [
    'b.yml:3: remediation.auth.one: it is in pipemedic.yml:5 too. Keep one of them',
    'b.yml:4: remediation.auth.two: it is in a.yml:2 too. Keep one of them',
  ]);
});

const ofPart = 'only auth and supervisors of it may stand in an included file. Put it where the rest is';
const empty = 'there is no file ending in .yml or .yaml';
for (const [name, files, ...problems] of [
  [
    'no list',
    { 'pipemedic.yml': 'include: a.yml' },
    'pipemedic.yml:1: include: "a.yml" is a string. Write a list of files, folders or globs',
  ],
  [
    'no such file',
    { 'pipemedic.yml': `${one('a')}include:\n- a.yml` },
    /^pipemedic\.yml:3: include\[0\]: a\.yml cannot be read: ENOENT.*\. Name a file that is there$/,
  ],
  [
    'a file of another ending',
    { 'pipemedic.yml': 'include: [a.json]', 'a.json': '{}' },
    'pipemedic.yml:1: include[0]: the name of a.json does not end in .yml or .yaml. Give it another name',
  ],
  [
    'an empty folder',
    { 'pipemedic.yml': 'include: [conf.d]', 'conf.d/.x.yml': '', 'conf.d/y': '' },
    `pipemedic.yml:1: include[0]: ${empty} in conf.d, only conf.d/.x.yml, conf.d/y. Put one there, or take the line out`,
  ],
  [
    'a glob that nothing fits',
    { 'pipemedic.yml': "include: ['a*.yml']" },
    `pipemedic.yml:1: include[0]: ${empty} that fits a*.yml. Put one there, or take the line out`,
  ],
  [
    'a circle',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': '\ninclude: [b.yml]', 'b.yml': 'include: [a.yml]' },
    'b.yml:1: include[0]: a.yml -> b.yml -> a.yml is a circle. Take it out, or put the parts into a folder of their own',
  ],
  [
    'itself',
    { 'pipemedic.yml': "include: ['*.yml']" },
    'pipemedic.yml:1: include[0]: pipemedic.yml -> pipemedic.yml is a circle. Take it out, or put the parts into a folder of their own',
  ],
  [
    'a file twice',
    { 'pipemedic.yml': "include: [a.yml, '*a.yml']", 'a.yml': one('a') },
    'pipemedic.yml:1: include[1]: a.yml was read for pipemedic.yml:1: include[0] already. Take one of them out',
  ],
  [
    'a folder with the name of a file',
    { 'pipemedic.yml': 'include: [conf.d]', 'conf.d/a.yml/b.yml': one('a') },
    'pipemedic.yml:1: include[0]: conf.d/a.yml cannot be read: it is a folder. Let this user read it, or take it out',
  ],
  [
    'a part of remediation that is not by target',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'remediation: {store: /s}' },
    `a.yml:1: remediation.store: ${ofPart}`,
  ],
  [
    'a key of the first file with a slip',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'taregts: []' },
    'a.yml:1: taregts: no such key. Write targets',
  ],
  [
    'every file that is wrong is told',
    { 'pipemedic.yml': 'include: [a.yml, b.yml]', 'a.yml': 'a: [', 'b.yml': 'targets:' },
    /^a\.yml:1: not YAML: /,
    'b.yml:1: targets: an empty value cannot stand here. Write a list',
  ],
  [
    'no target anywhere',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': 'targets: []' },
    'pipemedic.yml:1: targets: too few entries. Write at least 1',
  ],
  [
    'targets that are no list',
    { 'pipemedic.yml': 'targets: x' },
    'pipemedic.yml:1: targets: "x" is a string. Write a list',
  ],
  [
    'an empty include of an empty file',
    { 'pipemedic.yml': 'include: [a.yml]', 'a.yml': '' },
    'a.yml: there is nothing in it. Write a mapping, or take the file away',
  ],
] as readonly (readonly [string, Readonly<Record<string, string>>, ...(string | RegExp)[]])[]) {
  test(`refused include: ${name}`, async (t) => {
    const found = await refused(await folderWith(t, files));
    assert.equal(found.length, problems.length, found.join('\n'));
    for (const [i, problem] of problems.entries()) {
      if (typeof problem === 'string') assert.equal(found[i], problem);
      else assert.match(found[i] ?? '', problem);
    }
  });
}

test('a folder that may not be read', { skip: process.getuid?.() === 0 && 'root may read everything' }, async (t) => {
  const folder = await folderWith(t, { 'pipemedic.yml': 'include: [conf.d]' });
  await mkdir(join(folder, 'conf.d'), { mode: 0o000 });
  assert.match((await refused(folder)).join(), /conf\.d cannot be read: EACCES.*\. Let this user read it$/);
});

/** As Kubernetes mounts a ConfigMap: each name is a link through ..data, which is swapped at once. */
async function mounted(folder: string, revision: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(folder, revision), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, revision, name), text);
    await symlink(join('..data', name), join(folder, name)).catch(() => undefined);
  }
  await symlink(revision, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
}

test('links are followed and shown, and a folder that is swapped is read as one state', async (t) => {
  const folder = await folderWith(t, { 'pipemedic.yml': 'include: [conf.d]' });
  const parts = join(folder, 'conf.d');
  await mounted(parts, '..one', { 'a.yml': one('a1'), 'b.yml': one('b1') });
  const before = await read(folder);
  assert.equal(names(before), 'a1 b1');
  assert.deepEqual(
    before.files.map(({ linkTo }) => linkTo?.slice(folder.length + 1)),
    [undefined, 'conf.d/..one/a.yml', 'conf.d/..one/b.yml'],
  );
  assert.match(summaryOf(before, () => undefined), /conf\.d\/a\.yml -> .*\/conf\.d\/\.\.one\/a\.yml: 1 target,/); // prettier-ignore
  assert.deepEqual(before.leftOut.map(({ why }) => why), ['hidden', 'hidden']); // prettier-ignore

  // Swapped again and again while it is read: never a file of one revision beside one of another
  let swaps = 0;
  const swapping = (async () => {
    for (; swaps < 60; swaps++) {
      const is = String(swaps % 7);
      await mounted(parts, `..r${String(swaps)}`, { 'a.yml': one(`a${is}`), 'b.yml': one(`b${is}`) });
    }
  })();
  let taken = 0;
  while (swaps < 60) {
    const inventory = await read(folder).catch((error: unknown) => {
      assert.match(String(error), /its files changed while they were read, 5 times/);
      return undefined;
    });
    if (inventory === undefined) continue;
    taken += 1;
    const [a = '', b = ''] = names(inventory).split(' ');
    assert.equal(a.slice(1), b.slice(1));
  }
  await swapping;
  assert.equal(names(await read(folder)), 'a3 b3');
  t.diagnostic(`${String(taken)} were taken in between`);
});

test('a link to nothing is told, not passed over', async (t) => {
  const folder = await folderWith(t, { 'pipemedic.yml': 'include: [conf.d]', 'conf.d/a.yml': one('a') });
  await symlink('nothing.yml', join(folder, 'conf.d', 'b.yml'));
  assert.match(
    (await refused(folder)).join(),
    /^pipemedic\.yml:1: include\[0\]: conf\.d\/b\.yml cannot be read: ENOENT/,
  );
});

test('what the remediator finds in its block is told with its file and line too', async (t) => {
  const folder = await folderWith(t, {
    'pipemedic.yml': `include: [a.yml]\n${one('a')}remediation:\n  store: s\n  sources: []\n`,
    'a.yml': `${one('b')}remediation:\n  auth:\n    b: {user: ''}\n`,
  });
  const inventory = await read(folder);
  const found = ['remediation.store: x', 'remediation.sources[0].name: y', 'remediation.auth.b.user: z'];
  assert.deepEqual(
    found.map((problem) => inventory.located(problem).slice(folder.length + 1)),
    ['pipemedic.yml:4: remediation.store: x', 'pipemedic.yml:5: remediation.sources[0].name: y', 'a.yml:4: remediation.auth.b.user: z'], // prettier-ignore
  );
  assert.throws(
    () => settingsOf(inventory, 'pipemedic.yml'),
    /\/pipemedic\.yml:4: remediation\.store: "s" cannot stand here/,
  );
});

for (const [name, text, problem] of [
  ['a key of several words twice', '"a b": 1\n"a b": 2\n', ':2: not YAML: a key is there twice. Take one out'],
  [
    'an entry that is no name',
    `include: [1]\n${one('a')}`,
    ':1: include[0]: 1 is a number. Write the name of a file or folder, or a glob',
  ],
] as const) {
  test(`refused with its reason: ${name}`, async (t) => {
    const folder = await folderWith(t, { 'pipemedic.yml': text });
    assert.deepEqual(await refused(folder), [`pipemedic.yml${problem}`]);
  });
}

test('refused with its reason: a file that is too large', async (t) => {
  const folder = await folderWith(t, { 'pipemedic.yml': one('a') });
  await truncate(join(folder, 'pipemedic.yml'), 33 << 20);
  assert.deepEqual(await refused(folder), ['it cannot be read: it has more than 32 MiB. Name a readable file']);
});

test('refused with its reason: a pattern that nothing can be looked for with', async (t) => {
  const pattern = `${'*a'.repeat(40_000)}.yml`;
  const folder = await folderWith(t, { 'pipemedic.yml': `include: ["${pattern}"]\n${one('a')}` });
  const [problem = '', ...others] = await refused(folder);
  assert.deepEqual(others, []);
  assert.match(problem, /^pipemedic\.yml:1: include\[0\]: .* cannot be looked for: .*\. Name a folder or a file$/);
  assert.ok(problem.length < 1000, `${problem.length} characters`);
});

const uuid = '/proc/sys/kernel/random/uuid'; // another one at each reading
test('refused with its reason: files that never hold still', { skip: !existsSync(uuid) }, async (t) => {
  const folder = await folderWith(t, { 'pipemedic.yml': `include: [part.yml]\n${one('a')}` });
  await symlink(uuid, join(folder, 'part.yml'));
  assert.deepEqual(await refused(folder), [
    'its files changed while they were read, 5 times. Try again when nobody writes them',
  ]);
});

test('refused with its reason: a list of files in a document that is not read from one', () => {
  const document = { include: ['a.yml'], targets: [{ name: 'a', kind: 'fake', address: { id: 'x' } }] };
  assert.throws(
    () => inventoryOf(document, 'pipemedic.yml', [fakeSystem({})]),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems, ['include: a list cannot stand here. Take it out']);
      return true;
    },
  );
});

test('a file that comes into a folder while the others are read is read too', async (t) => {
  const files = { 'pipemedic.yml': `include: [conf.d]\n${one('first')}`, 'conf.d/a.yml': one('a') };
  const folder = await folderWith(t, files);
  const { open } = promises;
  let isAdded = false;
  const adding = t.mock.method(promises, 'open', async (...given: Parameters<typeof open>) => {
    if (!isAdded && String(given[0]).endsWith('a.yml')) {
      isAdded = true;
      await writeFile(join(folder, 'conf.d/b.yml'), one('b'));
    }
    return await open(...given);
  });
  syncBuiltinESMExports();
  t.after(() => {
    adding.mock.restore();
    syncBuiltinESMExports();
  });
  assert.deepEqual([...(await read(folder)).targets.keys()], ['first', 'a', 'b']);
});
