// Child processes of a lab: each the leader of a group of its own (Ctrl-C reaches only us), known to the reaper.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { NeverReady, tail, waitFor } from './ready.ts';

/** One server or program of the lab. */
export interface Part {
  readonly name: string;
  /** Of the running process; undefined when it does not run. */
  readonly pid: number | undefined;
  /** Starts it and waits until it is ready; does nothing when it runs. */
  start(): Promise<void>;
  /** SIGTERM, and SIGKILL when that is not enough; waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL; waits for the end. */
  kill(): Promise<void>;
  /** SIGSTOP */
  freeze(): void;
  /** SIGCONT */
  thaw(): void;
  /** Everything it has logged, over all its starts. */
  log(): string;
}

export interface Reaper {
  group(pid: number): void;
  mount(path: string): void;
  /** Ends everything and removes the folder; resolves when that is done. */
  end(): Promise<void>;
}

export function startReaper(dir: string): Reaper {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'reaper.ts'), dir], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const { stdin } = child;
  // The pipe keeps neither the lab's process alive nor breaks it
  child.unref();
  (stdin as Writable & { unref(): void }).unref();
  stdin.on('error', () => undefined);
  const exited = new Promise<void>((resolve) => child.once('exit', resolve));
  return {
    group: (pid) => void stdin.write(`group ${pid}\n`),
    mount: (path) => void stdin.write(`mount ${path}\n`),
    end: async () => {
      child.ref();
      stdin.end();
      await exited;
    },
  };
}

/** This start of a process, for its readiness. */
export interface Started {
  readonly atMs: number;
  /** What it has logged since. */
  readonly log: () => string;
}

export interface ProcessSpec {
  readonly name: string;
  readonly argv: readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** True when it serves. */
  readonly ready: (signal: AbortSignal, started: Started) => boolean | Promise<boolean>;
  readonly readyDeadlineMs?: number;
  readonly stopDeadlineMs?: number;
}

export interface LabFolder {
  readonly dir: string;
  readonly reaper: Reaper;
}

/** Marks every process of the lab, whatever group it ends up in: the reaper looks for it. */
export function markedEnv(lab: LabFolder): Record<string, string> {
  return { PIPEMEDIC_LAB: lab.dir };
}

export function logFileOf(lab: LabFolder, name: string): string {
  return join(lab.dir, 'logs', `${name}.log`);
}

export class ProcessPart implements Part {
  readonly name: string;
  readonly logFile: string;
  readonly #lab: LabFolder;
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(lab: LabFolder, spec: ProcessSpec) {
    this.name = spec.name;
    this.logFile = logFileOf(lab, spec.name);
    this.#lab = lab;
    this.#spec = spec;
  }

  get pid(): number | undefined {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    const { argv, name, ready, readyDeadlineMs = 60_000 } = this.#spec;
    const [program, ...args] = argv;
    const log = openSync(this.logFile, 'a', 0o600);
    const offset = statSync(this.logFile).size;
    const atMs = Date.now();
    const child = spawn(program, args, {
      detached: true,
      cwd: this.#spec.cwd ?? this.#lab.dir,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#spec.env, ...markedEnv(this.#lab) },
    });
    closeSync(log);
    child.unref(); // a lab that is forgotten does not keep its process alive; the reaper sees to the rest
    this.#child = child;
    if (child.pid !== undefined) this.#lab.reaper.group(child.pid);
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        resolve();
      });
      child.once('error', () => {
        resolve();
      });
    });
    const started: Started = { atMs, log: () => readFileSync(this.logFile).subarray(offset).toString('utf8') };
    try {
      await waitFor(
        async (signal) => {
          if (failure !== undefined) throw new NeverReady(`${name} could not be started`, { cause: failure });
          if (this.pid === undefined) {
            const how = child.signalCode ?? `exit code ${child.exitCode ?? 'unknown'}`;
            throw new NeverReady(`${name} ended at its start (${how}):\n${tail(this.logFile)}`);
          }
          return await ready(signal, started);
        },
        { deadlineMs: readyDeadlineMs, what: `${name} to be ready`, detail: () => tail(this.logFile) },
      );
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    signalGroup(pid, 'SIGTERM');
    signalGroup(pid, 'SIGCONT');
    const timer = setTimeout(() => {
      signalGroup(pid, 'SIGKILL');
    }, this.#spec.stopDeadlineMs ?? 10_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    this.#child?.ref();
    signalGroup(pid, 'SIGKILL');
    await this.#exited;
  }

  freeze(): void {
    signalGroup(this.#mustRun(), 'SIGSTOP');
  }

  thaw(): void {
    signalGroup(this.#mustRun(), 'SIGCONT');
  }

  log(): string {
    try {
      return readFileSync(this.logFile, 'utf8');
    } catch {
      return '';
    }
  }

  #mustRun(): number {
    const { pid } = this;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended
  }
}

/** Ends in an error that shows what the program said. */
export async function runToEnd(
  argv: readonly [string, ...string[]],
  options: { readonly deadlineMs: number; readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<string> {
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.deadlineMs,
    killSignal: 'SIGKILL',
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      resolve(exitCode ?? signal);
    });
  });
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'no code'}:\n${out.trimEnd().slice(-3000)}`);
  return out;
}
