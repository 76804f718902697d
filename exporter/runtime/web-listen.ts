// All the addresses that a program serves at. Each has a server of its own, with the same routes and the same gate behind it.
import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import { closeServer, listen, type ListenAddress } from './http.ts';
import { listenOnPath } from './unix-socket.ts';

/** An address in use: a port of 0 has become a real one. */
export interface Bound {
  /** As it may be given to --web.listen-address. */
  readonly text: string;
  /** Undefined for a unix socket. */
  readonly port: number | undefined;
}

export interface Listening {
  readonly addresses: readonly Bound[];
  /** Takes no more requests, lets those that run end within `graceMs`, then cuts them off. */
  readonly close: (graceMs: number) => Promise<void>;
}

/**
 * All of the addresses, or none.
 * @param make a server that does not listen yet
 * @param failed called with what goes wrong with one of them later
 * @throws ConfigError, and what the system says, EADDRINUSE first of all
 */
export async function listenAll(
  make: () => Server | TlsServer,
  addresses: readonly ListenAddress[],
  failed: (error: Error) => void,
): Promise<Listening> {
  const servers: (Server | TlsServer)[] = [];
  const close = async (graceMs: number): Promise<void> => {
    await Promise.all(servers.map((server) => closeServer(server, graceMs)));
  };
  const bound: Bound[] = [];
  try {
    for (const address of addresses) {
      const server = make();
      servers.push(server);
      bound.push(await bind(server, address));
      server.on('error', failed);
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  return { addresses: bound, close };
}

async function bind(server: Server | TlsServer, address: ListenAddress): Promise<Bound> {
  if ('path' in address) {
    await listenOnPath(server, address.path);
    return { text: `unix:${address.path}`, port: undefined };
  }
  const { address: host, port } = await listen(server, address);
  return { text: `${host.includes(':') ? `[${host}]` : host}:${String(port)}`, port };
}
