// One request, one answer over the unix socket of a container engine. No retries, no connection that is kept.
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { codeOf, messageOf } from '../../exporter/runtime/errors.ts';
import { openUnixSocket } from './unix-socket.ts';

export type EngineAnswer =
  /** Not a byte of it was written. */
  | { readonly is: 'not_sent'; readonly code: string; readonly message: string }
  | {
      readonly is: 'answered';
      readonly status: number;
      readonly contentType: string;
      readonly body: Buffer;
    };

export interface EngineRequest {
  readonly socket: string;
  readonly method: 'GET' | 'POST';
  /** Made of validated parts only. */
  readonly path: string;
  /** A longer answer is given up. */
  readonly maxBytes: number;
}

/** @throws when no good answer came although the request may be on its way: what it did is not known. */
export async function engineRequest(wanted: EngineRequest, signal: AbortSignal): Promise<EngineAnswer> {
  let socket: Socket;
  try {
    socket = await openUnixSocket(wanted.socket, signal);
  } catch (error) {
    return { is: 'not_sent', code: codeOf(error) ?? 'not_sent', message: `no connection: ${messageOf(error)}` };
  }
  try {
    return await exchange(socket, wanted, signal);
  } finally {
    socket.destroy();
  }
}

function exchange(socket: Socket, wanted: EngineRequest, signal: AbortSignal): Promise<EngineAnswer> {
  return new Promise((resolve, reject) => {
    const finish = (done: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      done();
    };
    const fail = (error: Error): void => {
      finish(() => {
        reject(error);
      });
    };
    const onAbort = (): void => {
      fail(new Error('no answer before the deadline', { cause: signal.reason }));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) {
      onAbort();
      return;
    }
    const asked = request({
      createConnection: () => socket,
      method: wanted.method,
      path: wanted.path,
      // docker(1) names its socket so; an engine wants some host
      headers: { host: 'localhost', connection: 'close' },
    });
    asked.on('error', fail);
    asked.on('response', (response) => {
      readBody(response, wanted.maxBytes).then((answer) => {
        finish(() => {
          resolve(answer);
        });
      }, fail);
    });
    asked.end();
  });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<EngineAnswer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    size += piece.length;
    if (size > maxBytes) throw new Error('the answer is too long');
  }
  if (!response.complete) throw new Error('the connection ended within the answer');
  return {
    is: 'answered',
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? '',
    body: Buffer.concat(pieces),
  };
}
