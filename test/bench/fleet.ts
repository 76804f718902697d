// A fleet of 1,000 targets, played on loopback: processor time and memory of one sweep of all, and what a scrape waits for.
// `node test/bench/fleet.ts [MYSQL [REDIS [PROFILE_FOLDER]]]`
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { claimAddress, ports } from '../../deploy/lab/address.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { FleetPorts } from '../support/fleet-stand-in.ts';
import {
  buildExporter,
  cpuMs,
  loadAverage,
  median,
  memoryMb,
  startExporter,
  type MeasuredExporter,
} from '../support/measured-exporter.ts';

const [mysqls = 500, rediss = 500] = process.argv.slice(2, 4).map(Number);
const profiles = process.argv[4];
const warmUp = 4;
const rounds = 9;

const program = buildExporter();
const claim = await claimAddress();
const played = fork(join(import.meta.dirname, '../support/fleet-stand-in.ts'));
try {
  const [servers] = (await once(played, 'message')) as [FleetPorts];
  const exporter = await startExporter({
    program,
    config: { targets: targetsOf(servers) },
    listen: `${claim.address}:${String(ports.exporter)}`,
    nodeArgs: profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`],
    timeoutSeconds: 120,
  });
  try {
    await measure(exporter);
  } finally {
    await exporter.stop();
  }
} finally {
  played.disconnect();
  claim.release();
}

function targetsOf(servers: FleetPorts): unknown[] {
  const at = (port: number): object => ({ host: '127.0.0.1', port });
  return [
    ...Array.from({ length: mysqls }, (_, i) => ({
      name: `db-${String(i)}`,
      kind: 'mysql',
      address: at(i % 2 === 0 ? servers.mariadb : servers.mysql),
      auth: { user: 'exporter' },
    })),
    ...Array.from({ length: rediss }, (_, i) => ({ name: `cache-${String(i)}`, kind: 'redis', address: at(servers.redis) })),
  ]; // prettier-ignore
}

async function measure({ pid, scrape }: MeasuredExporter): Promise<void> {
  await waitFor(async () => upIn(await scrape()) === mysqls + rediss, {
    deadlineMs: 120_000,
    what: 'all targets to be up',
  });
  for (let i = 0; i < warmUp; i++) await scrape();
  const cpu: number[] = [];
  const wall: number[] = [];
  const resident: number[] = [];
  const blocked: number[] = [];
  let page = '';
  for (let i = 0; i < rounds; i++) {
    const [cpuBefore, before] = [cpuMs(pid), performance.now()];
    page = await scrape();
    wall.push(performance.now() - before);
    cpu.push(cpuMs(pid) - cpuBefore);
    resident.push(memoryMb(pid));
    blocked.push(valueIn(page, 'nodejs_eventloop_lag_max_seconds') * 1000);
  }
  const failed = page.match(/^pipemedic_collector_success\{.*\} 0$/gm) ?? [];
  if (upIn(page) !== mysqls + rediss || failed.length > 0)
    throw new Error(`not all well: ${failed.slice(0, 3).join('\n')}`);
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const figures = {
    targets: mysqls + rediss,
    'cpu ms of a sweep': median(cpu),
    'cpu ms of a target': Number((median(cpu) / (mysqls + rediss)).toFixed(2)),
    'wall ms': Math.round(median(wall)),
    'longest ms without a turn of the event loop': Math.round(median(blocked)),
    series: lines.length,
    'page MB': Number((page.length / 1e6).toFixed(1)),
    'resident MB': Math.round(median(resident)),
    'resident MB at most': Math.round(memoryMb(pid, 'VmHWM')),
    'load average': loadAverage(),
  };
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(46)}${String(value)}\n`);
}

function upIn(page: string): number {
  return (page.match(/^pipemedic_target_up\{.*\} 1$/gm) ?? []).length;
}

function valueIn(page: string, name: string): number {
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(page)?.[1] ?? NaN);
}
