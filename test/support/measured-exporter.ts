// The exporter as a user has it: built, in a process of its own; its processor time and memory as the system counts them.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { waitFor } from '../../deploy/lab/ready.ts';

const root = resolve(import.meta.dirname, '../..');

/** In the repository, so that it finds its packages and its version. @returns the program */
export function buildExporter(): string {
  const folder = join(root, '.cache/bench');
  rmSync(folder, { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--noCheck', '--sourceMap', 'false', '--outDir', folder];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`not built: ${stdout}`);
  return join(folder, 'exporter/main.js');
}

/** User and system time of all threads, since the start. @see proc_pid_stat(5), fields 14 and 15, in hundredths */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** VmRSS: now; VmHWM: the most that it ever was. */
export function memoryMb(pid: number, what: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const [, kb = 'NaN'] = new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status) ?? [];
  return Number(kb) / 1024;
}

export function loadAverage(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ')[0] ?? '';
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

export interface MeasuredExporter {
  readonly pid: number;
  readonly scrape: () => Promise<string>;
  readonly stop: () => Promise<void>;
}

interface Options {
  readonly program: string;
  /** The inventory. */
  readonly config: unknown;
  /** HOST:PORT */
  readonly listen: string;
  /** For node itself. */
  readonly nodeArgs?: readonly string[];
  readonly timeoutSeconds?: number;
}

/** It listens when this resolves; what its targets do is not looked at. */
export async function startExporter(options: Options): Promise<MeasuredExporter> {
  const { program, config, listen, nodeArgs = [], timeoutSeconds = 30 } = options;
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-bench-'));
  const file = join(dir, 'pipemedic.yml');
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const args = [...nodeArgs, program, 'serve', `--config.file=${file}`, `--web.listen-address=${listen}`, '--log.level=error']; // prettier-ignore
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(child, 'exit');
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  const stop = async (): Promise<void> => {
    process.off('exit', orphaned);
    child.kill('SIGTERM');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  const ask = async (path: string): Promise<string> => {
    const headers = { 'X-Prometheus-Scrape-Timeout-Seconds': String(timeoutSeconds) };
    const signal = AbortSignal.timeout(timeoutSeconds * 1000);
    return await (await fetch(`http://${listen}${path}`, { headers, signal })).text();
  };
  try {
    const isAlive = async (): Promise<true | undefined> => (await ask('/-/healthy')).includes('alive') || undefined;
    await waitFor(isAlive, { deadlineMs: 120_000, what: 'the exporter to listen' });
  } catch (error) {
    await stop();
    throw error;
  }
  if (child.pid === undefined) throw new Error('the exporter has no pid');
  return { pid: child.pid, scrape: () => ask('/metrics'), stop };
}
