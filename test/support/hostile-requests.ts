// What scanners and attackers send. None of it may be answered with anything but a 4xx, or the end of the connection where
// no HTTP was spoken.
import type { Random } from './random.ts';

export interface Hostile {
  readonly name: string;
  /** A generator where it is large: nobody holds all of it. */
  readonly send: () => Iterable<string | Buffer>;
  /** No HTTP is spoken: the connection may end without an answer. */
  readonly notHttp?: boolean;
  /** So much that the connection may end before the answer is read. */
  readonly large?: boolean;
}

/** @param path a route that answers GET @param witness HOST:PORT that must never be connected to */
export function hostileRequests(path: string, witness: string): readonly Hostile[] {
  const line = (text: string): Hostile => ({
    name: text.slice(0, 60),
    send: () => [`${text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`],
  });
  const headed = (name: string, headers: string, method = 'GET'): Hostile => ({
    name,
    send: () => [`${method} ${path} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`],
  });
  const raw = (name: string, ...send: (string | Buffer)[]): Hostile => ({ name, send: () => send, notHttp: true });
  return [
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'M-SEARCH'].map((m) => line(`${m} ${path}`)),
    ...pathTricks(path).map((trick) => line(`GET ${trick}`)),
    line(`GET http://${witness}${path}`),
    line(`GET http://${witness}/`),
    line(`GET https://user:pw@${witness}${path}`),
    line(`GET //${witness}${path}`),
    line(`GET ${path}#x`),
    line('OPTIONS *'),
    line(`GET ${witness}`),
    headed('no Host', ''),
    headed('two Hosts', `Host: x\r\nHost: ${witness}\r\n`),
    headed('a Host with a user', `Host: user@${witness}\r\n`),
    headed('a Host with a path', `Host: ${witness}/x\r\n`),
    headed('a Host with a script', 'Host: <script>\r\n'),
    headed('a Host with a comma', `Host: x,${witness}\r\n`),
    { ...headed('a header of a megabyte', `Host: x\r\nX: ${'x'.repeat(1 << 20)}\r\n`), large: true },
    { ...headed('many headers', `Host: x\r\n${'A: b\r\n'.repeat(20_000)}`), large: true },
    headed('a folded header', 'Host: x\r\nA: b\r\n c: d\r\n'),
    headed('a header with a NUL', 'Host: x\r\nA: \0\r\n'),
    headed('a header with a bare CR', 'Host: x\r\nA: b\rc\r\n'),
    headed('both lengths', 'Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n', 'POST'),
    headed('two lengths', 'Host: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n', 'POST'),
    headed('a length below 0', 'Host: x\r\nContent-Length: -1\r\n', 'POST'),
    headed('chunks that do not come', 'Host: x\r\nTransfer-Encoding: chunked\r\n', 'POST'),
    headed('an expectation', 'Host: x\r\nExpect: the-unexpected\r\n'),
    headed('a body with a GET', 'Host: x\r\nContent-Length: 5\r\n'),
    { ...line(`GET /${'a'.repeat(1 << 20)}`), name: 'a path of a megabyte', large: true },
    { name: 'a body of 100 MB', send: () => largeBody(path), large: true },
    { name: 'a body of 100 MB to /-/reload', send: () => largeBody('/-/reload'), large: true },
    raw(`CONNECT ${witness}`, `CONNECT ${witness} HTTP/1.1\r\nHost: ${witness}\r\n\r\n`),
    raw('HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    raw('HTTP/9.9', `GET ${path} HTTP/9.9\r\nHost: x\r\n\r\n`),
    raw('SSH', 'SSH-2.0-Go\r\n'),
    raw('TLS hello', Buffer.from('160301002f0100002b0303', 'hex'), Buffer.alloc(64, 7)),
    raw('RDP', Buffer.from('030000130ee000000000000100080003000000', 'hex')),
    raw('SMB', Buffer.from('00000054ff534d4272000000001843c8', 'hex'), '\r\n\r\n'),
    raw('Redis', '*1\r\n$4\r\nPING\r\n'),
    raw('MySQL', Buffer.from('200000018fa20000', 'hex'), Buffer.alloc(64)),
    raw('PROXY protocol', `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`),
    raw('zeros', Buffer.alloc(1 << 16)),
    raw('ones', Buffer.alloc(1 << 16, 0xff)),
    raw('line ends', '\r\n'.repeat(1000), 'x\r\n\r\n'),
  ];
}

/** Other spellings of a path, which must not lead there. */
function pathTricks(path: string): readonly string[] {
  const tail = path === '/' ? 'x' : '';
  return [
    `${path}${tail}%zz`,
    `${path}%00`,
    `${path}%2e%2e%2f`,
    `${path}%c0%af`,
    `${path}\xc0\xaf`,
    `/${path}${tail}`,
    `${path}//`,
    `${path}${tail}/../..${path}`,
    `/../..${path}${tail}`,
    `/./${path.slice(1)}${tail}`,
    `${path};x=1`,
    `/\\${path.slice(1)}`,
    `/%5c${path.slice(1)}`,
    `/%2f${path.slice(1)}`,
    '/..%2f..%2fetc/passwd',
    '/../../../../etc/passwd',
    '/.git/config',
    '/.env',
    '/debug/pprof/',
    '/actuator/env',
    '/api/v1/admin/tsdb/snapshot',
    '/__proto__',
    '/constructor',
    '/-/quit',
    '/-/reload/',
    '/metrics/../-/reload',
  ];
}

function* largeBody(path: string): Generator<string | Buffer> {
  const part = Buffer.alloc(1 << 20, 'x');
  yield `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${String(100 * part.length)}\r\n\r\n`;
  for (let i = 0; i < 100; i++) yield part;
}

export interface RandomRequest {
  readonly text: string;
  readonly isHead: boolean;
}

const pieces = [
  '%zz',
  '%00',
  '%',
  '..',
  '/',
  '//',
  '\\',
  ';',
  '%2e',
  '%2f',
  'a',
  'Z',
  '\xff',
  '~',
  "'",
  '<',
  '{',
  '|',
  '$',
];
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'LOCK', 'GEX', 'get'];

/**
 * A request that must not succeed: a path that is none, a method that is none there, or a request that is broken.
 * @param routes all that answer GET @param parameters such as `?target=` whose values are names
 */
export function randomRequest(random: Random, routes: readonly string[], parameters: readonly string[]): RandomRequest {
  const pick = <T>(all: readonly T[]): T => {
    const one = all[Math.floor(random() * all.length)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  };
  const noise = (): string => Array.from({ length: 1 + Math.floor(random() * 6) }, () => pick(pieces)).join('');
  const route = pick(routes);
  const request = (method: string, path: string, more = ''): RandomRequest => ({
    text: `${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`,
    isHead: method === 'HEAD',
  });
  switch (Math.floor(random() * 6)) {
    case 0:
      return request(pick(methods.slice(2)), `${route}?${noise()}`);
    case 1:
      return request(pick(methods.slice(0, 2)), `${route}no${noise()}`);
    case 2:
      return request('GET', `${pick(parameters)}no${encodeURIComponent(noise())}`);
    case 3:
      return request('GET', `http://127.0.0.1:9/${route}`);
    case 4:
      return request('GET', route, `X: ${noise()}\0\r\n`);
    default:
      return request('GET', `/${noise()}no`, `Host: ${noise()}\r\n`);
  }
}
