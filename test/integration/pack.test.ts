import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const repo = join(import.meta.dirname, '..', '..');
const { version } = JSON.parse(await readFile(join(repo, 'package.json'), 'utf8')) as { version: string };
/** The bins are `#!/usr/bin/env node`: the node of this project must be the first one found. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` };

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pipemedic-pack-'));
  await run('npm', ['pack', '--pack-destination', dir, '--loglevel=error'], { cwd: repo });
  const [tarball = ''] = await readdir(dir);
  await writeFile(join(dir, 'package.json'), '{"private": true}');
  await run('npm', ['install', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error', `./${tarball}`], {
    cwd: dir,
  });
});
after(() => rm(dir, { recursive: true, force: true }));

const bin = (name: string, ...args: string[]): ReturnType<typeof run> =>
  run(join(dir, 'node_modules', '.bin', name), args, { cwd: dir, env });

for (const name of ['pipemedic-exporter', 'pipemedic-remediator']) {
  test(`${name} of the installed package runs from dist/ in an empty folder`, async () => {
    assert.match(String((await bin(name, '--version')).stdout), new RegExp(`\\b${version.replaceAll('.', '\\.')}\\b`));
    assert.match(String((await bin(name, '--help')).stdout), /serve/);
  });
}

test('the installed exporter checks a configuration', async () => {
  const file = join(dir, 'pipemedic.yml');
  await writeFile(file, 'targets: [{name: r1, kind: redis, address: {host: 127.0.0.1}}]\n');
  assert.match(String((await bin('pipemedic-exporter', 'check', `--config.file=${file}`)).stdout), /r1/);
  await writeFile(file, 'targets: [{name: r1, kind: rediss, address: {host: 127.0.0.1}}]\n');
  await assert.rejects(bin('pipemedic-exporter', 'check', `--config.file=${file}`), {
    code: 2,
    stderr: /targets\[0\] \(r1\)\.kind: "rediss" is not known/,
  });
});

test('the package holds JavaScript, rules, dashboards and examples, and no sources', async () => {
  const root = join(dir, 'node_modules', 'pipemedic');
  const files = await readdir(root, { recursive: true });
  assert.deepEqual(
    files.filter((f) => f.endsWith('.ts')),
    [],
  );
  for (const wanted of [
    'dist/exporter/main.js',
    'dist/remediator/main.js',
    'dist/remediator/supervisors/process-supervisor.js',
    'rules/maxwell.rules.yml',
    'rules/runbooks/MaxwellDown.md',
    'dashboards/pipeline-overview.json',
    'deploy/alertmanager.yml',
    'deploy/prometheus.yml',
    'deploy/pipemedic.example.yml',
    'deploy/policies.example.yml',
    'deploy/process-supervisor.md',
    'README.md',
    'LICENSE',
  ]) {
    assert.ok(files.includes(wanted), `${wanted} is missing`);
  }
  assert.ok(files.some((f) => f.startsWith('deploy/sql/')));
});
