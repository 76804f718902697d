/** The unix socket of the supervisor: lines in, lines out. Bad input gets an error reply and never ends the program. */
import { createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import { listenOnPath } from '../../../exporter/runtime/unix-socket.ts';
import {
  maxLogBytes,
  maxRequestBytes,
  requestSchema,
  type Refusal,
  type Reply,
  type Request,
} from '../process-wire.ts';
import { Refused } from './gate.ts';
import type { Service } from './service.ts';

/**
 * A connection without a whole request for this long is closed, and one that does not take its answer: a client that was
 * stopped in the middle of a line cannot come back an hour later and finish it.
 */
const lineTimeoutMs = 10_000;
const maxConnections = 64;

type Served = Pick<Service, 'running' | 'maxFence' | 'status' | 'fence' | 'start' | 'stop' | 'logText'>;

/** Listens on `path` as its owner only. A socket that nobody answers is replaced; throws ConfigError otherwise. */
export async function listen(path: string, service: Served, log: Log): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', (error) => {
      log.debug({ error: messageOf(error) }, 'a connection failed');
    });
    void converse(socket, service, log);
  });
  server.maxConnections = maxConnections;
  await listenOnPath(server, path);
  server.on('error', (error) => {
    log.error({ error: messageOf(error) }, 'the socket failed');
  });
  return server;
}

/** Requests of a connection are answered one after the other; while one is worked on, nothing more is read. */
async function converse(socket: Socket, service: Served, log: Log): Promise<void> {
  try {
    for await (const line of lines(socket)) {
      const reply = await answer(line, service, log);
      if (!(await send(socket, reply))) break;
    }
    socket.end();
  } catch (error) {
    log.debug({ error: messageOf(error) }, 'a connection ended early');
  } finally {
    socket.destroySoon();
  }
}

/** Whole lines; `null` stands for one that was too long. Ends with the connection or at a line that does not come. */
async function* lines(socket: Socket): AsyncGenerator<Buffer | null, void> {
  let rest = Buffer.alloc(0);
  let skipping = false;
  const arm = (): NodeJS.Timeout =>
    setTimeout(() => {
      socket.destroy();
    }, lineTimeoutMs);
  let timer = arm();
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = piece.indexOf(0x0a); at >= 0; at = piece.indexOf(0x0a, from)) {
        const line = Buffer.concat([rest, piece.subarray(from, at)]);
        rest = Buffer.alloc(0);
        from = at + 1;
        if (skipping) {
          skipping = false;
          continue;
        }
        clearTimeout(timer);
        yield line.length > maxRequestBytes ? null : line;
        timer = arm();
      }
      if (skipping) continue;
      rest = Buffer.concat([rest, piece.subarray(from)]);
      if (rest.length <= maxRequestBytes) continue;
      rest = Buffer.alloc(0);
      skipping = true;
      yield null;
    }
  } finally {
    clearTimeout(timer);
  }
}

async function answer(line: Buffer | null, service: Served, log: Log): Promise<Reply> {
  if (line === null) {
    return refusal(null, 'too_large', `a request has at most ${maxRequestBytes} bytes`, service);
  }
  const json = parse(line);
  const request = requestSchema.safeParse(json);
  if (!request.success) {
    return refusal(idOf(json), 'bad_request', z.prettifyError(request.error).slice(0, 2_000), service);
  }
  const { id } = request.data;
  try {
    return await handle(request.data, service);
  } catch (error) {
    if (error instanceof Refused) return refusal(id, error.code, error.message, service);
    log.error({ error: messageOf(error), op: request.data.op }, 'a request failed');
    return refusal(id, 'internal', messageOf(error), service);
  }
}

async function handle(request: Request, service: Served): Promise<Reply> {
  const { id } = request;
  switch (request.op) {
    case 'status':
      return { id, ok: true, op: 'status', status: service.status() };
    case 'fence':
      return { id, ok: true, op: 'fence', maxFence: service.fence(request) };
    case 'start':
      return { id, ok: true, op: 'start', incarnation: await service.start(request) };
    case 'stop': {
      const { ifIncarnation, signal, waitMs, fence, by } = request;
      const ended = await service.stop(ifIncarnation, signal, waitMs, { fence, by });
      return { id, ok: true, op: 'stop', outcome: ended === null ? 'stopping' : 'stopped', ended };
    }
    case 'log':
      return { id, ok: true, op: 'log', log: service.logText(request.seq, request.maxBytes ?? maxLogBytes) };
  }
}

function refusal(id: Refusal['id'], code: Refusal['code'], message: string, service: Served): Refusal {
  return { id, ok: false, code, message, running: service.running, maxFence: service.maxFence };
}

/** false: the other side is gone or does not read. */
function send(socket: Socket, reply: Reply): Promise<boolean> {
  return new Promise((resolve) => {
    if (!socket.writable) {
      resolve(false);
      return;
    }
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(false);
    }, lineTimeoutMs);
    socket.write(`${JSON.stringify(reply)}\n`, (error) => {
      clearTimeout(timer);
      resolve(error == null);
    });
  });
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    return undefined;
  }
}

function idOf(json: unknown): Refusal['id'] {
  const found = z.object({ id: z.union([z.string().max(128), z.number().int().min(0)]) }).safeParse(json);
  return found.success ? found.data.id : null;
}
