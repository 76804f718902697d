// The programs that a test restore runs: without a shell, at the lowest priority, ended with all that they have started.
import { spawn, type ChildProcess } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { messageOf } from '../../runtime/errors.ts';
import { RestoreFault } from './facts-restore.ts';
import type { RestoreReason } from './families-restore.ts';

const outputAtMost = 64 * 1_048_576;

/** In a process group of its own, at the lowest priority, and with nothing of our environment. */
export function startProcess(
  program: string,
  options: readonly string[],
  input: 'pipe' | 'ignore',
  home: string,
): ChildProcess {
  const child = spawn(program, options, {
    cwd: home,
    detached: true,
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C', HOME: home },
    stdio: [input, 'pipe', 'pipe'],
  });
  child.on('error', () => undefined); // told by endOf()
  if (input === 'ignore') {
    child.stdout?.resume(); // a pipe that nobody empties would stop it
    child.stderr?.resume();
  }
  if (child.pid === undefined) return child;
  try {
    setPriority(child.pid, constants.priority.PRIORITY_LOW);
  } catch {
    // it has ended, or may not be changed: it runs as it is
  }
  return child;
}

/** How a process has ended: `exit code 0`, a signal, or why it could not be started. Never rejects. */
export function endOf(child: ChildProcess): Promise<string> {
  if (child.pid === undefined && child.exitCode === null) {
    return new Promise((resolve) => {
      child.once('error', (error) => {
        resolve(messageOf(error));
      });
    });
  }
  const now = (): string => child.signalCode ?? `exit code ${child.exitCode ?? 'unknown'}`;
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(now());
  return new Promise((resolve) => {
    child.once('close', () => {
      resolve(now());
    });
  });
}

/** Ends a process and whatever it has started. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

export interface RunAt {
  readonly signal: AbortSignal;
  readonly home: string;
  readonly reason: RestoreReason;
}

export async function runProcess(
  program: string,
  options: readonly string[],
  { signal, home, reason }: RunAt,
): Promise<string> {
  const child = startProcess(program, options, 'pipe', home);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end();
  return await outputOf(child, reason, signal);
}

/**
 * What it wrote to its standard output.
 * @throws RestoreFault with the class of the error that it complained of: the text after that may quote data
 */
export async function outputOf(child: ChildProcess, reason: RestoreReason, signal: AbortSignal): Promise<string> {
  const kill = (): void => {
    killGroup(child);
  };
  if (signal.aborted) kill();
  signal.addEventListener('abort', kill, { once: true });
  const output: Buffer[] = [];
  let bytes = 0;
  let complaint = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= outputAtMost) output.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(0, 2000)));
  try {
    const how = await endOf(child);
    if (signal.aborted) throw new RestoreFault(reasonOf(signal), 'there was no time left');
    if (how === 'exit code 0') return Buffer.concat(output).toString('utf8');
    const [error] = /ERROR \d+ \([0-9A-Z]+\)(?: at line \d+)?/.exec(complaint) ?? [];
    throw new RestoreFault(reason, `${how}: ${error ?? firstLine(complaint)}`);
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 200);
}

export function reasonOf(signal: AbortSignal): RestoreReason {
  return signal.aborted ? 'deadline' : 'server';
}
