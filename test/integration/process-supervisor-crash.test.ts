// What survives the death of the supervisor: the service as an orphan, the fence, the record.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { ask } from '../../remediator/supervisors/process-client.ts';
import { assertGapless, Bench, isAlive, polite } from './process-supervisor-harness.ts';

const signal = (): AbortSignal => AbortSignal.timeout(5_000);

test('kill -9 of the supervisor: the orphan is reported, not started beside, and stopped by its incarnation', async (t) => {
  const bench = new Bench(t, polite, { autostart: true });
  const first = await bench.supervisor();
  await bench.start(3);
  const incarnation = (await bench.status()).running;
  assert.ok(incarnation);
  await waitFor(() => bench.events().length === 1, { what: 'the service runs' });
  first.child.kill('SIGKILL');
  await first.ended;
  assert.equal(isAlive(incarnation.pid), true);

  await bench.supervisor();
  const status = await bench.status();
  assert.equal(status.orphan, true);
  assert.deepEqual(status.running, incarnation);
  assert.equal(status.maxFence, 3);
  const start = await bench.start(4);
  assert.equal(start.kind === 'refused' && start.code, 'orphan');
  const log = await ask<'log'>(bench.config, { op: 'log' }, signal());
  assert.equal(log.kind === 'done' && log.value.log.text, `hello from ${incarnation.pid}\n`);

  const fenced = await bench.stop(incarnation, 3);
  assert.equal(fenced.kind === 'refused' && fenced.code, 'fenced');
  const wrong = await bench.stop({ ...incarnation, startTicks: incarnation.startTicks - 1 }, 4);
  assert.equal(wrong.kind === 'refused' && wrong.code, 'overtaken');
  assert.equal(isAlive(incarnation.pid), true);
  const stop = await bench.stop(incarnation, 4);
  assert.equal(stop.kind, 'done');
  assert.equal(stop.value.ended?.exit.known, false, 'only its parent could have known');
  assert.equal(stop.value.ended.asked?.fence, 4);
  assert.equal(isAlive(incarnation.pid), false);

  const next = await bench.started(4);
  assert.deepEqual(bench.events(), [`start ${incarnation.pid}`, `term ${incarnation.pid}`, `start ${next.pid}`]);
  assertGapless(bench);
  assert.deepEqual(
    bench
      .witness()
      .filter(({ event, outcome }) => /^(start|exit|orphan-found)$/.test(event) || outcome === 'accepted')
      .map(({ event, pid }) => [event, pid]),
    [
      ['start-request', null],
      ['start', incarnation.pid],
      ['orphan-found', incarnation.pid],
      ['stop-request', incarnation.pid],
      ['exit', incarnation.pid],
      ['start-request', null],
      ['start', next.pid],
    ],
  );
});

test('an orphan that ends by itself is seen to end, and SIGTERM of the supervisor ends one that does not', async (t) => {
  const bench = new Bench(t, polite);
  for (const how of ['itself', 'shutdown'] as const) {
    const before = await bench.supervisor();
    const incarnation = await bench.started(1);
    before.child.kill('SIGKILL');
    await before.ended;
    const after = await bench.supervisor();
    if (how === 'itself') process.kill(incarnation.pid, 'SIGTERM');
    else after.child.kill('SIGTERM');
    await waitFor(() => bench.witness().some(({ event, pid }) => event === 'exit' && pid === incarnation.pid), {
      what: 'the witness has its end',
    });
    if (how === 'itself') {
      await waitFor(async () => (await bench.status()).running === null, { what: 'nothing runs' });
      const { last } = await bench.status();
      assert.deepEqual([last?.exit.known, last?.asked], [false, null]);
      after.child.kill('SIGTERM');
    }
    await after.ended;
    assert.equal(isAlive(incarnation.pid), false);
  }
});

test('a service that ended while no supervisor was there: its end is recorded as unknown, and it is not restarted', async (t) => {
  const bench = new Bench(t, polite, { autostart: true });
  const first = await bench.supervisor();
  const incarnation = (await bench.status()).running;
  assert.ok(incarnation);
  first.child.kill('SIGKILL');
  await first.ended;
  process.kill(-incarnation.pid, 'SIGKILL');
  await waitFor(() => !isAlive(incarnation.pid), { what: 'it is gone' });
  await bench.supervisor();
  const status = await bench.status();
  assert.equal(status.running, null);
  assert.deepEqual(status.last?.incarnation, incarnation);
  assert.equal(status.last.exit.known, false);
  assert.equal(status.last.asked, null);
  assert.equal(status.counts.endsByItself, 1);
});

test('a pid that another process has now is not the orphan', async (t) => {
  const bench = new Bench(t, polite);
  const first = await bench.supervisor();
  const incarnation = await bench.started(1);
  first.child.kill('SIGKILL');
  await first.ended;
  // as if the pid had been given away since: the state remembers another start time
  const statePath = join(bench.config.stateDir, 'state.json');
  const state = JSON.parse(readFileSync(statePath, 'utf8')) as { running: { incarnation: { startTicks: number } } };
  state.running.incarnation.startTicks -= 1;
  writeFileSync(statePath, JSON.stringify(state));
  await bench.supervisor();
  const status = await bench.status();
  assert.equal(status.running, null);
  assert.equal(isAlive(incarnation.pid), true, 'a stranger is not touched');
});

test('a reboot ends the service without blame: autostart may start it', async (t) => {
  const bench = new Bench(t, polite, { autostart: true });
  const first = await bench.supervisor();
  const incarnation = (await bench.status()).running;
  assert.ok(incarnation);
  first.child.kill('SIGKILL');
  await first.ended;
  process.kill(-incarnation.pid, 'SIGKILL');
  const statePath = join(bench.config.stateDir, 'state.json');
  const text = readFileSync(statePath, 'utf8').replaceAll(incarnation.bootId, 'the-boot-before');
  writeFileSync(statePath, text);
  await bench.supervisor();
  const status = await bench.status();
  assert.equal(status.last?.exit.known === false && status.last.exit.why, 'the machine was restarted');
  assert.equal(status.running?.seq, 2);
});

test('a second supervisor on the same folder, or on the same socket, does not start', async (t) => {
  const bench = new Bench(t, polite);
  const first = await bench.supervisor();
  const incarnation = await bench.started(1);
  bench.writeConfig({ ...bench.config, socket: bench.path('other.sock') });
  const second = await bench.refusal();
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another supervisor runs on this folder/);
  bench.writeConfig({ ...bench.config, stateDir: bench.path('other') });
  const third = await bench.refusal();
  assert.equal(third.code, 1);
  assert.match(third.stderr, /another program listens on this socket/);
  assert.deepEqual((await bench.status()).running, incarnation);

  // held also while the first one is stopped, free at once when it is killed
  bench.writeConfig({ ...bench.config, socket: bench.path('other.sock') });
  first.child.kill('SIGSTOP');
  assert.equal((await bench.refusal()).code, 1);
  bench.writeConfig();
  first.child.kill('SIGKILL');
  await first.ended;
  await bench.supervisor();
  assert.deepEqual((await bench.status()).running, incarnation);
});

test('a state that cannot be trusted stops the supervisor with a reason', async (t) => {
  const bench = new Bench(t, polite);
  const first = await bench.supervisor();
  await bench.started(9);
  first.child.kill('SIGTERM');
  await first.ended;
  const statePath = join(bench.config.stateDir, 'state.json');
  const witnessPath = join(bench.config.stateDir, 'witness.jsonl');
  const state = readFileSync(statePath, 'utf8');
  const lines = readFileSync(witnessPath, 'utf8');
  const refusal = async (): Promise<string> => {
    const { code, stderr } = await bench.refusal();
    assert.equal(code, 1);
    return stderr;
  };
  truncateSync(statePath, 20);
  assert.match(await refusal(), /state\.json is not usable/);
  writeFileSync(statePath, JSON.stringify({ ...(JSON.parse(state) as object), maxFence: -1 }));
  assert.match(await refusal(), /not a state of this program/);
  writeFileSync(statePath, JSON.stringify({ ...(JSON.parse(state) as object), lines: 2, outbox: [] }));
  assert.match(await refusal(), /ahead of state\.json/);
  rmSync(statePath);
  assert.match(await refusal(), /it is gone although witness\.jsonl is there/);

  // a line torn by a crash is cut off, whole lines stay
  writeFileSync(statePath, state);
  appendFileSync(witnessPath, '{"n":99,"at":"20');
  await bench.supervisor();
  assert.ok(readFileSync(witnessPath, 'utf8').startsWith(lines));
  assertGapless(bench);
  assert.equal((await bench.status()).maxFence, 9);
});

test('a configuration that cannot be used names the place, never the value', async (t) => {
  const bench = new Bench(t, polite);
  const secret = 'hunter2-hunter2';
  for (const [config, message] of [
    [{ ...bench.config, service: { ...bench.config.service, env: { PASSWORD: [secret] } } }, /service\.env\.PASSWORD/],
    [{ ...bench.config, sockett: 1 }, /sockett/],
    [{ ...bench.config, socket: `/${'x'.repeat(120)}` }, /socket: must be an absolute path of at most 107 bytes/],
    [{ ...bench.config, service: { ...bench.config.service, argv: [] } }, /service\.argv/],
  ] as const) {
    bench.writeConfig(config);
    const { code, stderr } = await bench.refusal();
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.ok(!stderr.includes(secret));
  }
  writeFileSync(bench.path('config.json'), `{"env": "${secret}`);
  const { stderr } = await bench.refusal();
  assert.match(stderr, /not JSON/);
  assert.ok(!stderr.includes(secret));
});

test('a supervisor whose reader of stderr is gone goes on', async (t) => {
  const bench = new Bench(t, polite);
  const { child } = await bench.supervisor();
  child.stderr?.destroy();
  for (let fence = 1; fence < 4; fence++) await bench.stop(await bench.started(fence), fence, { signal: 'KILL' });
  assert.equal(child.exitCode, null);
  assert.equal((await bench.status()).counts.starts, 3);
  assert.ok(existsSync(bench.config.socket));
});
