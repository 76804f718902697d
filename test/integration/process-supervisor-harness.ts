/** Real supervisors over real processes in a folder of their own. The fake service keeps its own record of its lives. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NeverReady, waitFor } from '../../deploy/lab/ready.ts';
import { readStat } from '../../remediator/supervisors/process/proc.ts';
import { ask } from '../../remediator/supervisors/process-client.ts';
import {
  witnessLineSchema,
  type Incarnation,
  type ProcessSupervisorConfig,
  type Reply,
  type Request,
  type Status,
  type WitnessLine,
} from '../../remediator/supervisors/process-wire.ts';
import type { Outcome } from '../../remediator/supervisors/supervisor.ts';

const program = new URL('../../remediator/supervisors/process-supervisor.ts', import.meta.url).pathname;

/** Handles TERM as a JVM does: exit code 143. */
export const polite = `trap 'echo "term $$" >> "$EVENTS"; exit 143' TERM
echo "start $$" >> "$EVENTS"
echo "hello from $$"
while :; do sleep 100 & wait $!; done`;

/** Ignores TERM, and so do its children. */
export const stubborn = `trap '' TERM
echo "start $$" >> "$EVENTS"
while :; do sleep 100; done`;

export function isAlive(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

type ConfigChange = Partial<Omit<ProcessSupervisorConfig, 'service'>> & {
  readonly service?: Partial<ProcessSupervisorConfig['service']>;
};

export class Bench {
  readonly dir: string;
  readonly config: ProcessSupervisorConfig;
  readonly #started: Running[] = [];

  constructor(t: TestContext, script: string, change: ConfigChange = {}) {
    this.dir = mkdtempSync(join(tmpdir(), 'process-supervisor-'));
    writeFileSync(this.path('service.sh'), `${script}\n`);
    this.config = {
      socket: this.path('s.sock'),
      stateDir: this.path('state'),
      ...change,
      service: {
        name: 'fake',
        argv: ['/bin/sh', this.path('service.sh')],
        env: { EVENTS: this.path('events') },
        logFile: this.path('service.log'),
        ...change.service,
      },
    };
    this.writeConfig();
    t.after(() => this.clean());
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  writeConfig(config: unknown = this.config): void {
    writeFileSync(this.path('config.json'), JSON.stringify(config));
  }

  /** Starts a supervisor without waiting for it. `under`: a program that runs it, such as strace. */
  launch(under: readonly string[] = []): Running {
    const [command, ...args] = [...under, process.execPath, program, '--config', this.path('config.json')];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((resolve) => {
      // not 'close': an orphan may hold the other end of the pipe
      child.once('exit', (code, signal) => {
        setImmediate(() => {
          resolve({ code, signal, stderr });
        });
      });
    });
    const running = { child, ended };
    this.#started.push(running);
    return running;
  }

  /** Starts a supervisor that must end by itself, soon. */
  async refusal(): Promise<Ended> {
    const { ended } = this.launch();
    const tooLong = sleep(10_000, undefined, { ref: false }).then(() => {
      throw new Error('the supervisor runs, it should have refused to');
    });
    return Promise.race([ended, tooLong]);
  }

  /** Starts a supervisor and waits until it answers. */
  async supervisor(): Promise<Running> {
    const running = this.launch();
    let over: Ended | undefined;
    void running.ended.then((ended) => {
      over = ended;
    });
    await waitFor(
      async () => {
        if (over !== undefined) throw new NeverReady(`the supervisor ended: ${JSON.stringify(over)}`);
        const outcome = await ask<'status'>(this.config, { op: 'status' }, AbortSignal.timeout(5_000));
        return outcome.kind === 'done' && outcome.value.status.supervisorPid === running.child.pid;
      },
      { what: 'the supervisor answers' },
    );
    return running;
  }

  async status(): Promise<Status> {
    const outcome = await ask<'status'>(this.config, { op: 'status' }, AbortSignal.timeout(5_000));
    if (outcome.kind !== 'done') throw new Error(`no status: ${JSON.stringify(outcome)}`);
    return outcome.value.status;
  }

  start(fence: number, by = 'test'): Promise<Outcome<Extract<Reply, { ok: true; op: 'start' }>>> {
    return ask<'start'>(this.config, { op: 'start', ifAbsent: true, fence, by }, AbortSignal.timeout(10_000));
  }

  stop(
    ifIncarnation: Incarnation,
    fence: number,
    change: { readonly signal?: 'TERM' | 'KILL'; readonly waitMs?: number; readonly by?: string } = {},
  ): Promise<Outcome<Extract<Reply, { ok: true; op: 'stop' }>>> {
    const request = {
      op: 'stop',
      ifIncarnation,
      fence,
      signal: 'TERM',
      waitMs: 10_000,
      by: 'test',
      ...change,
    } as const;
    return ask<'stop'>(this.config, request, AbortSignal.timeout(20_000));
  }

  /** Starts the service and waits until its script says so. */
  async started(fence: number): Promise<Incarnation> {
    const outcome = await this.start(fence);
    if (outcome.kind !== 'done') throw new Error(`not started: ${JSON.stringify(outcome)}`);
    const { incarnation } = outcome.value;
    await waitFor(() => this.events().includes(`start ${incarnation.pid}`), { what: 'the service runs' });
    return incarnation;
  }

  /** What the service itself recorded: the witness outside the supervisor. */
  events(): string[] {
    return existsSync(this.path('events')) ? readFileSync(this.path('events'), 'utf8').split('\n').slice(0, -1) : [];
  }

  witness(): WitnessLine[] {
    const path = join(this.config.stateDir, 'witness.jsonl');
    if (!existsSync(path)) return [];
    const text = readFileSync(path, 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => witnessLineSchema.parse(JSON.parse(line)));
  }

  async clean(): Promise<void> {
    for (const { child, ended } of this.#started) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    }
    for (const { pid, startTicks, event } of this.witness()) {
      if (pid === null || startTicks === null || event === 'stop-request') continue;
      endGroup(pid, startTicks);
    }
    for (const event of this.events()) {
      const pid = Number(/^(?:start|kid) (\d+)$/.exec(event)?.[1]);
      if (pid > 0 && hasOurEvents(pid, this.path('events'))) process.kill(pid, 'SIGKILL');
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function endGroup(pid: number, startTicks: number): void {
  if (readStat(pid)?.startTicks !== startTicks) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ended by itself in between
  }
}

function hasOurEvents(pid: number, path: string): boolean {
  if (!isAlive(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`EVENTS=${path}`);
  } catch {
    return false;
  }
}

export function assertGapless(bench: Bench): void {
  const numbers = bench.witness().map(({ n }) => n);
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => i + 1),
  );
}

/** Sends bytes as they are and returns the reply lines until `count` came or the connection ended. */
export function exchange(socketPath: string, bytes: string | Buffer, count = 1): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let text = '';
    const finish = (): void => {
      socket.destroy();
      resolve(
        text
          .split('\n')
          .slice(0, -1)
          .map((line): unknown => JSON.parse(line)),
      );
    };
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
      if (text.split('\n').length > count) finish();
    });
    socket.on('end', finish);
    socket.on('error', reject);
    socket.write(bytes);
  });
}

export function line(request: Request): string {
  return `${JSON.stringify(request)}\n`;
}

/** `done`, `unknown`, or why it was refused. */
export function codeOf(outcome: Outcome<unknown>): string {
  return outcome.kind === 'refused' ? outcome.code : outcome.kind;
}
