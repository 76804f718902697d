import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ask, incarnationId, processSupervisor } from '../../../remediator/supervisors/process-client.ts';
import {
  maxReplyBytes,
  requestSchema,
  type Incarnation,
  type Reply,
  type Request,
} from '../../../remediator/supervisors/process-wire.ts';
import type { Outcome, Supervisor } from '../../../remediator/supervisors/supervisor.ts';

const incarnation: Incarnation = { bootId: 'b-1', pid: 42, startTicks: 777, startedAtMs: 1_000, seq: 3 };
const token = { fence: 4, by: 'run-1' };
type Answer = (request: Request, socket: Socket) => unknown;

/** A supervisor that answers with what `answer` returns, or as it likes on the socket when that is undefined. */
async function fake(t: TestContext, answer: Answer): Promise<{ socket: string; seen: Request[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'process-client-'));
  const socket = join(dir, 's.sock');
  const seen: Request[] = [];
  const open = new Set<Socket>();
  const server = createServer((connection) => {
    open.add(connection);
    connection.on('error', () => undefined);
    let text = '';
    connection.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (!text.endsWith('\n')) return;
      const request = requestSchema.parse(JSON.parse(text));
      seen.push(request);
      const reply = answer(request, connection);
      if (reply !== undefined) connection.write(`${JSON.stringify(reply)}\n`);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.after(() => {
    for (const connection of open) connection.destroy();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { socket, seen };
}

function brief(outcome: Outcome<unknown>): string {
  return outcome.kind === 'refused' ? `refused ${outcome.code}` : outcome.kind;
}

const start = { op: 'start', ifAbsent: true, fence: 1, by: 'x' } as const;
const started = ({ id }: Request): Reply => ({ id, ok: true, op: 'start', incarnation });

for (const [name, answer, expected] of [
  ['a good answer', started, 'done'],
  [
    'an error reply',
    ({ id }) => ({ id, ok: false, code: 'fenced', message: 'm', running: null, maxFence: 9 }),
    'refused fenced',
  ],
  [
    'an error reply to a line that could not be read',
    () => ({ id: null, ok: false, code: 'too_large', message: 'm', running: null, maxFence: 9 }),
    'refused too_large',
  ],
  [
    'a failure inside the supervisor is no proof',
    ({ id }) => ({ id, ok: false, code: 'internal', message: 'm', running: null, maxFence: 9 }),
    'unknown',
  ],
  ['an answer to another request', () => started({ id: 'other', op: 'status' }), 'unknown'],
  [
    'a refusal of another request',
    () => ({ id: 7, ok: false, code: 'fenced', message: '', running: null, maxFence: 1 }),
    'unknown',
  ],
  ['an answer of another kind', ({ id }) => ({ id, ok: true, op: 'fence', maxFence: 1 }), 'unknown'],
  ['an answer that is none', () => ['hello'], 'unknown'],
  [
    'the connection closed after the request was read',
    (_request, socket) => {
      socket.destroy();
    },
    'unknown',
  ],
  ['no answer before the deadline', () => undefined, 'unknown'],
  [
    'half an answer',
    (_request, socket) => {
      socket.end('{"id":');
    },
    'unknown',
  ],
  [
    'an answer without end',
    (_request, socket) => {
      socket.write('x'.repeat(maxReplyBytes + 1));
    },
    'unknown',
  ],
] as const satisfies readonly (readonly [string, Answer, string])[]) {
  test(`outcome: ${name}`, async (t) => {
    const server = await fake(t, answer);
    const outcome = await ask<'start'>(server, start, AbortSignal.timeout(name.startsWith('no answer') ? 50 : 5_000));
    assert.equal(brief(outcome), expected);
    assert.equal(server.seen.length, 1, 'one request, whatever happens');
  });
}

test('outcome: refused when nobody can have read the request', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'process-client-'));
  t.after(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const soon = AbortSignal.timeout(5_000);
  assert.equal(brief(await ask<'start'>({ socket: join(dir, 'absent') }, start, soon)), 'refused ENOENT');
  writeFileSync(join(dir, 'file'), '');
  assert.equal(brief(await ask<'start'>({ socket: join(dir, 'file') }, start, soon)), 'refused ECONNREFUSED');
  const server = await fake(t, started);
  assert.equal(brief(await ask<'start'>(server, start, AbortSignal.abort())), 'refused not_sent');
  const long = { ...start, by: 'x'.repeat(70_000) };
  assert.equal(brief(await ask<'start'>(server, long, soon)), 'refused not_sent');
  assert.equal(server.seen.length, 0);
});

function supervisorAt(server: { socket: string }): Supervisor {
  return processSupervisor({ socket: server.socket }, () => 5_000);
}
const published = { id: incarnationId(incarnation), pid: 42, startedAtMs: 1_000 };
const ended = {
  incarnation,
  exit: { known: true, exitCode: 143, signal: null },
  endedAtMs: 2_000,
  asked: { by: 'run-1', fence: 4, signal: 'TERM', atMs: 1_900 },
  logOffset: 0,
  logEnd: 10,
} as const;

test('the common interface: state', async (t) => {
  const status = {
    service: 'maxwell',
    bootId: 'b-1',
    supervisorPid: 1,
    running: incarnation,
    processState: 'T',
    leaderExit: null,
    orphan: true,
    stopAsked: null,
    logOffset: 0,
    last: { ...ended, exit: { known: false, why: 'because' } },
    maxFence: 4,
    counts: { starts: 1, endsAsked: 0, endsByItself: 0, supervisorStarts: 1 },
    storeError: null,
  } as const;
  const server = await fake(t, ({ id }) => ({ id, ok: true, op: 'status', status }));
  assert.deepEqual(await supervisorAt(server).state(AbortSignal.timeout(5_000)), {
    known: true,
    observedAtMs: 5_000,
    value: {
      running: published,
      processState: { known: true, value: 'T', observedAtMs: 5_000 },
      orphan: true,
      last: {
        incarnation: published,
        exit: { known: false, why: 'because' },
        endedAtMs: 2_000,
        asked: { by: 'run-1', fence: 4 },
      },
      maxFence: 4,
    },
  });
  const gone = await supervisorAt({ socket: '/nonexistent/socket' }).state(AbortSignal.timeout(5_000));
  assert.equal(gone.known, false);
  assert.match(gone.why, /^ENOENT: /);
});

test('the common interface: stop sends the incarnation as it was published, and only that', async (t) => {
  const server = await fake(t, ({ id }) => ({ id, ok: true, op: 'stop', outcome: 'stopped', ended }));
  const supervisor = supervisorAt(server);
  const outcome = await supervisor.stop(published, token, { force: false, waitMs: 100 }, AbortSignal.timeout(5_000));
  assert.equal(outcome.kind, 'done');
  assert.deepEqual(outcome.value.ended?.exit, {
    known: true,
    value: { exitCode: 143, signal: null },
    observedAtMs: 2_000,
  });
  await supervisor.stop(published, token, { force: true, waitMs: 100 }, AbortSignal.timeout(5_000));
  const stop = { op: 'stop', ifIncarnation: incarnation, ...token, waitMs: 100 };
  assert.deepEqual(
    server.seen.map(({ id: _id, ...request }) => request),
    [
      { ...stop, signal: 'TERM' },
      { ...stop, signal: 'KILL' },
    ],
  );
  const foreign = { id: 'docker:abc', pid: null, startedAtMs: 1 };
  const refused = await supervisor.stop(foreign, token, { force: true, waitMs: 1 }, AbortSignal.timeout(5_000));
  assert.equal(brief(refused), 'refused overtaken');
  assert.equal(server.seen.length, 2);
});

test('the common interface: start, fence and log', async (t) => {
  const log = { incarnation, text: 'hello', omittedBytes: 7, rotation: 'none' };
  const server = await fake(t, (request) => {
    if (request.op === 'log') return { id: request.id, ok: true, op: 'log', log };
    if (request.op === 'fence') return { id: request.id, ok: true, op: 'fence', maxFence: request.fence };
    return started(request);
  });
  const supervisor = supervisorAt(server);
  const soon = AbortSignal.timeout(5_000);
  assert.deepEqual(await supervisor.start(token, soon), { kind: 'done', value: { incarnation: published } });
  assert.deepEqual(await supervisor.raiseFence(token, soon), { kind: 'done', value: { maxFence: 4 } });
  assert.deepEqual(await supervisor.log(published, 1e9, soon), {
    known: true,
    value: { text: 'hello', complete: false, why: 'its first 7 bytes are left out' },
    observedAtMs: 5_000,
  });
  const other = { ...published, id: incarnationId({ ...incarnation, pid: 43 }) };
  assert.equal((await supervisor.log(other, 10, soon)).known, false, 'the number alone is not the incarnation');
});
