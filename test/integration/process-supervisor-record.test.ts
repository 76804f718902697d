// What a supervisor takes from its socket, and what it writes down: durable before it acts, and true.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { readStat } from '../../remediator/supervisors/process/proc.ts';
import { ask } from '../../remediator/supervisors/process-client.ts';
import type { LogText } from '../../remediator/supervisors/process-wire.ts';
import { assertGapless, Bench, codeOf, exchange, isAlive, line, polite } from './process-supervisor-harness.ts';

async function logOf(bench: Bench, seq?: number, maxBytes?: number): Promise<LogText> {
  const request = { op: 'log', ...(seq === undefined ? {} : { seq }), ...(maxBytes === undefined ? {} : { maxBytes }) };
  const outcome = await ask<'log'>(bench.config, request as { op: 'log' }, AbortSignal.timeout(5_000));
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
  return outcome.value.log;
}

test('garbage, oversized and half lines get an error or silence, and the supervisor goes on', async (t) => {
  const bench = new Bench(t, polite);
  const { child } = await bench.supervisor();
  const incarnation = await bench.started(1);
  const { socket } = bench.config;
  for (const bad of [
    '\n',
    'nonsense\n',
    '[]\n',
    '{"id":1}\n',
    '{"id":1,"op":"restart"}\n',
    '{"id":1,"op":"stop","fence":1}\n',
    line({ id: 1, op: 'start', ifAbsent: true, fence: -1, by: 'x' }),
    line({ id: 1, op: 'start', ifAbsent: true, fence: 1e300, by: 'x' }),
    line({ id: 1, op: 'stop', ifIncarnation: incarnation, fence: 1, by: 'x', signal: 'TERM', waitMs: 1e9 }),
    '{"id":1,"op":"stop","ifIncarnation":null,"fence":1,"by":"x","signal":"TERM","waitMs":1}\n',
    '{"id":1,"op":"status","__proto__":{},"more":1}\n',
    Buffer.from([0xff, 0xfe, 0x00, 0x0a]),
  ]) {
    const [reply] = (await exchange(socket, bad)) as { ok: boolean; code: string }[];
    assert.equal(reply?.code, 'bad_request', String(bad));
  }
  // the same connection answers a good request after a bad one and an oversized one
  const huge = Buffer.alloc(10 * 1024 * 1024, 'x');
  const mixed = Buffer.concat([Buffer.from('bad\n'), huge, Buffer.from(`\n${line({ id: 'last', op: 'status' })}`)]);
  const replies = (await exchange(socket, mixed, 3)) as { id: unknown; code?: string; ok: boolean }[];
  assert.deepEqual(
    replies.map(({ id, code }) => [id, code]),
    [
      [null, 'bad_request'],
      [null, 'too_large'],
      ['last', undefined],
    ],
  );
  assert.equal(child.exitCode, null);
  assert.deepEqual((await bench.status()).running, incarnation);
});

test('a client that is stopped after sending, and one in the middle of its line, have one effect and none', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const first = await bench.started(1);
  const request = line({ id: 1, op: 'stop', ifIncarnation: first, fence: 1, by: 'a', signal: 'TERM', waitMs: 5_000 });
  // stops itself before it reads the answer; woken up, it sends the same line again on a new connection, as a late copy
  const script = `
    const { connect } = require('node:net');
    const [path, head, tail] = process.argv.slice(1);
    const socket = connect(path);
    socket.on('connect', () => socket.write(head, () => {
      process.kill(process.pid, 'SIGSTOP');
      if (tail !== '') { socket.write(tail); socket.pipe(process.stdout); return; }
      const again = connect(path);
      again.on('data', (data) => { process.stdout.write(data); process.exit(); });
      again.write(head);
    }));`;
  const client = (head: string, tail: string): { child: ReturnType<typeof spawn>; output: () => string } => {
    const child = spawn(process.execPath, ['-e', script, bench.config.socket, head, tail], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    t.after(() => child.kill('SIGKILL'));
    return { child, output: () => output };
  };

  const whole = client(request, '');
  await waitFor(async () => (await bench.status()).running === null, { what: 'the service ended' });
  const second = await bench.started(2);
  await waitFor(() => readStat(whole.child.pid ?? 0)?.state === 'T', { what: 'the client is stopped' });
  whole.child.kill('SIGCONT');
  await waitFor(() => whole.output().includes('\n'), { what: 'the late copy was answered' });
  assert.match(whole.output(), /"code":"fenced"/);
  assert.deepEqual((await bench.status()).running, second);

  const late = line({ id: 1, op: 'stop', ifIncarnation: second, fence: 2, by: 'a', signal: 'TERM', waitMs: 5_000 });
  const half = client(late.slice(0, 40), late.slice(40));
  await waitFor(() => readStat(half.child.pid ?? 0)?.state === 'T', { what: 'the client is stopped' });
  assert.deepEqual((await bench.status()).running, second, 'half a line has no effect');
  const raised = await ask<'fence'>(bench.config, { op: 'fence', fence: 3, by: 'b' }, AbortSignal.timeout(5_000));
  assert.equal(raised.kind, 'done');
  half.child.kill('SIGCONT');
  await waitFor(() => half.output().includes('\n'), { what: 'the late rest was answered' });
  assert.match(half.output(), /"code":"fenced"/);
  assert.deepEqual((await bench.status()).running, second);
  assert.deepEqual(bench.events(), [`start ${first.pid}`, `term ${first.pid}`, `start ${second.pid}`]);
});

test('the log of an incarnation: its own text only, bounded, also when it has ended', async (t) => {
  const bench = new Bench(t, polite);
  writeFileSync(bench.config.service.logFile, 'before\n');
  await bench.supervisor();
  const first = await bench.started(1);
  const running = await logOf(bench);
  assert.deepEqual(running, {
    incarnation: first,
    text: `hello from ${first.pid}\n`,
    omittedBytes: 0,
    rotation: 'none',
  });
  await bench.stop(first, 1);
  const second = await bench.started(1);
  // the shell may add that its child was terminated
  assert.match((await logOf(bench, first.seq)).text, new RegExp(`^hello from ${first.pid}\n(Terminated\n)?$`));
  assert.equal((await logOf(bench)).text, `hello from ${second.pid}\n`);
  appendFileSync(bench.config.service.logFile, `${'ü'.repeat(50_000)}end`);
  const long = await logOf(bench, second.seq, 1_000);
  assert.equal(Buffer.byteLength(long.text), 999, 'a character that was cut in two is left out');
  assert.match(long.text, /^ü+end$/);
  const unknownOne = await ask<'log'>(bench.config, { op: 'log', seq: 99 }, AbortSignal.timeout(5_000));
  assert.equal(codeOf(unknownOne), 'unknown_incarnation');
});

test('the log of an incarnation after the file was moved, and after it was emptied', async (t) => {
  const bench = new Bench(t, polite);
  const { logFile } = bench.config.service;
  writeFileSync(logFile, 'x'.repeat(100));
  await bench.supervisor();
  const first = await bench.started(1);
  renameSync(logFile, `${logFile}.1`);
  writeFileSync(logFile, 'of somebody else, longer than the old one '.repeat(20));
  const moved = await logOf(bench);
  assert.equal(moved.rotation, 'moved');
  assert.equal(moved.text, `hello from ${first.pid}\n`);
  await bench.stop(first, 1);

  const second = await bench.started(1);
  truncateSync(logFile);
  appendFileSync(logFile, 'short\n');
  assert.deepEqual(await logOf(bench), {
    incarnation: second,
    text: 'short\n',
    omittedBytes: 0,
    rotation: 'truncated',
  });
  appendFileSync(logFile, 'y'.repeat(2_000));
  const regrown = await logOf(bench);
  assert.equal(regrown.rotation, 'truncated', 'seen by its content when it has outgrown the old offset');
  assert.equal(Buffer.byteLength(regrown.text), 2_006);
  await bench.stop(second, 1);
  rmSync(logFile);
  assert.equal((await logOf(bench, second.seq)).rotation, 'truncated', 'still open, though its name is gone');
});

test('the witness is complete and true', async (t) => {
  const bench = new Bench(t, polite);
  const { child, ended } = await bench.supervisor();
  const first = await bench.started(3);
  await bench.stop(first, 2, { by: 'late' });
  await bench.start(3);
  await bench.stop(first, 3, { by: 'run-1' });
  await bench.stop(first, 3, { by: 'run-1' });
  const second = await bench.started(4);
  process.kill(second.pid, 'SIGKILL');
  await waitFor(async () => (await bench.status()).running === null, { what: 'the end was seen' });
  child.kill('SIGTERM');
  assert.equal((await ended).code, 0);

  assertGapless(bench);
  const lines = bench.witness().filter(({ event }) => event !== 'group-ended'); // the shell's child may live a bit longer
  const { pid: one } = first;
  const { pid: two } = second;
  assert.deepEqual(
    lines.map(({ event, seq, pid, fence, by, outcome, signal, exitCode }) =>
      [event, seq, pid, fence, by, outcome, signal, exitCode].join(' '),
    ),
    [
      `supervisor-start 0 ${child.pid ?? 0}     `,
      'start-request 1  3 test accepted  ',
      `start 1 ${one} 3 test   `,
      `stop-request 1 ${one} 2 late fenced TERM `,
      'start-request 1  3 test running  ',
      `stop-request 1 ${one} 3 run-1 accepted TERM `,
      `exit 1 ${one} 3 run-1   143`,
      `stop-request 1 ${one} 3 run-1 absent TERM `,
      'start-request 2  4 test accepted  ',
      `start 2 ${two} 4 test   `,
      `exit 2 ${two}    SIGKILL `,
      `supervisor-stop 2 ${child.pid ?? 0}     `,
    ],
  );
  assert.deepEqual(bench.events(), [`start ${one}`, `term ${one}`, `start ${two}`]);
});

test('no durable intent, no effect: a state folder that cannot be written refuses, and the witness catches up', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const incarnation = await bench.started(1);
  // a folder in the place of the temporary file makes every save fail, also for root
  const blocker = `${bench.config.stateDir}/state.json.new`;
  const { mkdirSync, rmdirSync } = await import('node:fs');
  mkdirSync(blocker);
  assert.equal(codeOf(await bench.stop(incarnation, 2)), 'store_failed');
  assert.equal(isAlive(incarnation.pid), true);
  const failing = await bench.status();
  assert.match(failing.storeError ?? '', /EISDIR/);
  assert.equal(failing.stopAsked, null);
  process.kill(incarnation.pid, 'SIGKILL');
  await waitFor(async () => (await bench.status()).running === null, { what: 'the end was seen' });
  assert.equal(codeOf(await bench.start(2)), 'store_failed');
  rmdirSync(blocker);
  await waitFor(async () => (await bench.status()).storeError === null, { what: 'the store works again' });
  assertGapless(bench);
  const lines = bench.witness().filter(({ event }) => event !== 'group-ended');
  assert.deepEqual(
    lines.slice(3).map(({ event, outcome, signal }) => [event, outcome, signal]),
    [
      ['stop-request', 'store_failed', 'TERM'],
      ['exit', null, 'SIGKILL'],
      ['start-request', 'store_failed', null],
    ],
  );
  assert.equal(bench.events().length, 1);
});
