// Signals that reach the real programs while they are still loading their code, which takes most of the time until they serve.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { makeHome } from '../support/remediator-serve.ts';

interface Program {
  readonly child: ChildProcess;
  readonly ended: Promise<readonly unknown[]>;
  readonly messages: () => readonly unknown[];
}

/** The signals come as `cli.ts`, the second module that a program loads, is about to be read. */
function signalsAtCli(signals: readonly NodeJS.Signals[]): string {
  const code = `import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) {
  if (/\\/(exporter|remediator)\\/cli\\.ts$/.test(url)) for (const s of ${JSON.stringify(signals)}) process.kill(process.pid, s);
  return next(url, context);
} });`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

function start(t: TestContext, name: 'exporter' | 'remediator', signals: readonly NodeJS.Signals[], args: string[]) {
  const main = join(import.meta.dirname, '..', '..', name, 'main.ts');
  const argv = ['--import', signalsAtCli(signals), main, 'serve', '--web.listen-address=127.0.0.1:0', ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const messages = (): readonly unknown[] =>
    text
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [(JSON.parse(line) as Record<string, unknown>)['msg']] : []));
  return { child, ended, messages } satisfies Program;
}

async function logged(program: Program, message: string): Promise<void> {
  await waitFor(() => program.messages().includes(message), { deadlineMs: 60_000, what: message });
}

test('a signal to a program that is still loading: a reload is done once it serves, an end is one in order', async (t) => {
  const home = await makeHome();
  t.after(() => home[Symbol.asyncDispose]());
  const file = home.file('exporter.yml');
  await writeFile(file, 'targets: [{name: r1, kind: redis, address: {host: 127.0.0.1, port: 1}}]\n');
  const ofExporter = [`--config.file=${file}`];
  const ofRemediator = [`--config.file=${home.configFile}`, `--policies.file=${home.policiesFile}`];

  const exporter = start(t, 'exporter', ['SIGHUP'], ofExporter);
  const remediator = start(t, 'remediator', ['SIGHUP', 'SIGUSR2'], ofRemediator);
  await logged(exporter, 'inventory was read again');
  await logged(remediator, 'policies were read again');
  await logged(remediator, 'paused: nothing is repaired by itself');
  assert.ok(existsSync(home.file('PAUSED')));
  for (const { child } of [exporter, remediator]) child.kill('SIGTERM');
  assert.deepEqual(await Promise.all([exporter.ended, remediator.ended]), [
    [0, null],
    [0, null],
  ]);

  const early = [
    start(t, 'exporter', ['SIGTERM'], ofExporter),
    start(t, 'remediator', ['SIGTERM'], ofRemediator),
  ] as const;
  for (const program of early) {
    assert.deepEqual(await program.ended, [0, null]);
    assert.deepEqual(
      program.messages().filter((m) => m === 'listening' || m === 'stopped'),
      ['stopped'],
    );
  }
});
