// The real program on three addresses at once, its unix socket over a kill, and a second one that wants the same.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { waitFor } from '../../deploy/lab/ready.ts';
import { exchange, type Where } from '../support/raw-http.ts';

const main = join(import.meta.dirname, '..', '..', 'exporter', 'main.ts');

interface Program {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly ended: Promise<readonly unknown[]>;
}

test('several addresses, a kill, a second program: who listens keeps listening, who is dead makes room', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-doors-'));
  const programs: Program[] = [];
  t.after(async () => {
    for (const { child } of programs) child.kill('SIGKILL');
    await Promise.all(programs.map(({ ended }) => ended));
    rmSync(dir, { recursive: true });
  });
  const path = join(dir, 'web.sock');
  writeFileSync(
    join(dir, 'pipemedic.yml'),
    'targets: [{name: r1, kind: redis, address: {host: 127.0.0.1, port: 1}}]\n',
  );
  writeFileSync(join(dir, 'web.yml'), `basic_auth_users: {ann: "${hashSync('secret', 4)}"}\n`);
  const start = (...listen: readonly string[]): Program => {
    const addresses = listen.map((address) => `--web.listen-address=${address}`);
    const files = [`--config.file=${join(dir, 'pipemedic.yml')}`, `--web.config.file=${join(dir, 'web.yml')}`];
    const child = spawn(process.execPath, [main, 'serve', ...files, ...addresses], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const program = { child, text: () => text, ended: once(child, 'close') };
    programs.push(program);
    return program;
  };
  const addressesOf = (program: Program): Promise<readonly string[]> =>
    waitFor(
      () => {
        const line = program
          .text()
          .split('\n')
          .find((l) => l.includes('"msg":"listening"'));
        return line === undefined ? undefined : (JSON.parse(line) as { addresses: readonly string[] }).addresses;
      },
      { deadlineMs: 60_000, what: 'the program to listen' },
    );
  const reload = async (where: Where, method: string, isKnown: boolean): Promise<number | undefined> => {
    const login = isKnown ? `Authorization: Basic ${Buffer.from('ann:secret').toString('base64')}\r\n` : '';
    const request = `${method} /-/reload HTTP/1.1\r\nHost: x\r\n${login}Connection: close\r\n\r\n`;
    return (await exchange(where, [request])).status;
  };

  const first = start('127.0.0.1:0', `unix:${path}`, '127.0.0.1:0');
  const texts = await addressesOf(first);
  assert.equal(texts.length, 3);
  assert.equal(texts[1], `unix:${path}`);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  for (const text of texts) {
    const where = text.startsWith('unix:') ? { path } : { host: '127.0.0.1', port: Number(text.split(':')[1]) };
    assert.deepEqual(
      [await reload(where, 'POST', false), await reload(where, 'GET', true), await reload(where, 'POST', true)],
      [401, 405, 200],
      text,
    );
  }

  const second = start('127.0.0.1:0', `unix:${path}`);
  assert.deepEqual(await second.ended, [2, null]);
  assert.match(second.text(), /web\.sock is not usable:\n {2}- another program listens on this socket/);
  assert.equal(await reload({ path }, 'POST', true), 200);

  first.child.kill('SIGKILL');
  await first.ended;
  assert.ok(lstatSync(path).isSocket(), 'left behind');
  const third = start(`unix:${path}`);
  assert.deepEqual(await addressesOf(third), [`unix:${path}`]);
  assert.equal(await reload({ path }, 'POST', true), 200);
  third.child.kill('SIGTERM');
  assert.deepEqual(await third.ended, [0, null]);
  assert.ok(!existsSync(path));
});
