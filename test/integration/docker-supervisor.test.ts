// Containers of a real engine (podman's compatible API), and the repair of a CDC service that runs in one. What the
// container itself has logged is the witness of its lives. Skipped, with the reason, where no engine runs a container.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { startContainerEngine, type ContainerEngine } from '../../deploy/lab/container-engine.ts';
import { waitFor } from '../../deploy/lab/lab.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { systems } from '../../exporter/systems/index.ts';
import type { Checked, StepRun } from '../../remediator/action.ts';
import { cdcServiceRestart } from '../../remediator/actions/cdc-service-restart.ts';
import type { Json } from '../../remediator/model.ts';
import { dockerSupervisor } from '../../remediator/supervisors/docker.ts';
import type { ServiceIncarnation, Supervisor } from '../../remediator/supervisors/supervisor.ts';
import { createWorld, type World } from '../../remediator/world.ts';
import { freePort } from '../support/free-port.ts';

const token = { fence: 1, by: 'run:r1' };
const options = { force: false, waitMs: 5_000 };
const soon = (): AbortSignal => AbortSignal.timeout(60_000);
let engine: ContainerEngine | undefined;
let why = '';

before(async () => {
  const found = await startContainerEngine(mkdtempSync(join(tmpdir(), 'pipemedic-engine-')));
  if ('engine' in found) ({ engine } = found);
  else ({ why } = found);
});
after(async () => {
  await engine?.[Symbol.asyncDispose]();
});

function engineOf(t: TestContext): ContainerEngine | undefined {
  if (engine === undefined) t.skip(why);
  return engine;
}

/** What the container has said over all its lives, in its own words. */
async function lines(on: ContainerEngine, name: string): Promise<readonly string[]> {
  return (await on.podman('logs', name)).split('\n').filter((line) => line !== '');
}

function started(outcome: Awaited<ReturnType<Supervisor['start']>>): ServiceIncarnation {
  assert.ok(outcome.kind === 'done', JSON.stringify(outcome));
  return outcome.value.incarnation;
}

test('a container: two lives, told apart; each call ends or begins exactly one', async (t) => {
  const on = engineOf(t);
  if (on === undefined) return;
  await on.create('two', ['/bin/sh', '-c', 'echo start; trap "echo stop; exit 143" TERM; while :; do sleep 0.1; done']);
  const supervisor = dockerSupervisor({ socket: on.socket, container: 'two', stopSeconds: 10 }, Date.now);
  const never = await supervisor.state(soon());
  assert.ok(never.known && never.value.running === null && never.value.last === null);

  const first = started(await supervisor.start(token, soon()));
  const again = await supervisor.start(token, soon());
  assert.equal(again.kind === 'refused' && again.code, 'running');
  const up = await supervisor.state(soon());
  assert.ok(up.known && up.value.processState.known, JSON.stringify(up));
  assert.equal(up.value.running?.id, first.id);
  await waitFor(async () => (await lines(on, 'two')).length === 1, { what: 'its first line' });

  const stopped = await supervisor.stop(first, token, options, soon());
  assert.ok(stopped.kind === 'done' && stopped.value.ended?.exit.known === true);
  assert.equal(stopped.value.ended.exit.value.exitCode, 143);
  const firstLog = await supervisor.log(first, 10_000, soon());
  assert.ok(firstLog.known);
  assert.match(firstLog.value.text, /stop\n$/);

  // The engine's times are not exact: what the first life wrote last must be a moment ago.
  const { endedAtMs } = stopped.value.ended;
  await waitFor(() => Date.now() - endedAtMs > 1_000, { what: 'a second after its end' });

  const second = started(await supervisor.start(token, soon()));
  assert.notEqual(second.id, first.id);
  const late = await supervisor.stop(first, token, options, soon());
  assert.equal(late.kind === 'refused' && late.code, 'overtaken');
  await waitFor(async () => (await lines(on, 'two')).length === 3, { what: 'its third line' });
  const secondLog = await supervisor.log(second, 10_000, soon());
  assert.ok(secondLog.known);
  assert.doesNotMatch(secondLog.value.text, /stop/, 'of this life only');

  const killed = await supervisor.stop(second, token, { force: true, waitMs: 5_000 }, soon());
  assert.ok(killed.kind === 'done' && killed.value.ended?.exit.known === true);
  assert.equal(killed.value.ended.exit.value.exitCode, 137);
  assert.deepEqual(await lines(on, 'two'), ['start', 'stop', 'start']);
});

/** Counts to its page while it lives; `stuck` in its folder keeps it from that, and its health says so. */
const service = (port: number): string => `
echo start; trap "echo stop; exit 143" TERM
mkdir -p /www; httpd -p 127.0.0.1:${port} -h /www
n=0; while :; do
  n=$((n+1)); echo '{"status": "UP"}' > /www/health
  printf '# TYPE cdc_rows_applied_total counter\\ncdc_rows_applied_total %s\\ncdc_binlog_lag_seconds 0\\n' $n > /www/metrics.txt
  sleep 0.2
done`;

test('cdc-service.restart: a killed container is started once and seen to count', async (t) => {
  const on = engineOf(t);
  if (on === undefined) return;
  const port = await freePort();
  await on.create('cdc', ['/bin/sh', '-c', service(port)]);
  const world = worldOf(on, port);
  const healthy = (): Promise<boolean> => looked(world).then((look) => look.alreadyFixed.code === 'healthy');
  await on.podman('start', 'cdc');
  await waitFor(healthy, { deadlineMs: 60_000, what: 'the service' });

  await on.podman('kill', '--signal', 'KILL', 'cdc');
  await waitFor(async () => (await looked(world)).alreadyFixed.code === 'down', {
    deadlineMs: 60_000,
    what: 'its end',
  });
  const look = await looked(world);
  assert.equal(look.preconditions['error_class']?.code, 'killed', JSON.stringify(look.preconditions));
  assert.deepEqual(
    [...Object.values(look.preconditions), look.owner].map((verdict) => verdict?.is),
    ['allow', 'allow', 'allow', 'allow', 'allow', 'allow'],
  );
  const results = await conduct(world, look.before);
  assert.deepEqual(
    results.map(({ name, did }) => `${name} ${did}`),
    [
      'capture looked',
      'stop present',
      'stop.force present',
      'gate looked',
      'start applied',
      'verify_start looked',
      'verify_data looked',
    ],
  );
  assert.match(results.at(-1)?.because ?? '', /cdc_rows_applied_total/);
  assert.deepEqual(await lines(on, 'cdc'), ['start', 'start']);

  await on.podman('stop', '--time', '5', 'cdc');
  const refused = await looked(world);
  assert.equal(refused.preconditions['error_class']?.code, 'stopped_on_purpose');
});

const params = { startingSeconds: 0, startStableSeconds: 1, verifySeconds: 30 };

function looked(world: World): ReturnType<typeof cdcServiceRestart.look> {
  return cdcServiceRestart.look('cdc1', params, world, soon());
}

function worldOf(on: ContainerEngine, port: number): World {
  const url = `http://127.0.0.1:${port}`;
  const address = { http: url, metrics: `${url}/metrics.txt` };
  const inventory = inventoryOf({ targets: [{ name: 'cdc1', kind: 'cdc-service', address }] }, 'test', systems);
  const supervisor = { kind: 'docker', socket: on.socket, container: 'cdc', stop_seconds: 5 } as const;
  return createWorld({
    inventory,
    settings: { auth: new Map(), supervisors: new Map([['cdc1', supervisor]]) },
    clock: systemClock,
  });
}

/** As the runner does, without a journal: probe, call, and look until it is known. */
async function conduct(
  world: World,
  frozen: unknown,
): Promise<readonly { readonly name: string; readonly did: string; readonly because: string }[]> {
  const memo: Record<string, Json | undefined> = {};
  const results = [];
  for (const step of cdcServiceRestart.steps('cdc1', params, world)) {
    const run: StepRun<unknown> = {
      before: frozen,
      memo,
      fence: 1,
      runId: 'r1',
      attempt: 1,
      signal: soon(),
      note: () => undefined,
    };
    let did = 'looked';
    if (step.apply !== undefined) {
      const probe = await step.probe(run);
      did = probe.is;
      memo[step.name] = probe.data;
      if (probe.is === 'absent') {
        const applied = await step.apply(run);
        assert.equal(applied.is, 'done', applied.because);
        did = 'applied';
        memo[step.name] = applied.data;
      }
    }
    let seen: Checked = { is: 'unknown', because: '' };
    await waitFor(
      async () => {
        seen = await step.verify(run);
        return seen.is !== 'unknown';
      },
      { deadlineMs: 60_000, what: step.name, detail: () => seen.because },
    );
    assert.equal(seen.is, 'yes', `${step.name}: ${seen.because}`);
    results.push({ name: step.name, did, because: seen.because });
  }
  return results;
}
