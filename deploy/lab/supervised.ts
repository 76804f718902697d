// A part that is the child of pipemedic's process supervisor, not of the lab.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { z } from 'zod';
import {
  replySchema,
  witnessLineSchema,
  type Reply,
  type requestSchema,
  type Status,
} from '../../remediator/supervisors/process-wire.ts';
import { fileIn, folderIn, repo, type LabContext } from './context.ts';
import { logFileOf, markedEnv, ProcessPart, type Part, type ProcessSpec } from './processes.ts';
import { NeverReady, socketAnswers, tail, waitFor } from './ready.ts';

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type Request = WithoutId<z.input<typeof requestSchema>>;

/** The name under which pipemedic.yml knows the service. */
export const serviceName = 'maxwell1';

export interface SupervisorFiles {
  readonly socket: string;
  readonly stateDir: string;
  /** The supervisor's own append-only record of starts and ends. */
  readonly witness: string;
}

export function supervisorFiles(lab: Pick<LabContext, 'dir'>): SupervisorFiles {
  const stateDir = join(lab.dir, 'supervisor');
  return { socket: join(lab.dir, `${serviceName}.sock`), stateDir, witness: join(stateDir, 'witness.jsonl') };
}

export function supervisorPart(lab: LabContext, service: ProcessSpec): ProcessPart {
  const { socket, stateDir } = supervisorFiles(lab);
  folderIn(lab, 'supervisor');
  const config = {
    socket,
    stateDir,
    service: {
      name: serviceName,
      argv: service.argv,
      cwd: service.cwd ?? lab.dir,
      env: { ...service.env, ...markedEnv(lab) },
      logFile: logFileOf(lab, service.name),
    },
    // the lab starts it by request, so that a supervisor that is started again does not do so too
    autostart: false,
  };
  return new ProcessPart(lab, {
    name: 'supervisor',
    argv: [
      process.execPath,
      join(repo, 'remediator', 'supervisors', 'process-supervisor.ts'),
      '--config',
      fileIn(lab, 'supervisor.json', JSON.stringify(config, undefined, 2)),
    ],
    ready: (signal) => socketAnswers(socket, signal),
    stopDeadlineMs: 30_000,
  });
}

export class SupervisedPart implements Part {
  readonly name: string;
  readonly #logFile: string;
  readonly #files: SupervisorFiles;
  readonly #spec: ProcessSpec;
  readonly #supervisor: Part;

  constructor(lab: LabContext, spec: ProcessSpec, supervisor: Part) {
    this.name = spec.name;
    this.#spec = spec;
    this.#supervisor = supervisor;
    this.#files = supervisorFiles(lab);
    this.#logFile = logFileOf(lab, spec.name);
  }

  /** By the supervisor's witness; also of a process whose supervisor has died. */
  get pid(): number | undefined {
    let text: string;
    try {
      text = readFileSync(this.#files.witness, 'utf8');
    } catch {
      return undefined;
    }
    let pid: number | undefined;
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
      if (line === '') continue;
      const { event, pid: of } = witnessLineSchema.parse(JSON.parse(line));
      if (event === 'start' || event === 'orphan-found') pid = of ?? undefined;
      if (event === 'exit') pid = undefined;
    }
    return pid !== undefined && isAlive(pid) ? pid : undefined;
  }

  async start(): Promise<void> {
    await this.#supervisor.start();
    const atMs = Date.now();
    const { running, maxFence, last } = await this.#statusWithItsEnd();
    if (running !== null) return;
    const reply = await this.#ask({ op: 'start', ifAbsent: true, fence: maxFence, by: 'person:lab' });
    if (reply.op !== 'start') throw new Error(`the supervisor answered ${reply.op} to start`);
    const { pid } = reply.incarnation;
    const offset = last?.logEnd ?? 0;
    const log = (): string => Buffer.from(this.log()).subarray(offset).toString('utf8');
    await waitFor(
      async (signal) => {
        if (!isAlive(pid)) {
          const { last: ended } = await this.#statusWithItsEnd();
          const how = JSON.stringify(ended?.exit);
          throw new NeverReady(`${this.name} ended at its start (${how}):\n${tail(this.#logFile)}`);
        }
        return await this.#spec.ready(signal, { atMs, log });
      },
      {
        deadlineMs: this.#spec.readyDeadlineMs ?? 60_000,
        what: `${this.name} to be ready`,
        detail: () => tail(this.#logFile),
      },
    );
  }

  async stop(): Promise<void> {
    for (const signal of ['TERM', 'KILL'] as const) {
      const { running: ifIncarnation, maxFence: fence } = await this.#status();
      if (ifIncarnation === null) return;
      const waitMs = this.#spec.stopDeadlineMs ?? 10_000;
      await this.#ask({ op: 'stop', ifIncarnation, fence, by: 'person:lab', signal, waitMs });
    }
  }

  /** Past the supervisor, like the kernel's own killer would. */
  async kill(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    process.kill(pid, 'SIGKILL');
    await waitFor(() => this.pid === undefined, {
      what: `the end of ${this.name}`,
      intervalMs: 10,
    });
    if (this.#supervisor.pid !== undefined) await this.#statusWithItsEnd();
  }

  freeze(): void {
    process.kill(this.#mustRun(), 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.#mustRun(), 'SIGCONT');
  }

  log(): string {
    try {
      return readFileSync(this.#logFile, 'utf8');
    } catch {
      return '';
    }
  }

  #mustRun(): number {
    const { pid } = this;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  /** A moment after the end of the process the supervisor has not seen it yet. */
  async #statusWithItsEnd(): Promise<Status> {
    return await waitFor(
      async () => {
        const status = await this.#status();
        return (status.running === null || isAlive(status.running.pid)) && status;
      },
      { what: `the supervisor to see the end of ${this.name}` },
    );
  }

  async #status(): Promise<Status> {
    const reply = await this.#ask({ op: 'status' });
    if (reply.op !== 'status') throw new Error(`the supervisor answered ${reply.op} to status`);
    return reply.status;
  }

  async #ask(request: Request): Promise<Extract<Reply, { ok: true }>> {
    const reply = await askSupervisor(this.#files.socket, request);
    if (!reply.ok)
      throw new Error(`the supervisor refused to ${request.op} ${this.name}: ${reply.code} ${reply.message}`);
    return reply;
  }
}

async function askSupervisor(socketPath: string, request: Request, deadlineMs = 30_000): Promise<Reply> {
  const socket = connect({ path: socketPath });
  socket.setTimeout(deadlineMs, () =>
    socket.destroy(new Error(`the supervisor did not answer within ${deadlineMs} ms`)),
  );
  socket.write(`${JSON.stringify({ id: 1, ...request })}\n`);
  try {
    for await (const line of createInterface({ input: socket })) return replySchema.parse(JSON.parse(line));
    throw new Error('the supervisor closed the connection without an answer');
  } finally {
    socket.destroy();
  }
}

/** Not a zombie: that one has ended and only waits to be asked for its exit code. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2).charAt(0));
  } catch {
    return false;
  }
}
