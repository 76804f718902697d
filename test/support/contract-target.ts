// A target with every way of refusing a late call, one for each class of fencing, and a record that only it writes.
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** One line of JSON each way. */
export interface Asked {
  readonly op: 'state' | 'raise' | 'stop' | 'start' | 'change' | 'hello' | 'end';
  /** The incarnation that a stop is for. */
  readonly only?: number;
  readonly fence?: number;
  readonly session?: number;
}
export interface Answered {
  readonly ok: boolean;
  readonly running: number | null;
  readonly changes: number;
  readonly session?: number;
}

export interface ContractTarget extends AsyncDisposable {
  readonly socket: string;
  /** What took effect, in order. */
  readonly witness: readonly string[];
  /** Mutating requests that arrived, whether they took effect or not. */
  readonly requests: readonly string[];
}

/** @param startsDown nothing runs at first: what a start is for */
export async function startContractTarget(socket: string, startsDown: boolean): Promise<ContractTarget> {
  const witness: string[] = [];
  const requests: string[] = [];
  const sessions = new Map<number, Socket>();
  const connections = new Set<Socket>();
  let running: number | null = startsDown ? null : 1;
  let last = 1;
  let changes = 0;
  let maxFence = 0;
  let lastSession = 0;

  const effect = (what: string, fence: number | undefined, isPermitted: boolean, carryOut: () => void): boolean => {
    requests.push(what);
    if (!isPermitted || (fence !== undefined && fence < maxFence)) return false;
    carryOut();
    witness.push(what);
    return true;
  };
  const answer = ({ op, only, fence, session }: Asked, from: Socket): { ok: boolean; session?: number } => {
    switch (op) {
      case 'state':
        return { ok: true };
      case 'raise':
        if (fence === undefined || fence < maxFence) return { ok: false };
        maxFence = fence;
        return { ok: true };
      case 'stop':
        return { ok: effect('stop', fence, running !== null && running === only, () => (running = null)) };
      case 'start':
        return { ok: effect('start', fence, running === null, () => (running = last += 1)) };
      case 'change':
        return { ok: effect('change', fence, true, () => (changes += 1)) };
      case 'hello':
        lastSession += 1;
        sessions.set(lastSession, from);
        return { ok: true, session: lastSession };
      case 'end':
        // as a server's KILL: what the session sends from now on is not read
        if (session !== undefined) sessions.get(session)?.destroy();
        return { ok: true };
    }
  };
  const server = createServer((from) => {
    connections.add(from);
    from.on('close', () => connections.delete(from)).on('error', () => undefined);
    const lines = createInterface(from);
    lines.on('error', () => undefined);
    lines.on('line', (line) => {
      if (from.destroyed) return;
      const said = answer(JSON.parse(line) as Asked, from);
      from.write(`${JSON.stringify({ ...said, running, changes } satisfies Answered)}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    witness,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      rmSync(socket, { force: true });
    },
  };
}

/** A connection of its own, without reconnect. */
export class TargetLink {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string, signal: AbortSignal) {
    this.#socket = connect(path);
    this.#socket.on('error', () => undefined);
    if (signal.aborted) this.#socket.destroy();
    signal.addEventListener('abort', () => this.#socket.destroy(), { once: true });
    const lines = createInterface(this.#socket);
    lines.on('error', () => undefined);
    // destroyed, it has no end that the lines would hear of
    this.#socket.once('close', () => {
      lines.close();
    });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** @throws when the connection ends before the answer */
  async ask(asked: Asked): Promise<Answered> {
    this.#socket.write(`${JSON.stringify(asked)}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('the connection ended');
    return JSON.parse(line.value) as Answered;
  }

  close(): void {
    this.#socket.destroy();
  }
}

export async function askOnce(path: string, asked: Asked, signal: AbortSignal): Promise<Answered> {
  const link = new TargetLink(path, signal);
  try {
    return await link.ask(asked);
  } finally {
    link.close();
  }
}
