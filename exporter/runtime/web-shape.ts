// What no client of ours sends: requests that are meant for a proxy, or that two readers would understand differently.
import type { IncomingMessage, RequestListener } from 'node:http';

/** A name, an address or nothing, and a port; never a user. Underscores: Docker and Kubernetes have such names. */
const hostAndPort = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)?(?::\d{1,5})?$/;

/** Answers such requests with 400 or 413, before anybody is asked for a password. */
export function wellFormed(inner: RequestListener): RequestListener {
  return (request, response) => {
    const { method = '' } = request;
    const isBodyOfNone = (method === 'GET' || method === 'HEAD') && bringsBody(request);
    const why = isBodyOfNone ? 'no body is taken here' : shapeFault(request);
    if (why === undefined) {
      inner(request, response);
      return;
    }
    response.statusCode = isBodyOfNone ? 413 : 400;
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Connection', 'close');
    response.end(`${why}\n`);
  };
}

export function bringsBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** @returns what is wrong with the request line or the Host header */
function shapeFault({ url = '', rawHeaders, headers }: IncomingMessage): string | undefined {
  if (!url.startsWith('/')) return 'a path is wanted: this is no proxy';
  // A fragment never leaves a browser, a backslash is a slash to some readers, also one that is written as %5c.
  if (/[#\\]|^[^?]*%5c/i.test(url)) return 'the path has a character that is not allowed there';
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) return 'one Host header is wanted';
  if (!hostAndPort.test(headers.host ?? '')) return 'the Host header is no HOST:PORT';
  return undefined;
}

/** Of this server, as whoever asks reaches it; undefined where no Host says it and a unix socket was asked. */
export function addressOf({ headers, socket }: IncomingMessage): string | undefined {
  if (headers.host !== undefined && /^[^:]/.test(headers.host)) return headers.host;
  const { localAddress, localPort } = socket;
  if (localAddress === undefined || localPort === undefined) return undefined;
  return `${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${String(localPort)}`;
}
