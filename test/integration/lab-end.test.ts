// However a lab ends, nothing of it is left: no process, no folder, no port.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startLab, waitFor, type Lab } from '../../deploy/lab/lab.ts';
import { portsInUseOn, processesOf } from '../support/lab-witness.ts';

const main = join(import.meta.dirname, '..', '..', 'deploy', 'lab', 'main.ts');

interface Running {
  readonly child: ChildProcess;
  readonly dir: string;
  readonly address: string;
}

async function labProcess(t: TestContext, parts: string): Promise<Running> {
  const child = spawn(process.execPath, [main, 'up', '--parts', parts], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  await waitFor(() => out.includes('Ctrl-C ends it') || child.exitCode !== null, {
    deadlineMs: 90_000,
    what: 'the lab to be up',
    detail: () => out,
  });
  const dir = /folder +(\S+)/.exec(out)?.[1];
  const address = /address +(\S+)/.exec(out)?.[1];
  assert.ok(dir !== undefined && address !== undefined, out);
  return { child, dir, address };
}

function leftOf({ dir, address }: Pick<Running, 'dir' | 'address'>): string[] {
  return [
    ...(existsSync(dir) ? [dir] : []),
    ...processesOf(dir).map((pid) => `process ${pid}: ${commandOf(pid)}`),
    ...portsInUseOn(address).map((port) => `port ${port}`),
  ];
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 200);
  } catch {
    return 'ended meanwhile';
  }
}

/** The one process of the lab with this in its command line. */
function processNamed(dir: string, text: string): number {
  const found = processesOf(dir).filter((pid) => commandOf(pid).includes(text));
  assert.equal(found.length, 1, `${text}: ${found.map(commandOf).join('\n')}`);
  return found[0] ?? 0;
}

async function nothingLeft(lab: Pick<Running, 'dir' | 'address'>): Promise<void> {
  let left: string[] = [];
  await waitFor(() => (left = leftOf(lab)).length === 0, {
    what: 'nothing to be left',
    detail: () => left.join('\n'),
  });
}

test('kill -9 of the lab leaves nothing: not a stopped server, not a service in a group of its own', async (t) => {
  const lab = await labProcess(t, 'maxwell,redis');
  process.kill(processNamed(lab.dir, 'redis-server'), 'SIGSTOP');
  process.kill(processNamed(lab.dir, 'com.zendesk.maxwell.Maxwell'), 'SIGSTOP');
  // an orphan: its parent, the supervisor, is gone already
  process.kill(processNamed(lab.dir, 'process-supervisor'), 'SIGKILL');
  lab.child.kill('SIGKILL');
  await nothingLeft(lab);
});

test('Ctrl-C ends a lab in good order: exit code 0, and nothing is left when it has ended', async (t) => {
  const lab = await labProcess(t, 'redisReplica');
  assert.ok(leftOf(lab).length > 3); // the witness does see a lab
  const exited = once(lab.child, 'exit');
  lab.child.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
  assert.deepEqual(leftOf(lab), []);
});

test('a program that fails and forgets its lab leaves nothing', async () => {
  const script = `
    const { startLab } = await import(${JSON.stringify(join(import.meta.dirname, '..', '..', 'deploy', 'lab', 'lab.ts'))});
    const lab = await startLab({ parts: ['redis'] });
    console.log(JSON.stringify({ dir: lab.dir, address: lab.address }));
    throw new Error('as in a failing test');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  await nothingLeft(JSON.parse(out) as Running);
});

test('a lab that is forgotten without a failure does not keep its program alive', async () => {
  const script = `
    const { startLab } = await import(${JSON.stringify(join(import.meta.dirname, '..', '..', 'deploy', 'lab', 'lab.ts'))});
    const lab = await startLab({ parts: ['redisReplica'] });
    console.log(JSON.stringify({ dir: lab.dir, address: lab.address }));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  const [code] = (await once(child, 'close', { signal: AbortSignal.timeout(30_000) })) as [number];
  assert.equal(code, 0);
  await nothingLeft(JSON.parse(out) as Running);
});

test('two labs at once do not see each other, and the end of one is not the end of the other', async () => {
  const both: [Lab, Lab] = await Promise.all([
    startLab({ parts: ['redisReplica'] }),
    startLab({ parts: ['redisReplica'] }),
  ]);
  await using first = both[0];
  await using second = both[1];
  assert.notEqual(first.address, second.address);
  assert.notEqual(first.dir, second.dir);
  await first.redis('redis', (redis) => redis.set('whose', 'first'));
  await second.redis('redis', (redis) => redis.set('whose', 'second'));
  for (const [lab, whose] of [
    [first, 'first'],
    [second, 'second'],
  ] as const) {
    await waitFor(async () => (await lab.redis('redisReplica', (redis) => redis.get('whose'))) === whose, {
      what: `the ${whose} lab's own replica`,
    });
  }
  await first.stop();
  assert.deepEqual(leftOf(first), []);
  assert.equal(await second.redis('redis', (redis) => redis.get('whose')), 'second');
  await second.stop();
  assert.deepEqual(leftOf(second), []);
});

test('a server that cannot start: the error shows its log, and what was started is ended', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pipemedic-test-'));
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder; // so that this lab's folder is known although it never is up
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
    rmSync(folder, { recursive: true });
  });
  const prometheusFile = join(folder, 'prometheus.yml');
  writeFileSync(prometheusFile, 'global: {scrape_interval: 10s, no_such_key: 1}\n');
  const starting = startLab({ parts: ['redis', 'prometheus'], prometheusFile });
  await assert.rejects(starting, /prometheus ended at its start[^]*no_such_key/);
  assert.deepEqual(readdirSync(folder), ['prometheus.yml']);
  assert.deepEqual(processesOf(folder), []);
});
