// The first part of the sweep of test/support/kill9.ts, from the intake to the look before the start, and the one call that
// changes something, the start request to the supervisor, with three fates of that request.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nameOf, startKillLab, sweep, type KillLab } from '../support/kill9.ts';
import { fenceSeenAt, lastLine, witnessSince } from '../support/maxwell-repair.ts';
import { RemediatorHome, type Program } from '../support/remediator-program.ts';

let killLab: KillLab;

before(async () => {
  killLab = await startKillLab();
});
after(async () => {
  await killLab[Symbol.asyncDispose]();
});

test('killed at every fsync before the start: started exactly once, verified once', async (t) => {
  const seen = await sweep(t, killLab, { from: 1, until: 19 });
  if (seen === undefined) return;
  assert.ok(seen.includes(undefined), 'killed before the claim');
  assert.ok(
    seen.some((s) => s !== undefined && !s.startsWith('start')),
    'killed between the claim and the start',
  );
});

interface Proxied {
  readonly socket: string;
  readonly close: () => void;
}

/** Stands between the remediator and the supervisor. `onStart` decides about a start request and its answer. */
async function proxied(
  dir: string,
  onStart: (request: Buffer, forward: (line: Buffer) => void) => void,
): Promise<Proxied> {
  const socket = join(dir, 'proxy.sock');
  const server = createServer({ allowHalfOpen: true }, (from) => {
    const to = connect(killLab.lab.files.supervisorSocket);
    from.on('error', () => undefined);
    to.on('error', () => undefined);
    to.on('data', (answer: Buffer) => from.writable && from.write(answer));
    to.on('close', () => from.end());
    from.on('data', (line: Buffer) => {
      const forward = (what: Buffer): void => void to.write(what);
      if (line.includes('"op":"start"')) onStart(line, forward);
      else forward(line);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  server.unref();
  return { socket, close: () => void server.close() };
}

/** What becomes of the first start request, which leaves the remediator just before it is killed. */
const fates = ['is lost', 'is carried out, its answer is lost', 'arrives after its successor took over'] as const;

for (const fate of fates) {
  test(`killed at the start request, which ${fate}: started exactly once, verified once`, async () => {
    const { lab, alertmanager } = killLab;
    const dir = mkdtempSync(join(tmpdir(), 'pipemedic-proxy-'));
    let first: Program | undefined;
    let late: (() => Promise<string>) | undefined;
    const proxy = await proxied(dir, (request, forward) => {
      if (first === undefined || !first.isRunning()) {
        forward(request);
        return;
      }
      if (fate === fates[1]) forward(request);
      if (fate === fates[2]) late = () => exchange(lab.files.supervisorSocket, request);
      first.child.kill('SIGKILL');
    });
    const home = new RemediatorHome(lab, alertmanager.url, await fenceSeenAt(lab.files.supervisorSocket), proxy.socket);
    await lab.part('maxwell').kill();
    const line = lastLine(lab);
    let second: Program | undefined;
    try {
      first = home.start();
      assert.ok(await home.deliver(first));
      assert.equal(await first.ended, 'SIGKILL');
      second = home.start();
      const journal = await home.verified(second, 120_000);
      if (fate === fates[2]) assert.match((await late?.()) ?? '', /"code":"(fenced|running)"/);
      const told = journal.map(nameOf).join(' ');
      assert.deepEqual(witnessSince(lab, line), ['start run'], told);
      assert.match(
        told,
        fate === fates[1]
          ? /start:intent start:result=recovered/
          : /start:intent start:result=absent start:intent start:result=done/,
      );
      assert.equal((await home.runs()).length, 1);
    } finally {
      await first?.kill();
      await second?.kill();
      proxy.close();
      home.remove();
      rmSync(dir, { recursive: true, force: true });
    }
  });
}

async function exchange(path: string, line: Buffer): Promise<string> {
  const socket = connect(path);
  socket.end(line);
  let answer = '';
  for await (const piece of socket) answer += String(piece);
  return answer;
}
