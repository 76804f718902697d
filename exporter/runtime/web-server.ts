// An HTTP server behind the web configuration: TLS or not, certificates as they are now, the gate before the routes.
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { TLSSocket } from 'node:tls';
import {
  bounded,
  createHttpServer,
  defaultServerLimits,
  limitConnections,
  optionsOf,
  type ServerLimits,
} from './http.ts';
import { asksForCertificate, openWebConfig, type WebConfig } from './web-config.ts';
import { clientFault } from './web-config-tls.ts';
import { createGate, nobodyKnown, type Caller } from './web-gate.ts';
import { wellFormed } from './web-shape.ts';
import type { Log } from './log.ts';

export interface Web extends AsyncDisposable {
  readonly config: WebConfig | undefined;
  readonly server: (listener: RequestListener, options?: ServerOptions) => Server | TlsServer;
  readonly callerOf: (request: IncomingMessage) => Caller;
}

interface ServerOptions {
  readonly limits?: ServerLimits;
  /** Requests whose route asks for credentials of its own: without Basic ones they pass the gate. */
  readonly ownAuth?: (request: IncomingMessage) => boolean;
}

/** @param file undefined: plain HTTP, everybody may come in. @throws ConfigError */
export function openWeb(file: string | undefined, log: Log): Web {
  const crowded = quietly(log, 'a connection was refused: too many are open');
  if (file === undefined) {
    return {
      config: undefined,
      server: (listener, { limits = defaultServerLimits } = {}) =>
        createHttpServer(wellFormed(listener), limits).on('drop', crowded),
      callerOf: () => nobodyKnown,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const config = openWebConfig(file, (problem) => {
    if (problem === undefined) log.info({ file }, 'the web configuration is well again');
    else log.error({ file, why: problem }, 'the web configuration cannot be used as it is now');
  });
  const gate = createGate(config);
  return {
    config,
    server: (listener, { limits = defaultServerLimits, ownAuth } = {}) => {
      const guarded = wellFormed(gate.guard(listener, ownAuth));
      const server =
        config.now().secure === undefined
          ? createHttpServer(guarded, limits)
          : createSecureServer(config, guarded, limits, log);
      return server.on('drop', crowded);
    },
    callerOf: gate.callerOf,
    [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose](),
  };
}

function createSecureServer(config: WebConfig, listener: RequestListener, limits: ServerLimits, log: Log): TlsServer {
  let { secure } = config.now();
  const server = createTlsServer(
    {
      ...optionsOf(limits),
      ...secure?.context,
      handshakeTimeout: limits.headersMs,
      requestCert: asksForCertificate(secure?.tls),
      // Decided below: the types of client_auth_type are more than these two.
      rejectUnauthorized: false,
    },
    bounded(listener, limits),
  );
  limitConnections(server, limits);
  // Before the handshake of each connection begins.
  server.prependListener('connection', () => {
    const now = config.now().secure;
    if (now === undefined || now === secure) return;
    secure = now;
    server.setSecureContext(now.context);
  });
  const turnedAway = quietly(log, 'a client was turned away');
  // Before the HTTP parser gets the connection.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    const tls = config.now().secure?.tls;
    const fault = tls === undefined ? 'no TLS' : clientFault(socket, tls);
    if (fault === undefined) return;
    turnedAway({ from: socket.remoteAddress, why: fault });
    socket.destroy();
  });
  return server;
}

/** At most once a minute, with how many were held back. */
function quietly(log: Log, message: string): (fields?: object) => void {
  let lastMs = -Infinity;
  let heldBack = 0;
  return (fields) => {
    if (performance.now() - lastMs < 60_000) {
      heldBack += 1;
      return;
    }
    log.warn({ ...fields, heldBack }, message);
    lastMs = performance.now();
    heldBack = 0;
  };
}
