import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageVersion } from '../../../exporter/runtime/version.ts';

test('the version is the one of package.json, from the sources', () => {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string };
  assert.equal(packageVersion(), version);
});

test('it is found from dist/ in an installed package, past files that are not ours', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'pipemedic-version-'));
  t.after(() => rm(root, { recursive: true }));
  const folder = join(root, 'node_modules/pipemedic/dist/exporter/runtime');
  await mkdir(folder, { recursive: true });
  await writeFile(join(root, 'package.json'), '{"name": "app", "version": "9.9.9"}');
  await writeFile(join(root, 'node_modules/pipemedic/package.json'), '{"name": "pipemedic", "version": "1.2.3"}');
  await writeFile(join(root, 'node_modules/pipemedic/dist/package.json'), '{"type": "module"}');
  assert.equal(packageVersion(folder), '1.2.3');
  assert.throws(() => packageVersion(root), /no package.json of pipemedic above/);
});
