// From the start of the process to its first answered /metrics, built, with an inventory of seven targets in a pipeline:
// servers that are played, a Maxwell and a Kafka that refuse (so that what speaks to them is loaded, and no more), a folder.
// From the second start on V8 has what the first one compiled; NODE_DISABLE_COMPILE_CACHE=1 measures without.
// `node test/bench/startup.ts [ROUNDS]`
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimAddress, ports } from '../../deploy/lab/address.ts';
import type { FleetPorts } from '../support/fleet-stand-in.ts';
import { buildExporter, cpuMs, loadAverage, median } from '../support/measured-exporter.ts';

const rounds = Number(process.argv[2] ?? 9);
/** Nobody listens there. */
const refused = 1;

const program = buildExporter();
const claim = await claimAddress();
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-bench-startup-'));
const played = fork(join(import.meta.dirname, '../support/fleet-stand-in.ts'));
try {
  const [servers] = (await once(played, 'message')) as [FleetPorts];
  const file = join(dir, 'pipemedic.yml');
  writeFileSync(file, JSON.stringify(inventoryOf(servers)));
  const bare: number[] = [];
  const starts: Start[] = [];
  for (let i = 0; i < rounds; i++) {
    bare.push(await nothing());
    starts.push(await start(file));
  }
  const figures = {
    'node that does nothing, ms': median(bare),
    'to listening, ms': median(starts.map((s) => s.listeningMs)),
    'to the first /metrics, ms': median(starts.map((s) => s.answeredMs)),
    'processor time until then, ms': median(starts.map((s) => s.usedMs)),
  };
  for (const [name, ms] of Object.entries(figures)) process.stdout.write(`${name.padEnd(34)}${ms.toFixed(0)}\n`);
  process.stdout.write(`${String(rounds)} rounds, medians, load average ${loadAverage()}\n`);
} finally {
  played.disconnect();
  claim.release();
  rmSync(dir, { recursive: true });
}

function inventoryOf(servers: FleetPorts): unknown {
  const at = (port: number): object => ({ host: '127.0.0.1', port });
  const auth = { user: 'exporter' };
  return {
    targets: [
      { name: 'db1', kind: 'mysql', address: at(servers.mariadb), auth },
      { name: 'db2', kind: 'mysql', address: at(servers.mariadb), auth },
      {
        name: 'maxwell1',
        kind: 'maxwell',
        address: { mysql: 'db1', http: { url: `http://127.0.0.1:${String(refused)}` } },
      },
      { name: 'kafka1', kind: 'kafka', address: { brokers: [`127.0.0.1:${String(refused)}`] } },
      { name: 'redis1', kind: 'redis', address: at(servers.redis) },
      { name: 'redis2', kind: 'redis', address: at(servers.redis) },
      {
        name: 'backup1',
        kind: 'backup',
        address: { directory: dir, pattern: '*.sql.gz', tool: 'mysqldump', max_age: '26h' },
      },
    ],
    pipelines: [
      {
        name: 'orders',
        objective: '60s',
        source: 'db1',
        replicas: ['db2'],
        cdc: 'maxwell1',
        bus: { target: 'kafka1', topics: ['maxwell'] },
        consumers: [{ group: 'sink' }],
        cache: { primary: 'redis1', replicas: ['redis2'] },
        backups: ['backup1'],
      },
    ],
  };
}

async function nothing(): Promise<number> {
  const startedMs = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - startedMs;
}

interface Start {
  readonly listeningMs: number;
  readonly answeredMs: number;
  readonly usedMs: number;
}

async function start(file: string): Promise<Start> {
  const listen = `${claim.address}:${String(ports.exporter)}`;
  const args = [program, 'serve', `--config.file=${file}`, `--web.listen-address=${listen}`, '--log.level=error'];
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  try {
    let page: string | undefined;
    let listeningMs = NaN;
    while (page === undefined) {
      if (performance.now() - startedMs > 120_000 || child.exitCode !== null) throw new Error('it does not answer');
      const askedMs = performance.now() - startedMs;
      page = await asked(`http://${listen}/metrics`);
      listeningMs = askedMs;
      if (page === undefined) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const answeredMs = performance.now() - startedMs;
    if (!page.includes('pipemedic_target_up{target="db1"} 1')) throw new Error('its first answer does not have db1');
    return { listeningMs, answeredMs, usedMs: cpuMs(child.pid ?? 0) };
  } finally {
    process.off('exit', orphaned);
    child.kill('SIGTERM');
    await ended;
  }
}

/** Undefined while nobody listens. */
function asked(url: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve(text);
      });
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(error);
    });
  });
}
