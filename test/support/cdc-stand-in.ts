// Stands in for the CDC service, which is not to be had publicly, and for the page of Debezium: an HTTP server that
// answers what the test says, also what no sound service would.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Reply =
  | { readonly status?: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  | ((request: IncomingMessage, response: ServerResponse) => void);

/** Accepts and never answers, as a stopped process does. */
export const hangs: Reply = () => undefined;
/** Ends in the middle of an answer. */
export const cuts: Reply = (_request, response) => {
  response.writeHead(200, { 'content-length': '1000' });
  response.write('{"cdc": {"ingestTPS": 12');
  setImmediate(() => response.destroy());
};
/** An answer without an end. */
export const floods: Reply = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' });
  const chunk = 'cdc_flood{a="x"} 1\n'.repeat(3000);
  const more = (): void => {
    while (response.writable && response.write(chunk));
  };
  response.on('drain', more).on('error', () => undefined);
  more();
};

export function json(value: unknown, status = 200): Reply {
  return { status, body: JSON.stringify(value), headers: { 'content-type': 'application/json' } };
}

export function text(body: string): Reply {
  return { body, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } };
}

export interface StandIn {
  /** Of 127.0.0.1; the same after `listen`. */
  readonly port: number;
  readonly url: string;
  /** By path; what is not here is 404. */
  readonly replies: Map<string, Reply>;
  /** `path authorization` of each request. */
  readonly asked: string[];
  /** Nobody listens any more. */
  readonly close: () => Promise<void>;
  readonly listen: () => Promise<void>;
}

export async function startStandIn(): Promise<StandIn> {
  const replies = new Map<string, Reply>();
  const asked: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? '';
    asked.push(`${path} ${request.headers.authorization ?? '-'}`);
    const reply = replies.get(path) ?? { status: 404, body: 'not found' };
    if (typeof reply === 'function') {
      reply(request, response);
      return;
    }
    response.writeHead(reply.status ?? 200, reply.headers ?? {});
    response.end(reply.body ?? '');
  };
  let port = 0;
  let server: Server | undefined;
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server = createServer(answer);
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        port = (server?.address() as AddressInfo).port;
        resolve();
      });
    });
  await listen();
  return {
    get port() {
      return port;
    },
    get url() {
      return `http://127.0.0.1:${String(port)}`;
    },
    replies,
    asked,
    listen,
    close: () =>
      new Promise((resolve) => {
        server?.close(() => {
          resolve();
        });
        server?.closeAllConnections();
      }),
  };
}
