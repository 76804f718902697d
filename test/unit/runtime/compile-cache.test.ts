import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isOnlyOurs } from '../../../exporter/runtime/compile-cache.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pipemedic-compiled-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

test('a folder for compiled code is made so that nobody else can look into it, nor write', (t) => {
  const folder = join(folderOf(t), '.cache', 'compiled');
  assert.equal(isOnlyOurs(folder), true);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(isOnlyOurs(folder), true, 'it is there already');
});

test('no compiled code is taken from a folder that others may write to, or into whose place they may put another', (t) => {
  const above = join(folderOf(t), 'above');
  const folder = join(above, 'compiled');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [path, mode] of [[folder, 0o720], [folder, 0o702], [above, 0o1777], [above, 0o770]] as const) {
    chmodSync(path, mode);
    assert.equal(isOnlyOurs(folder), false, `${path} ${mode.toString(8)}`);
    chmodSync(path, 0o700);
  }
  assert.equal(isOnlyOurs(folder), true);
}); // prettier-ignore

test('nor from behind a symbolic link, nor where there is no folder', (t) => {
  const above = folderOf(t);
  mkdirSync(join(above, 'elsewhere'), { mode: 0o700 });
  symlinkSync(join(above, 'elsewhere'), join(above, 'link'));
  assert.equal(isOnlyOurs(join(above, 'link')), false);
  writeFileSync(join(above, 'file'), '');
  assert.equal(isOnlyOurs(join(above, 'file')), false);
  assert.equal(isOnlyOurs(join(above, 'file', 'compiled')), false);
});

test('what is compiled is there after the first run; NODE_COMPILE_CACHE says another folder, NODE_DISABLE_COMPILE_CACHE none', (t) => {
  const above = folderOf(t);
  const [program, ours, theirs] = ['program.mjs', 'ours', 'theirs'].map((name) => join(above, name)) as [string, string, string];
  const module = JSON.stringify(join(import.meta.dirname, '../../../exporter/runtime/compile-cache.ts'));
  writeFileSync(join(above, 'used.mjs'), 'export const used = () => 1;\n');
  writeFileSync(program, `import { keepCompiled } from ${module};\nkeepCompiled(${JSON.stringify(ours)});\nawait import('./used.mjs');\n`);
  const run = (env: NodeJS.ProcessEnv): unknown => execFileSync(process.execPath, [program], { env });
  run({ NODE_DISABLE_COMPILE_CACHE: '1' });
  assert.deepEqual(existsSync(ours) ? readdirSync(ours) : [], []);
  run({ NODE_COMPILE_CACHE: theirs });
  assert.equal(readdirSync(theirs).length, 1);
  assert.equal(existsSync(ours) && readdirSync(ours).length > 0, false);
  run({});
  assert.equal(readdirSync(ours).length, 1);
}); // prettier-ignore
