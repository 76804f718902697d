// A container by its engine's API: what is compared before a call, and what each answer says. The engine is a stand-in
// that answers as podman 4.3.1 did; test/integration/docker-supervisor.test.ts asks a real one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logText } from '../../../remediator/supervisors/docker-facts.ts';
import { dockerSupervisor } from '../../../remediator/supervisors/docker.ts';
import { serviceOwner } from '../../../remediator/actions/service/owner.ts';
import type { ServiceIncarnation, Supervisor } from '../../../remediator/supervisors/supervisor.ts';
import {
  answers,
  end,
  hangs,
  resets,
  startEngine,
  type EngineContainer,
  type EngineStandIn,
  type Fault,
} from '../../support/engine-stand-in.ts';

const token = { fence: 7, by: 'run:r1' };
const options = { force: false, waitMs: 3_000 };
const soon = (ms = 30_000): AbortSignal => AbortSignal.timeout(ms);

function supervisorOf(engine: EngineStandIn, container = 'cdc'): Supervisor {
  return dockerSupervisor({ socket: engine.socket, container, stopSeconds: 10 }, Date.now);
}

async function runningOf(supervisor: Supervisor): Promise<ServiceIncarnation> {
  const state = await supervisor.state(soon());
  assert.ok(state.known && state.value.running !== null);
  return state.value.running;
}

function posts(engine: EngineStandIn): readonly string[] {
  return engine.asked.filter((line) => line.startsWith('POST'));
}

test('stopped and started: one call each, on the id of the container, and never a restart', async () => {
  await using engine = await startEngine();
  const supervisor = supervisorOf(engine);
  const first = await runningOf(supervisor);
  const stopped = await supervisor.stop(first, token, options, soon());
  assert.ok(stopped.kind === 'done');
  assert.equal(stopped.value.ended?.incarnation.id, first.id);
  assert.ok(stopped.value.ended.exit.known);
  assert.deepEqual(stopped.value.ended.exit.value, { exitCode: 143, signal: null });
  const started = await supervisor.start(token, soon());
  assert.ok(started.kind === 'done');
  assert.notEqual(started.value.incarnation.id, first.id);
  assert.equal((await runningOf(supervisor)).id, started.value.incarnation.id);
  const { id } = engine.container;
  assert.deepEqual(posts(engine), [`POST /containers/${id}/stop?t=3`, `POST /containers/${id}/start`]);
});

test('a kill waits for nothing; a wait is never longer than configured', async () => {
  await using engine = await startEngine();
  const supervisor = supervisorOf(engine);
  await supervisor.stop(await runningOf(supervisor), token, { force: true, waitMs: 5_000 }, soon());
  await supervisor.start(token, soon());
  await supervisor.stop(await runningOf(supervisor), token, { force: false, waitMs: 60_000 }, soon());
  assert.deepEqual(
    posts(engine).map((line) => /\?t=.*/.exec(line)?.[0] ?? 'start'),
    ['?t=0', 'start', '?t=10'],
  );
});

for (const [what, change] of [
  ['started again', { startedAt: '2026-11-21T23:00:00.000000001Z' }],
  ['made anew under the same name', { id: 'b'.repeat(64) }],
  ['of another process', { pid: 4_100_000 }],
] as const) {
  test(`a container that was ${what} is not stopped`, async () => {
    await using engine = await startEngine();
    const supervisor = supervisorOf(engine);
    const old = await runningOf(supervisor);
    Object.assign(engine.container, change);
    const outcome = await supervisor.stop(old, token, options, soon());
    assert.equal(outcome.kind === 'refused' && outcome.code, 'overtaken');
    assert.deepEqual(posts(engine), []);
    assert.equal(engine.container.running, true);
  });
}

test('what has ended already counts as stopped, what runs already is not started', async () => {
  await using engine = await startEngine();
  const supervisor = supervisorOf(engine);
  const life = await runningOf(supervisor);
  const running = await supervisor.start(token, soon());
  assert.equal(running.kind === 'refused' && running.code, 'running');
  end(engine.container, 1);
  const stopped = await supervisor.stop(life, token, options, soon());
  assert.ok(stopped.kind === 'done');
  assert.equal(stopped.value.ended?.incarnation.id, life.id);
  assert.equal(posts(engine).length, 1);
});

const faults: readonly (readonly [what: string, fault: Fault, expected: string])[] = [
  ['a reset after it was sent', resets, 'unknown'],
  ['no answer in time', hangs, 'unknown'],
  ['500', answers(500, 'OCI runtime error'), 'unknown'],
  ['409', answers(409, 'container is paused'), 'refused http_409'],
  ['404', answers(404, 'no such container'), 'refused http_404'],
  ['a page for people', (_request, response) => response.end('<html>'), 'unknown'],
];
for (const verb of ['stop', 'start'] as const) {
  for (const [what, fault, expected] of faults) {
    test(`${verb}: ${what} is ${expected}`, async () => {
      await using engine = await startEngine();
      const supervisor = supervisorOf(engine);
      const life = await runningOf(supervisor);
      if (verb === 'start') end(engine.container, 1);
      engine.faults.set(verb, fault);
      const limit = soon(fault === hangs ? 300 : 30_000);
      const outcome =
        verb === 'stop' ? await supervisor.stop(life, token, options, limit) : await supervisor.start(token, limit);
      assert.equal(outcome.kind === 'refused' ? `refused ${outcome.code}` : outcome.kind, expected);
      assert.equal(posts(engine).length, 1, 'nothing is sent a second time');
    });
  }
}

test('an engine that is not there, or cannot say what runs: nothing was done', async () => {
  const gone = dockerSupervisor({ socket: '/nonexistent/engine.sock', container: 'cdc', stopSeconds: 10 }, Date.now);
  const state = await gone.state(soon());
  assert.ok(!state.known && state.why.includes('ENOENT'));
  assert.equal((await gone.start(token, soon())).kind, 'refused');
  await using engine = await startEngine();
  const supervisor = supervisorOf(engine);
  const life = await runningOf(supervisor);
  engine.faults.set('json', answers(500, 'broken'));
  assert.equal((await supervisor.stop(life, token, options, soon())).kind, 'refused');
  assert.deepEqual(posts(engine), []);
  assert.equal((await supervisor.state(soon())).known, false);
});

test('a name with a way out of the path stays one name', async () => {
  await using engine = await startEngine();
  await supervisorOf(engine, '../x?y=1#z').state(soon());
  assert.deepEqual(engine.asked, ['GET /containers/..%2Fx%3Fy%3D1%23z/json']);
});

test('it keeps no fences and says so', async () => {
  await using engine = await startEngine();
  const outcome = await supervisorOf(engine).raiseFence(token, soon());
  assert.equal(outcome.kind === 'refused' && outcome.code, 'unsupported');
});

test('the log: of this life only, and cut at its begin', async () => {
  await using engine = await startEngine({ log: 'first line\nsecond line\n' });
  const supervisor = supervisorOf(engine);
  const life = await runningOf(supervisor);
  const log = await supervisor.log(life, 1_000, soon());
  assert.ok(log.known);
  assert.deepEqual(log.value, { text: 'first line\nsecond line\n', complete: true, why: null });
  assert.match(engine.asked.at(-1) ?? '', /\/logs\?stdout=1&stderr=1&since=1795298828\.388&tail=\d+$/);
  const cut = await supervisor.log(life, 12, soon());
  assert.ok(cut.known && !cut.value.complete);
  assert.equal(cut.value.text, 'second line\n');
  engine.container.startedAt = '2026-11-21T23:00:00Z';
  assert.equal((await supervisor.log(life, 1_000, soon())).known, false);
});

test('frames: both streams in their order, with a torn one told', () => {
  const frame = (stream: number, text: string): Buffer => {
    const head = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(text.length, 4);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const both = Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n')]);
  assert.equal(logText(both, false), 'out\nerr\n');
  assert.equal(logText(Buffer.from('as it is'), true), 'as it is');
  assert.throws(() => logText(both.subarray(0, -1), false), /within a frame/);
  assert.throws(() => logText(Buffer.from('no frames at all'), false), /not in frames/);
});

const long = '2026-11-21T20:00:00Z';
const owners: readonly (readonly [what: string, change: Partial<EngineContainer>, expected: string])[] = [
  ['no policy', {}, 'allow none'],
  ['down without a policy', { running: false, exitCode: 1, finishedAt: long }, 'allow none'],
  ['always, and it runs', { policy: { Name: 'always', MaximumRetryCount: 0 } }, 'allow watching'],
  [
    'the engine starts it again',
    { running: false, restarting: true, policy: { Name: 'always', MaximumRetryCount: 0 } },
    'unknown owner_busy',
  ],
  [
    'it has just ended',
    {
      running: false,
      exitCode: 1,
      finishedAt: new Date().toISOString(),
      policy: { Name: 'unless-stopped', MaximumRetryCount: 0 },
    },
    'unknown owner_busy',
  ],
  [
    'stopped by request',
    { running: false, exitCode: 143, finishedAt: long, policy: { Name: 'always', MaximumRetryCount: 0 } },
    'deny left_down',
  ],
  [
    'tried in vain',
    {
      running: false,
      exitCode: 1,
      finishedAt: long,
      restartCount: 3,
      policy: { Name: 'on-failure', MaximumRetryCount: 3 },
    },
    'allow gave_up',
  ],
  ['Kubernetes', { labels: { 'io.kubernetes.pod.name': 'cdc-0' } }, 'deny foreign_owner'],
  ['Swarm', { labels: { 'com.docker.swarm.service.id': 'x' } }, 'deny foreign_owner'],
  ['--rm', { autoRemove: true }, 'deny foreign_owner'],
];
for (const [what, change, expected] of owners) {
  test(`owner: ${what}: ${expected}`, async () => {
    await using engine = await startEngine(change);
    const verdict = serviceOwner(await supervisorOf(engine).state(soon()));
    assert.equal(`${verdict.is} ${verdict.code}`, expected);
  });
}

test('what the kernel has killed for memory, and what somebody has paused', async () => {
  await using engine = await startEngine({ paused: true });
  const supervisor = supervisorOf(engine);
  const paused = await supervisor.state(soon());
  assert.ok(paused.known && paused.value.processState.known);
  assert.equal(paused.value.processState.value, 'T');
  end(engine.container, 137);
  engine.container.oomKilled = true;
  const killed = await supervisor.state(soon());
  assert.ok(killed.known);
  assert.equal(killed.value.last?.oomKilled, true);
});

test('the state of a process that only the engine can see; not told is unknown', async () => {
  await using engine = await startEngine({ processState: 'Ssl' });
  const supervisor = supervisorOf(engine);
  const seen = await supervisor.state(soon());
  assert.ok(seen.known && seen.value.processState.known);
  assert.equal(seen.value.processState.value, 'S');
  engine.container.processState = '';
  const untold = await supervisor.state(soon());
  assert.ok(untold.known);
  assert.equal(untold.value.processState.known, false);
});
