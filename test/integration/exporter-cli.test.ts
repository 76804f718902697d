// The program as a person starts it.
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { NeverReady, waitFor } from '../../deploy/lab/ready.ts';
import { packageVersion } from '../../exporter/runtime/version.ts';
import { parseExposition, valueOf } from '../support/exposition-parser.ts';

const main = join(import.meta.dirname, '../../exporter/main.ts');
const redis = (name: string, more = ''): string =>
  `{name: ${name}, kind: redis, address: {host: 127.0.0.1, port: 1}${more}}`;
const inventory = `targets:\n  - ${redis('r1')}\n`;

interface Program {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<number | null>;
}

function start(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, out: () => out, err: () => err, ended };
}

async function finish(t: TestContext, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const program = start(t, args);
  const code = await program.ended;
  return { code, out: program.out(), err: program.err() };
}

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-cli-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'pipemedic.yml');
  await writeFile(file, text);
  return file;
}

/** What `look` finds; gives up when the program has ended. */
function untilFound<T>(program: Program, what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const answer = async (): Promise<T | undefined> => {
    const value = await look();
    if (value === undefined && program.child.exitCode !== null) throw new NeverReady(program.err());
    return value;
  };
  return waitFor(answer, { what, detail: program.err });
}

function logLine(program: Program, message: string): Record<string, unknown> | undefined {
  const line = program
    .err()
    .split('\n')
    .find((l) => l.includes(`"msg":"${message}"`));
  return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
}

test('--version, --help', async (t) => {
  assert.deepEqual(await finish(t, '--version'), { code: 0, out: `${packageVersion()}\n`, err: '' });
  const help = await finish(t, '--help');
  assert.equal(help.code, 0);
  for (const word of ['serve', 'check', 'catalogue', '--config.file', '--web.listen-address', 'SIGHUP']) {
    assert.ok(help.out.includes(word), word);
  }
});

test('catalogue prints every family as JSON', async (t) => {
  const { code, out } = await finish(t, 'catalogue');
  assert.equal(code, 0);
  const families = JSON.parse(out) as { name: string; type: string; labels: string[]; level: string }[];
  assert.deepEqual(
    families.find((f) => f.name === 'pipemedic_target_error_info'),
    {
      name: 'pipemedic_target_error_info',
      type: 'gauge',
      help: 'Why the target is not up: 1 with the class of the error.',
      labels: ['class'],
      level: 'target',
    },
  );
  assert.ok(families.some((f) => f.name === 'pipemedic_exporter_build_info'));
});

for (const [name, args, message] of [
  ['no command', [], /^which command\? serve, check, doctor, adopt, verify-backup or catalogue; --help shows more\n$/],
  ['unknown command', ['sevre'], /^sevre is no command: [^\n]+\n$/],
  ['two commands', ['check', 'serve'], /^serve is too much: one command at a time\n$/],
  ['unknown option', ['serve', '--config.fiel=x'], /^Unknown option '--config.fiel'; --help shows what there is\n$/],
  [
    'option without its value',
    ['serve', '--config.file'],
    /^Option '--config.file <value>' argument missing; --help[^\n]+\n$/,
  ],
  ['no inventory', ['serve'], /^which inventory\? --config.file=pipemedic.yml\n$/],
  [
    'no such file',
    ['check', '--config.file=/nonexistent.yml'],
    /^\/nonexistent\.yml is not usable:\n {2}- it cannot be read: ENOENT[^\n]+\n$/,
  ],
  [
    'bad address',
    ['serve', '--config.file=/nonexistent.yml', '--web.listen-address=9930'],
    /^--web\.listen-address: 9930 is not HOST:PORT[^\n]+\n$/,
  ],
  [
    'bad level',
    ['serve', '--config.file=/nonexistent.yml', '--log.level=loud'],
    /^--log\.level: loud is not one of [^\n]+\n$/,
  ],
  [
    'bad offset',
    ['serve', '--config.file=/nonexistent.yml', '--timeout-offset=1s'],
    /^--timeout-offset: 1s is no number of seconds[^\n]+\n$/,
  ],
  [
    'bad limit',
    ['serve', '--config.file=/nonexistent.yml', '--max-sweeps=0'],
    /^--max-sweeps: 0 is no number of targets[^\n]+\n$/,
  ],
] as const) {
  test(`wrong usage: ${name}`, async (t) => {
    const { code, out, err } = await finish(t, ...args);
    assert.match(err, message);
    assert.deepEqual([code, out], [2, '']);
  });
}

test('doctor looks at a Prometheus too; a password in its URL is refused, and not repeated', async (t) => {
  const config = `--config.file=${await fileWith(t, inventory)}`;
  const { code, out } = await finish(t, 'doctor', config, '--prometheus.url=http://127.0.0.1:1', '--json');
  const reports = JSON.parse(out) as { target: string; kind: string; down?: { class: string } }[];
  assert.deepEqual(
    reports.map(({ target, kind, down }) => [target, kind, down?.class]),
    [
      ['r1', 'redis', 'refused'],
      ['127.0.0.1:1', 'prometheus', 'refused'],
    ],
  );
  assert.equal(code, 1);
  const refused = await finish(t, 'doctor', config, '--prometheus.url=http://me:hush-9@127.0.0.1:1');
  assert.equal(refused.code, 2);
  assert.match(refused.err, /^--prometheus\.url is not usable:\n {2}- a user or password stands in the URL\./);
  assert.ok(!`${refused.out}${refused.err}`.includes('hush-9'));
});

test('check: the summary, or every problem and status 2', async (t) => {
  const good = await finish(t, 'check', `--config.file=${await fileWith(t, inventory)}`);
  assert.deepEqual(good, { code: 0, out: '1 target, 0 pipelines\n  r1: redis\n', err: '' });
  const wrong = await fileWith(t, `targets:\n  - ${redis('r1', ', colour: red')}\n  - ${redis('"r 2"')}\n`);
  const bad = await finish(t, 'check', `--config.file=${wrong}`);
  assert.equal(bad.code, 2);
  assert.equal(bad.out, '');
  assert.match(
    bad.err,
    /^[^\n]+pipemedic\.yml is not usable:\n {2}- [^\n]+pipemedic\.yml:2: targets\[0\] \(r1\)\.colour: [^\n]+\n {2}- [^\n]+:3: targets\[1\]\.name: [^\n]+\n$/,
  );
  const syntax = await finish(t, 'check', `--config.file=${await fileWith(t, 'targets: [\n')}`);
  assert.match(syntax.err, /^[^\n]+ is not usable:\n {2}- [^\n]+pipemedic\.yml:\d+: not YAML: [^\n]+\n$/);
  assert.equal(syntax.code, 2);
  const secret = await finish(
    t,
    'check',
    `--config.file=${await fileWith(t, `targets: [${redis('r1', ', auth: {password_file: /nonexistent}')}]`)}`,
  );
  assert.match(secret.err, /pipemedic\.yml:1: targets\[0\] \(r1\)\.auth\.password_file: ENOENT/);
  assert.equal(secret.code, 2);
});

test('a port in use is one line', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const { port } = other.address() as AddressInfo;
  const file = await fileWith(t, inventory);
  const { code, err } = await finish(
    t,
    'serve',
    `--config.file=${file}`,
    `--web.listen-address=127.0.0.1:${String(port)}`,
  );
  assert.equal(code, 1);
  assert.match(err, /^listen EADDRINUSE: address already in use 127\.0\.0\.1:\d+\. Stop what listens there, [^\n]+\n$/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`serve, SIGHUP, ${signal}`, async (t) => {
    const file = await fileWith(t, inventory);
    const program = start(t, ['serve', `--config.file=${file}`, '--web.listen-address=127.0.0.1:0']);
    const { port } = (await untilFound(program, 'the program to listen', () => logLine(program, 'listening'))) as {
      port: number;
    };
    const scrape = async (): Promise<ReturnType<typeof parseExposition>> =>
      parseExposition(await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text());
    const until = (name: string, value: number): Promise<boolean> =>
      untilFound(program, `${name} ${value}`, async () => valueOf(await scrape(), name) === value || undefined);

    const first = await scrape();
    assert.equal(valueOf(first, 'pipemedic_target_up', { target: 'r1' }), 0);
    assert.equal(valueOf(first, 'redis_up', { target: 'r1' }), 0);
    assert.equal(valueOf(first, 'pipemedic_target_error_info', { target: 'r1', class: 'refused' }), 1);

    await writeFile(file, `targets:\n  - ${redis('r1')}\n  - ${redis('r2')}\n`);
    program.child.kill('SIGHUP');
    await until('pipemedic_targets_configured', 2);
    await writeFile(file, 'targets: [');
    program.child.kill('SIGHUP');
    await until('pipemedic_exporter_config_last_reload_successful', 0);
    assert.equal(valueOf(await scrape(), 'pipemedic_targets_configured'), 2);

    program.child.kill(signal);
    assert.equal(await program.ended, 0);
    assert.equal(program.out(), '');
    assert.ok(logLine(program, 'stopped'));
  });
}

test('serve: a failure inside that nobody waits for is counted and logged, and it goes on serving', async (t) => {
  const file = await fileWith(t, inventory);
  const stray = "process.on('SIGUSR2', () => { Promise.reject(new Error('stray')) })";
  const program = start(t, ['serve', `--config.file=${file}`, '--web.listen-address=127.0.0.1:0'], {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(stray)}`,
  });
  const { port } = (await untilFound(program, 'the program to listen', () => logLine(program, 'listening'))) as {
    port: number;
  };
  const scrape = async (): Promise<ReturnType<typeof parseExposition>> =>
    parseExposition(await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text());
  await scrape();
  program.child.kill('SIGUSR2');
  const line = await untilFound(program, 'the fault to be logged', () => logLine(program, 'fault of this program'));
  assert.equal((line['err'] as { message: string }).message, 'stray');
  const part = 'a failure that nobody waited for';
  assert.equal(valueOf(await scrape(), 'pipemedic_exporter_faults_total', { part }), 1);
});
