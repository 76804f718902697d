// Lives of a service under its supervisor: what begins them, what ends them.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { ask } from '../../remediator/supervisors/process-client.ts';
import type { Incarnation } from '../../remediator/supervisors/process-wire.ts';
import { Bench, codeOf, isAlive, polite, stubborn } from './process-supervisor-harness.ts';

test('one life: started once, seen running, ended by request with its exit code', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  assert.equal(statSync(bench.config.socket).mode & 0o777, 0o600);
  assert.equal(statSync(bench.config.stateDir).mode & 0o777, 0o700);

  const before = await bench.status();
  assert.equal(before.running, null);
  assert.equal(before.last, null);

  const incarnation = await bench.started(5);
  assert.deepEqual(bench.events(), [`start ${incarnation.pid}`]);
  const during = await bench.status();
  assert.deepEqual(during.running, incarnation);
  assert.equal(during.orphan, false);
  assert.match(during.processState ?? '', /^[RSD]$/);
  assert.equal(during.maxFence, 5);

  const outcome = await bench.stop(incarnation, 5, { by: 'run-1' });
  assert.equal(outcome.kind, 'done');
  assert.equal(outcome.value.outcome, 'stopped');
  assert.deepEqual(outcome.value.ended?.exit, { known: true, exitCode: 143, signal: null });
  assert.equal(outcome.value.ended.asked?.by, 'run-1');
  assert.equal(isAlive(incarnation.pid), false);

  const after = await bench.status();
  assert.equal(after.running, null);
  assert.deepEqual(after.last, outcome.value.ended);
  assert.deepEqual(after.counts, { starts: 1, endsAsked: 1, endsByItself: 0, supervisorStarts: 1 });
});

test('a stop needs the running incarnation and a fence that is not outdated', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const first = await bench.started(7);
  for (const [field, wrong] of [
    ['pid', first.pid + 1],
    ['startTicks', first.startTicks + 1],
    ['seq', first.seq + 1],
    ['bootId', 'another'],
  ] as const) {
    const outcome = await bench.stop({ ...first, [field]: wrong }, 7);
    assert.equal(codeOf(outcome), 'overtaken', field);
  }
  assert.equal(codeOf(await bench.stop(first, 6)), 'fenced');
  assert.deepEqual((await bench.status()).running, first);
  assert.equal((await bench.stop(first, 7)).kind, 'done');
  assert.equal(codeOf(await bench.stop(first, 7)), 'absent');

  const second = await bench.started(8);
  assert.equal(codeOf(await bench.stop(first, 9)), 'overtaken');
  assert.equal(
    codeOf(await bench.stop(second, 8)),
    'fenced',
    'a fence once seen is the floor, also from a refused call',
  );
  assert.deepEqual((await bench.status()).running, second);
  assert.equal(isAlive(second.pid), true);
  assert.deepEqual(bench.events(), [`start ${first.pid}`, `term ${first.pid}`, `start ${second.pid}`]);
});

test('start: refused when it runs, refused with an old fence, fence op alone shuts out the former holder', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const raised = await ask<'fence'>(bench.config, { op: 'fence', fence: 3, by: 'b' }, AbortSignal.timeout(5_000));
  assert.equal(raised.kind, 'done');
  assert.equal(codeOf(await bench.start(2)), 'fenced');
  const incarnation = await bench.started(3);
  assert.equal(codeOf(await bench.start(3)), 'running');
  assert.equal(codeOf(await bench.start(2)), 'fenced');
  assert.deepEqual((await bench.status()).running, incarnation);
  assert.equal(bench.events().length, 1);
});

test('KILL ends with the signal, not with a code', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const outcome = await bench.stop(await bench.started(1), 1, { signal: 'KILL' });
  assert.equal(outcome.kind, 'done');
  assert.deepEqual(outcome.value.ended?.exit, { known: true, exitCode: null, signal: 'SIGKILL' });
});

test('an end that nobody asked for is said to be so, and nothing restarts it', async (t) => {
  const bench = new Bench(t, `echo "start $$" >> "$EVENTS"; exit 2`, { autostart: true });
  await bench.supervisor();
  const status = await waitFor(
    async () => {
      const now = await bench.status();
      return now.last === null ? undefined : now;
    },
    { what: 'the service ended' },
  );
  assert.deepEqual(status.last?.exit, { known: true, exitCode: 2, signal: null });
  assert.equal(status.last.asked, null);
  assert.equal(status.running, null);
  assert.deepEqual(status.counts, { starts: 1, endsAsked: 0, endsByItself: 1, supervisorStarts: 1 });
  assert.equal(bench.events().length, 1);
});

test('a service that ignores TERM: stopping, still the same incarnation, then KILL', async (t) => {
  const bench = new Bench(t, stubborn);
  await bench.supervisor();
  const incarnation = await bench.started(1);
  const first = await bench.stop(incarnation, 1, { waitMs: 200 });
  assert.equal(first.kind, 'done');
  assert.equal(first.value.outcome, 'stopping');
  assert.equal(first.value.ended, null);
  const between = await bench.status();
  assert.deepEqual(between.running, incarnation);
  assert.equal(between.stopAsked?.signal, 'TERM');
  const second = await bench.stop(incarnation, 1, { signal: 'KILL' });
  assert.equal(second.kind, 'done');
  assert.equal(second.value.outcome, 'stopped');
  assert.equal(second.value.ended?.asked?.signal, 'KILL');
});

test('a service that is held by SIGSTOP is shown as T', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const { pid } = await bench.started(1);
  process.kill(pid, 'SIGSTOP');
  await waitFor(async () => (await bench.status()).processState === 'T', { what: 'state T' });
});

test('children of the service end with it, also those that ignore TERM', async (t) => {
  const script = `(trap '' TERM; echo "kid $(sh -c 'echo $PPID')" >> "$EVENTS"; while :; do sleep 100; done) &
while [ "$(grep -c kid "$EVENTS")" = 0 ]; do :; done
${polite}`;
  const bench = new Bench(t, script, { leftoverGraceMs: 300 });
  writeFileSync(bench.path('events'), '');
  await bench.supervisor();
  const incarnation = await bench.started(1);
  const kid = Number(/^kid (\d+)$/.exec(bench.events()[0] ?? '')?.[1]);
  assert.equal(isAlive(kid), true);

  const quick = await bench.stop(incarnation, 1, { waitMs: 50 });
  assert.equal(quick.kind, 'done');
  assert.equal(quick.value.outcome, 'stopping', 'not over as long as one of the group lives');
  assert.equal(codeOf(await bench.start(1)), 'running');
  const during = await bench.status();
  assert.deepEqual(during.leaderExit, { known: true, exitCode: 143, signal: null });

  const status = await waitFor(
    async () => {
      const now = await bench.status();
      return now.running === null ? now : undefined;
    },
    { what: 'the group ended' },
  );
  assert.equal(isAlive(kid), false);
  assert.deepEqual(status.last?.exit, { known: true, exitCode: 143, signal: null });
  assert.equal(bench.witness().filter(({ event }) => event === 'group-ended').length, 1);
});

test('a stop signals the whole group: a child gets its chance to say goodbye too', async (t) => {
  const script = `(trap 'echo "kid said goodbye" >> "$EVENTS"; exit' TERM
  echo "kid is ready" >> "$EVENTS"; while :; do sleep 100 & wait $!; done) &
while [ "$(grep -c ready "$EVENTS")" = 0 ]; do :; done
${polite}`;
  const bench = new Bench(t, script);
  writeFileSync(bench.path('events'), '');
  await bench.supervisor();
  const outcome = await bench.stop(await bench.started(1), 1);
  assert.equal(outcome.kind, 'done');
  assert.equal(outcome.value.outcome, 'stopped');
  assert.ok(bench.events().includes('kid said goodbye'));
});

test('a program that cannot be started leaves nothing behind', async (t) => {
  const bench = new Bench(t, '', { service: { argv: ['/nonexistent/program'] } });
  await bench.supervisor();
  const outcome = await bench.start(1);
  assert.equal(codeOf(outcome), 'spawn_failed');
  assert.match(outcome.kind === 'refused' ? outcome.message : '', /ENOENT/);
  assert.equal((await bench.status()).running, null);
  assert.deepEqual(
    bench.witness().map(({ event }) => event),
    ['supervisor-start', 'start-request', 'start-failed'],
  );
});

test('of many starts at once with the same fence one has an effect', async (t) => {
  const bench = new Bench(t, polite);
  await bench.supervisor();
  const outcomes = await Promise.all(Array.from({ length: 12 }, () => bench.start(4)));
  assert.equal(outcomes.filter(({ kind }) => kind === 'done').length, 1);
  assert.equal(outcomes.filter((outcome) => codeOf(outcome) === 'running').length, 11);
  const { running } = await bench.status();
  await waitFor(() => bench.events().length > 0, { what: 'the service runs' });
  assert.deepEqual(bench.events(), [`start ${running?.pid ?? 0}`]);
});

test('SIGTERM to the supervisor ends the service first; autostart resumes it, but not one that was stopped', async (t) => {
  const bench = new Bench(t, polite, { autostart: true });
  const runningOf = async (): Promise<Incarnation | null> => (await bench.status()).running;
  const first = await bench.supervisor();
  const one = await runningOf();
  assert.ok(one);
  await waitFor(() => bench.events().includes(`start ${one.pid}`), { what: 'the service runs' });
  first.child.kill('SIGTERM');
  assert.equal((await first.ended).code, 0);
  assert.equal(isAlive(one.pid), false);
  assert.throws(() => statSync(bench.config.socket), { code: 'ENOENT' });

  const second = await bench.supervisor();
  const status = await bench.status();
  assert.equal(status.last?.asked?.by, 'supervisor-shutdown');
  assert.deepEqual(status.last.exit, { known: true, exitCode: 143, signal: null });
  const two = status.running;
  assert.ok(two);
  assert.equal(two.seq, one.seq + 1);
  await waitFor(() => bench.events().includes(`start ${two.pid}`), { what: 'the service runs' });
  await bench.stop(two, 1);
  second.child.kill('SIGINT');
  assert.equal((await second.ended).code, 0);

  await bench.supervisor();
  assert.equal(await runningOf(), null, 'what was stopped by request stays down');
  assert.equal((await bench.status()).maxFence, 1);
});

test('SIGTERM to the supervisor of a service that ignores it: KILL after the grace', async (t) => {
  const bench = new Bench(t, stubborn, { shutdownGraceMs: 200 });
  const { child, ended } = await bench.supervisor();
  const { pid } = await bench.started(1);
  const waiting = bench.stop((await bench.status()).running ?? assert.fail(), 1);
  await waitFor(async () => (await bench.status()).stopAsked !== null, { what: 'the stop was accepted' });
  child.kill('SIGTERM');
  assert.equal((await ended).code, 0);
  assert.equal(isAlive(pid), false);
  const outcome = await waiting;
  assert.equal(outcome.kind, 'done', 'who waited for the end is answered before the supervisor ends');
});

test('the service gets its arguments, folder and environment as written, with no shell in between', async (t) => {
  const bench = new Bench(t, `echo "$PWD|$1|$2|$GIVEN"; echo "start $$" >> "$EVENTS"; sleep 100 & wait`);
  const { service } = bench.config;
  bench.writeConfig({
    ...bench.config,
    service: {
      ...service,
      argv: [...service.argv, '$(id); `id`', ''],
      cwd: '/usr',
      env: { ...service.env, GIVEN: '$HOME "quoted"' },
    },
  });
  await bench.supervisor();
  await bench.started(1);
  assert.equal(readFileSync(service.logFile, 'utf8'), '/usr|$(id); `id`||$HOME "quoted"\n');
});
