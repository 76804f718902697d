// kill -9 of the supervisor at every system call that matters, injected by strace, over a whole life of a service.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../deploy/lab/ready.ts';
import { livingWithEnv } from '../../remediator/supervisors/process/proc.ts';
import { ask } from '../../remediator/supervisors/process-client.ts';
import { assertGapless, Bench, polite, type Running } from './process-supervisor-harness.ts';

const signal = (): AbortSignal => AbortSignal.timeout(5_000);

const hasStrace = ((): boolean => {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Autostart, a stop and a start by request, an orderly end. false: the supervisor was killed on the way. */
async function life(bench: Bench, traced: Running): Promise<boolean> {
  let over = false;
  void traced.ended.then(() => {
    over = true;
  });
  const first = await waitFor(
    async () => {
      if (over) return 'killed';
      const outcome = await ask<'status'>(bench.config, { op: 'status' }, signal());
      const running = outcome.kind === 'done' ? outcome.value.status.running : null;
      return running !== null && bench.events().length > 0 ? { running, outcome } : undefined;
    },
    { what: 'it was killed or the service runs' },
  );
  if (first === 'killed') return false;
  if ((await bench.stop(first.running, 1)).kind !== 'done') return false;
  if ((await bench.start(2)).kind !== 'done') return false;
  // strace keeps its own SIGTERM for itself: the supervisor that it runs is ended by pid
  const outcome = await ask<'status'>(bench.config, { op: 'status' }, signal());
  if (outcome.kind !== 'done') return false;
  await waitFor(() => bench.events().length > 2, { what: 'the second one runs' });
  process.kill(outcome.value.status.supervisorPid, 'SIGTERM');
  const { code } = await traced.ended;
  return code === 0;
}

// Every durable write of that life is a place where it may be killed: between an intent and its effect, between the effect
// and its record, between the record and the witness; and so is the very call that makes a process.
for (const syscall of ['fsync', 'fdatasync', 'clone,clone3,vfork,fork', 'kill'] as const) {
  test(
    `kill -9 at every ${syscall}: never two services, no effect without a record`,
    { skip: !hasStrace },
    async (t) => {
      let killed = 0;
      let next = 1;
      let over = false;
      const work = async (): Promise<void> => {
        while (!over) {
          if (await killedAt(t, syscall, next++)) killed += 1;
          else over = true;
        }
      };
      await Promise.all([work(), work(), work()]); // most of it is waiting for programs to start
      t.diagnostic(`killed at ${killed} places`);
      assert.ok(killed > 0);
    },
  );
}

/** false: its life was over before that system call had come so often. */
async function killedAt(t: TestContext, syscall: string, when: number): Promise<boolean> {
  const bench = new Bench(t, polite, { autostart: true });
  // not -f: the main thread makes all of these, Node's other threads and the service are left alone
  const traced = bench.launch(['strace', '-o', '/dev/null', '-e', `inject=${syscall}:signal=KILL:when=${when}`]);
  if (await life(bench, traced)) {
    await bench.clean();
    return false;
  }
  await traced.ended;

  await bench.supervisor();
  // What its leader's end has left of a group (a child that had not come to its exec when the signal came) is ended first.
  const { running, orphan } = await waitFor(
    async () => {
      const status = await bench.status();
      return status.leaderExit === null ? status : undefined;
    },
    { what: 'no leftovers' },
  );
  const at = (): string => `${syscall} ${when}: ${JSON.stringify([running, orphan, bench.events(), bench.witness()])}`;
  assert.ok(livingServices(bench) <= 1, at());
  assert.equal(livingServices(bench) === 1, running !== null, at());
  if (running !== null && orphan) {
    const refused = await bench.start(3);
    assert.equal(refused.kind === 'refused' && refused.code, 'orphan', at());
    assert.equal((await bench.stop(running, 3)).kind, 'done', at());
  }
  if ((await bench.status()).running === null) await bench.started(3);
  assert.equal(livingServices(bench), 1, at());

  assertGapless(bench);
  const lines = bench.witness();
  for (const event of bench.events()) {
    const [what, pid] = event.split(' ');
    const record = lines.filter((line) => line.pid === Number(pid));
    const begun = record.some((line) => line.event === 'start' || line.event === 'orphan-found');
    const asked = record.some((line) => line.event === 'stop-request' && line.outcome === 'accepted');
    assert.ok(what === 'start' ? begun : asked, `${event} is not in the record at ${at()}`);
  }
  const exits = lines.filter(({ event }) => event === 'exit').map(({ seq }) => seq);
  assert.equal(new Set(exits).size, exits.length, `a life ended twice at ${at()}`);
  await bench.clean();
  return true;
}

function livingServices(bench: Bench): number {
  return livingWithEnv(`EVENTS=${bench.path('events')}`).filter(({ pid, session }) => pid === session).length;
}
