// Stands in for a container engine on a unix socket: answers as one did (podman 4.3.1, Docker's manual), or badly.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface EngineContainer {
  id: string;
  pid: number;
  running: boolean;
  restarting: boolean;
  exitCode: number;
  oomKilled: boolean;
  startedAt: string;
  finishedAt: string;
  restartCount: number;
  policy: { readonly Name: string; readonly MaximumRetryCount: number };
  labels: Readonly<Record<string, string>>;
  paused: boolean;
  autoRemove: boolean;
  log: string;
  /** As ps(1) writes it; empty: the engine does not tell. */
  processState: string;
}

export type Fault = (request: IncomingMessage, response: ServerResponse) => void;

export interface EngineStandIn extends AsyncDisposable {
  readonly socket: string;
  readonly container: EngineContainer;
  /** `METHOD path` of each request. */
  readonly asked: string[];
  /** By the verb at the end of a path (`stop`, `start`, `json`, `logs`): instead of an answer. */
  readonly faults: Map<string, Fault>;
}

export const resets: Fault = (request) => request.socket.destroy();
export const hangs: Fault = () => undefined;

export function answers(status: number, message: string): Fault {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message }));
  };
}

const id = '7a07615c91bbb7ff73636052dfc94087a6230d8eb6e260281f44e54049552f22';

export async function startEngine(change: Partial<EngineContainer> = {}): Promise<EngineStandIn> {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-engine-'));
  const socket = join(dir, 'engine.sock');
  const container: EngineContainer = {
    id,
    pid: 4_000_000,
    running: true,
    restarting: false,
    exitCode: 0,
    oomKilled: false,
    startedAt: '2026-11-21T22:07:08.588916981Z',
    finishedAt: '0001-01-01T00:00:00Z',
    restartCount: 0,
    policy: { Name: '', MaximumRetryCount: 0 },
    labels: {},
    paused: false,
    autoRemove: false,
    log: '',
    processState: '',
    ...change,
  };
  const asked: string[] = [];
  const faults = new Map<string, Fault>();
  let starts = 0;
  const server: Server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(`${request.method ?? ''} ${path}`);
    const [, name = '', verb = ''] = /^\/containers\/([^/]+)\/([a-z]+)(?:\?.*)?$/.exec(path) ?? [];
    const fault = faults.get(verb);
    if (fault !== undefined) {
      fault(request, response);
      return;
    }
    if (name !== 'cdc' && name !== container.id) {
      answers(404, `no container with name or ID "${name}" found`)(request, response);
      return;
    }
    switch (`${request.method ?? ''} ${verb}`) {
      case 'GET json':
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(inspected(container)));
        return;
      case 'POST stop':
        response.writeHead(container.running ? 204 : 304);
        if (container.running) end(container, 143);
        response.end();
        return;
      case 'POST start':
        response.writeHead(container.running ? 304 : 204);
        if (!container.running) {
          starts += 1;
          Object.assign(container, {
            running: true,
            pid: 4_000_000 + starts,
            startedAt: new Date(Date.now()).toISOString(),
          });
        }
        response.end();
        return;
      case 'GET logs': {
        const text = Buffer.from(container.log);
        const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
        head.writeUInt32BE(text.length, 4);
        response.writeHead(200, { 'content-type': 'application/vnd.docker.raw-stream' });
        response.end(text.length === 0 ? '' : Buffer.concat([head, text]));
        return;
      }
      case 'GET top': {
        // as Docker does: its words are those of ps(1), any other is an error
        if (!path.endsWith(`?ps_args=${encodeURIComponent('-o pid,stat')}`)) {
          answers(500, 'ps: error')(request, response);
          return;
        }
        const Processes = [[String(container.pid), container.processState]];
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(
          JSON.stringify({ Titles: ['PID', 'STAT'], Processes: container.processState === '' ? [] : Processes }),
        );
        return;
      }
      default:
        answers(404, 'not found')(request, response);
    }
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    container,
    asked,
    faults,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function end(container: EngineContainer, exitCode: number): void {
  Object.assign(container, { running: false, pid: 0, exitCode, finishedAt: new Date(Date.now()).toISOString() });
}

function inspected(c: EngineContainer): unknown {
  return {
    Id: c.id,
    State: {
      Status: c.running ? 'running' : 'exited',
      Running: c.running || c.restarting,
      Paused: c.paused,
      Restarting: c.restarting,
      OOMKilled: c.oomKilled,
      Dead: false,
      Pid: c.pid,
      ExitCode: c.exitCode,
      StartedAt: c.startedAt,
      FinishedAt: c.finishedAt,
    },
    RestartCount: c.restartCount,
    HostConfig: { AutoRemove: c.autoRemove, RestartPolicy: c.policy },
    Config: { Tty: false, Labels: c.labels },
  };
}
