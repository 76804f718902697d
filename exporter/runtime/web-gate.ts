// Who may come in, by the web configuration: before any route is looked at.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { createPasswords } from './web-passwords.ts';
import { clientFault, verifiedNames } from './web-config-tls.ts';
import type { WebConfig, WebState } from './web-config.ts';

/** Who a request is from, as far as the web configuration can tell. */
export interface Caller {
  /** of basic_auth_users, with the right password */
  readonly user: string | undefined;
  /** in the verified certificate */
  readonly certificateNames: readonly string[];
}

export const nobodyKnown: Caller = { user: undefined, certificateNames: [] };

export interface Gate extends AsyncDisposable {
  /** @param ownAuth requests whose route asks for credentials of its own, when they bring no Basic ones */
  readonly guard: (inner: RequestListener, ownAuth?: (request: IncomingMessage) => boolean) => RequestListener;
  readonly callerOf: (request: IncomingMessage) => Caller;
}

type Verdict =
  | { readonly in: true; readonly caller: Caller }
  | { readonly in: false; readonly status: number; readonly why: string };

export function createGate(web: WebConfig, monoMs: () => number = () => performance.now()): Gate {
  const passwords = createPasswords();
  const callers = new WeakMap<IncomingMessage, Caller>();
  const bucket = tokenBucket(monoMs);

  const judge = async (request: IncomingMessage, hasOwn: boolean): Promise<Verdict> => {
    const { document, fault, secure } = web.now();
    if (fault !== undefined)
      return { in: false, status: 500, why: 'the web configuration cannot be used; see the log' };
    if (!bucket(document.rate_limit)) return { in: false, status: 429, why: 'too many requests' };
    const { socket } = request;
    const certificateNames = socket instanceof TLSSocket ? verifiedNames(socket, secure?.context) : [];
    const users = document.basic_auth_users;
    const given = basicIn(request.headers.authorization);
    if (Object.keys(users).length === 0 || (hasOwn && given === undefined)) {
      return { in: true, caller: { user: undefined, certificateNames } };
    }
    if (given === undefined) return { in: false, status: 401, why: 'a user and a password are wanted' };
    const verdict = await passwords.check(given.user, given.password, users);
    if (verdict === 'right') return { in: true, caller: { user: given.user, certificateNames } };
    if (verdict === 'wrong') return { in: false, status: 401, why: 'the user or the password is wrong' };
    return { in: false, status: 503, why: 'too many passwords are being checked' };
  };

  return {
    guard: (inner, ownAuth = () => false) => {
      const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
        const verdict = await judge(request, ownAuth(request));
        if (!verdict.in) {
          refuse(request, response, verdict.status, verdict.why);
          return;
        }
        callers.set(request, verdict.caller);
        setHeaders(response, web.now());
        inner(request, response);
      };
      return (request, response) => {
        const fault = socketFault(request, web.now());
        if (fault !== undefined) {
          request.socket.destroy();
          return;
        }
        pass(request, response).catch(() => {
          if (response.headersSent) response.destroy();
          else refuse(request, response, 500, 'internal error');
        });
      };
    },
    callerOf: (request) => callers.get(request) ?? nobodyKnown,
    [Symbol.asyncDispose]: () => passwords[Symbol.asyncDispose](),
  };
}

/** Also for a connection that was open when the file changed. */
function socketFault({ socket }: IncomingMessage, { secure }: WebState): string | undefined {
  if (secure === undefined) return undefined;
  return socket instanceof TLSSocket ? clientFault(socket, secure.tls) : 'no TLS';
}

function setHeaders(response: ServerResponse, { document }: WebState): void {
  for (const [name, value] of Object.entries(document.http_server_config?.headers ?? {})) {
    if (value !== undefined && value !== '') response.setHeader(name, value);
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number, why: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  if (status === 401) response.setHeader('WWW-Authenticate', 'Basic realm="pipemedic", charset="UTF-8"');
  // what is left of the body is not read
  if (!request.complete) response.setHeader('Connection', 'close');
  response.end(`${why}\n`);
}

/** Without a colon there is no password, and nobody has that name. */
function basicIn(authorization: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function tokenBucket(monoMs: () => number): (limit: { interval: number; burst: number } | undefined) => boolean {
  let tokens = Infinity; // full at first
  let atMs = monoMs();
  return (limit) => {
    if (limit === undefined || limit.interval === 0) return true;
    const now = monoMs();
    tokens = Math.min(limit.burst, tokens + (now - atMs) / limit.interval);
    atMs = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}
