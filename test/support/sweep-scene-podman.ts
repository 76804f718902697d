// A CDC service in a container of a real engine, podman's API that is compatible with Docker's. The witness is the engine's
// own record of events, and what each life of the container has written.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startContainerEngine } from '../../deploy/lab/container-engine.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { openGate } from './call-gate.ts';
import { freePort } from './free-port.ts';
import { intentsOf, type Scene } from './sweep-scenes.ts';

/** Its first life says that it does not work and falls behind; the next ones count. */
const service = (port: number): string => `
echo start; trap "echo stop; exit 143" TERM
mkdir -p /www; httpd -p 127.0.0.1:${String(port)} -h /www
works=DOWN; if [ -e /lived ]; then works=UP; fi; : > /lived
n=0; while :; do
  n=$((n+1)); rows=0; lag=$((n / 5 + 1)); if [ $works = UP ]; then rows=$n; lag=0; fi
  printf '# TYPE cdc_rows_applied_total counter\\ncdc_rows_applied_total %s\\ncdc_binlog_lag_seconds %s\\n' $rows $lag > /www/metrics.txt
  echo "{\\"status\\": \\"$works\\"}" > /www/health
  sleep 0.2
done`;

/** @returns why there is none, where no engine runs a container */
export async function podmanScene(): Promise<Scene | string> {
  const found = await startContainerEngine(mkdtempSync(join(tmpdir(), 'pipemedic-engine-')));
  if ('why' in found) return found.why;
  const { engine } = found;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-sweep-'));
  const socket = join(dir, 'engine.sock');
  const gate = await openGate({ path: socket }, { path: engine.socket }, () => (data) => {
    return /^POST \/containers\/[^/]+\/(?<verb>stop|start)/.exec(data.toString('latin1'))?.groups?.['verb'];
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const eventsOf = async (...which: readonly string[]): Promise<readonly string[]> => {
    // each round has a container of its own
    const id = (await engine.podman('inspect', '--format', '{{.Id}}', 'cdc')).trim();
    const text = await engine.podman(
      'events',
      '--stream=false',
      '--filter',
      `container=${id}`,
      '--format',
      '{{.Status}}',
    );
    return text.split('\n').filter((event) => which.includes(event));
  };
  return {
    gate,
    steps: { stop: 'stop', start: 'start' },
    prepare: async () => {
      await engine.podman('rm', '--all', '--force', '--time', '0');
      await engine.create('cdc', ['/bin/sh', '-c', service(port)]);
      await engine.podman('start', 'cdc');
      await waitFor(async (signal) => (await fetch(`${url}/health`, { signal })).ok, { what: 'the service' });
    },
    life: (way) => ({
      action: 'cdc-service.restart',
      target: 'cdc1',
      params: { stopSeconds: 2, startingSeconds: 0, startStableSeconds: 1, verifySeconds: 60 },
      inventory: {
        targets: [{ name: 'cdc1', kind: 'cdc-service', address: { http: url, metrics: `${url}/metrics.txt` } }],
      },
      auth: {},
      supervisors: {
        cdc1: { kind: 'docker', socket: way === 'past it' ? engine.socket : socket, container: 'cdc', stop_seconds: 2 },
      },
    }),
    judge: async ({ journal, late, said }) => {
      // `predicate`: an engine compares nothing, so a stop that was under way ends whatever runs when it comes
      const wanted = ['start', 'died', 'start', ...(late === 'stop' ? ['died'] : [])];
      const events = await eventsOf('died', 'start');
      const told = `${said}; the engine saw ${events.join(' ')}`;
      assert.deepEqual(events, wanted, told);
      const lives = (await engine.podman('logs', 'cdc')).split('\n').filter((line) => line === 'start');
      assert.equal(lives.length, 2, told);
      for (const step of ['stop', 'start']) assert.ok(intentsOf(journal, step) >= 1, told);
    },
    [Symbol.asyncDispose]: async () => {
      await gate[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
