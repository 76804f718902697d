import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** An address to listen on; without a host, all of them. */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** `127.0.0.1:9930`, `[::1]:9930`, `:9930`; undefined when it is none of these. */
export function parseListenAddress(text: string): ListenAddress | undefined {
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
  readonly keepAliveMs: number;
  readonly headerBytes: number;
  readonly requestsPerSocket: number;
  readonly connections: number;
}

export const defaultServerLimits: ServerLimits = {
  headersMs: 10_000,
  requestMs: 15_000,
  // Longer than common scrape intervals, so that Prometheus can use its connection again.
  keepAliveMs: 65_000,
  headerBytes: 16 * 1024,
  requestsPerSocket: 1000,
  connections: 512,
};

/** What is set when a server is made; the other limits are set on it. */
export function optionsOf(limits: ServerLimits): ServerOptions {
  return {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headerBytes,
    connectionsCheckingInterval: Math.min(5000, limits.headersMs),
  };
}

export function createHttpServer(listener: RequestListener, limits: ServerLimits = defaultServerLimits): Server {
  const server = createServer(optionsOf(limits), listener);
  server.maxRequestsPerSocket = limits.requestsPerSocket;
  server.maxConnections = limits.connections;
  return server;
}

/** Resolves with the address in use (a port of 0 has become a real one). @throws what the system says, EADDRINUSE first of all */
export function listen(server: Server | TlsServer, { host, port }: ListenAddress): Promise<AddressInfo> {
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
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, graceMs);
  await closed;
  clearTimeout(timer);
}
