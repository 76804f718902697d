import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { Refused } from '../../../remediator/supervisors/process/gate.ts';
import { listen } from '../../../remediator/supervisors/process/server.ts';
import type { Incarnation } from '../../../remediator/supervisors/process-wire.ts';

const incarnation: Incarnation = { bootId: 'b', pid: 1, startTicks: 2, startedAtMs: 3, seq: 4 };

async function serve(t: TestContext, start: () => Promise<Incarnation>): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'process-server-'));
  const path = join(dir, 's.sock');
  const no = (): never => {
    throw new Error('not in this test');
  };
  const service = { running: null, maxFence: 0, status: no, fence: no, start, stop: no, logText: no };
  const server = await listen(path, service, createLog('test', 'silent'));
  t.after(() => {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return path;
}

/** What comes back for these bytes until the server ends the connection; `end`: the client closes its half. */
function talk(
  path: string,
  text: string,
  end: boolean,
): { readonly all: Promise<string>; readonly answered: Promise<void> } {
  const socket = connect(path);
  let received = '';
  const answered = new Promise<void>((resolve) => {
    socket.setEncoding('utf8').on('data', (piece: string) => {
      received += piece;
      resolve();
    });
  });
  socket.write(text);
  if (end) socket.end();
  const all = new Promise<string>((resolve, reject) => {
    socket.on('close', () => {
      resolve(received);
    });
    socket.on('error', reject);
  });
  return { all, answered };
}

const start = '{"id":1,"op":"start","ifAbsent":true,"fence":1,"by":"x"}\n';

test('a request of a client that has closed its half is answered, each in turn', async (t) => {
  let calls = 0;
  const path = await serve(t, () => {
    calls += 1;
    if (calls === 2) return Promise.reject(new Refused('running', 'it runs'));
    if (calls === 3) return Promise.reject(new Error('a bug'));
    return Promise.resolve(incarnation);
  });
  const text = await talk(path, start + start.replace('1', '2') + start.replace('1', '3'), true).all;
  const replies = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { id: number; ok: boolean; code?: string });
  assert.deepEqual(
    replies.map(({ id, ok, code }) => [id, ok, code]),
    [
      [1, true, undefined],
      [2, false, 'running'],
      [3, false, 'internal'],
    ],
  );
});

test('half a line is not carried out, neither at the end of the connection nor after the time it may take', async (t) => {
  let calls = 0;
  const path = await serve(t, () => {
    calls += 1;
    return Promise.resolve(incarnation);
  });
  assert.equal(await talk(path, start.trimEnd(), true).all, '');

  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { all, answered } = talk(path, `${start}${start.trimEnd()}`, false);
  await answered;
  t.mock.timers.tick(9_999);
  assert.equal(await Promise.race([all, new Promise((resolve) => setImmediate(resolve, 'open'))]), 'open');
  t.mock.timers.tick(1);
  assert.match(await all, /^\{"id":1,"ok":true.*\}\n$/);
  assert.equal(calls, 1);
});
