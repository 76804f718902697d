import type { RequestListener, Server, ServerOptions } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Shares, sharerOf } from './shares.ts';

// An import of it would read all that it exports, and with WebSocket load undici: a tenth of the start (seen on Node 24.21).
const { createServer } = process.getBuiltinModule('node:http');

/** A host and a port to listen on; without a host, all addresses of this machine. */
export interface TcpAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** Where to listen: TCP, or a unix socket that only its owner can open. */
export type ListenAddress = TcpAddress | { readonly path: string };

/** `127.0.0.1:9930`, `[::1]:9930`, `:9930`, `unix:/run/pipemedic/web.sock`; undefined when it is none of these. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, path] = /^unix:(\/[^\0]*[^\0/])$/.exec(text) ?? [];
  if (path !== undefined) return { path };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, ipv6, host, digits] = match;
  const port = Number(digits);
  const name = ipv6 ?? host ?? '';
  return port > 65_535 ? undefined : { host: name === '' ? undefined : name, port };
}

export interface ServerLimits {
  /** Until the headers are there. */
  readonly headersMs: number;
  /** Until the whole request is there, body included. */
  readonly requestMs: number;
  /** From the headers of a request until its answer has been taken. */
  readonly answerMs: number;
  /** So long, twice at most, nothing need be taken of an answer that is there. */
  readonly stalledMs: number;
  readonly keepAliveMs: number;
  readonly headerBytes: number;
  readonly requestsPerSocket: number;
  /** Requests of one connection that wait for their answers (pipelining). Nobody who asks for metrics does that. */
  readonly underWayPerSocket: number;
  readonly connections: number;
  /** Of one host. The rest is for the others. */
  readonly connectionsEach: number;
}

export const defaultServerLimits: ServerLimits = {
  headersMs: 10_000,
  requestMs: 15_000,
  // The longest scrape, and half a minute to take what it found.
  answerMs: 90_000,
  // Less than the usual scrape timeout, and more than a link needs that has lost some packets.
  stalledMs: 5000,
  // Longer than common scrape intervals, so that Prometheus can use its connection again.
  keepAliveMs: 65_000,
  headerBytes: 16 * 1024,
  requestsPerSocket: 1000,
  underWayPerSocket: 4,
  connections: 512,
  connectionsEach: 384,
};

/** What is set when a server is made; the other limits are set on it. */
export function optionsOf(limits: ServerLimits): ServerOptions {
  return {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headerBytes,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
    keepAlive: true, // of TCP: a machine that vanished is found out
  };
}

export function createHttpServer(listener: RequestListener, limits: ServerLimits = defaultServerLimits): Server {
  const server = createServer(optionsOf(limits), bounded(listener, limits));
  limitConnections(server, limits);
  return server;
}

/** What is beyond is told by 'drop', as Node tells it of `maxConnections`. */
export function limitConnections(server: Server | TlsServer, limits: ServerLimits): void {
  server.maxRequestsPerSocket = limits.requestsPerSocket;
  server.maxConnections = limits.connections;
  const shares = new Shares(limits.connectionsEach);
  server.prependListener('connection', (socket: Socket) => {
    const who = sharerOf(socket.remoteAddress);
    if (shares.isFull(who)) {
      socket.destroy();
      server.emit('drop', { remoteAddress: socket.remoteAddress });
      return;
    }
    socket.once('close', shares.take(who));
  });
}

/**
 * How much one connection may have under way, and for how long: Node reads on while answers wait, and waits for ever for
 * somebody who does not take one. The connection ends with what is beyond.
 */
export function bounded(listener: RequestListener, limits: ServerLimits): RequestListener {
  const underWay = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    if (socket.destroyed) return;
    const before = underWay.get(socket) ?? 0;
    if (before >= limits.underWayPerSocket) {
      socket.destroy();
      return;
    }
    underWay.set(socket, before + 1);
    const timer = setTimeout(() => {
      socket.destroy();
    }, limits.answerMs);
    // From the first part of an answer to its end. A write of which some has been taken meanwhile counts as life
    // (lib/net.js, Socket.prototype._onTimeout).
    const watch = (): void => {
      socket.setTimeout(limits.stalledMs);
    };
    response.once('prefinish', watch).once('pipe', watch);
    // Where all that there is yet has been taken, it is this program that is late: a machine that is busy, a large page.
    response.on('timeout', () => {
      if (socket.writableLength > 0) socket.destroy();
      else watch();
    });
    // Before Node's own listener, which begins the time for keeping alive, or the next answer.
    response.prependOnceListener('finish', () => {
      socket.setTimeout(0);
    });
    // An answer whose turn has not come says nothing when its connection ends.
    const over = (): void => {
      clearTimeout(timer);
      response.removeListener('close', over);
      socket.removeListener('close', over);
      underWay.set(socket, (underWay.get(socket) ?? 1) - 1);
    };
    response.once('close', over);
    socket.once('close', over);
    // Answered before its body was there: the rest is not read, however much it is.
    response.once('finish', () => {
      if (!request.complete) socket.destroySoon();
    });
    listener(request, response);
  };
}

/** Resolves with the address in use (a port of 0 has become a real one). @throws what the system says, EADDRINUSE first of all */
export function listen(server: Server | TlsServer, { host, port }: TcpAddress): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.removeListener('error', reject);
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('the server has no port'));
      else resolve(address);
    });
  });
}

/** Takes no more requests, lets those that run end within `graceMs`, then cuts them off. */
export async function closeServer(server: Server | TlsServer, graceMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  // Also those whose last request ends from now on: nobody else would end them.
  server.closeIdleConnections();
  const idle = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}
