// One GET of the service, and what its answer is worth. Versions differ in which of them they have.
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { HttpAnswer, HttpGetter } from '../jvm/facts-fetch.ts';

/** missing: the server says that it has no such thing, which is no error. */
export type Endpoint<T> =
  { readonly state: 'ok'; readonly value: T } | { readonly state: 'missing' | 'not_configured'; readonly why: string };

export const endpointStates = ['ok', 'missing', 'not_configured', 'failed'] as const;
export type EndpointState = (typeof endpointStates)[number];

export const endpoints = {
  health: '/health',
  status: '/status',
  components: '/api/health/detailed',
  ddlAlerts: '/api/ddl/alerts',
  ddlHistory: '/api/ddl/history',
} as const;

/**
 * @param parse of an answer with status 2xx, or with one of `also`
 * @throws TargetError as HttpGetter.get does; auth, denied, failed (5xx), protocol (a redirect, or no sense)
 */
export async function readEndpoint<T>(
  http: HttpGetter | undefined,
  path: string,
  call: Call,
  parse: (answer: HttpAnswer) => T | Promise<T>,
  also: readonly number[] = [],
): Promise<Endpoint<T>> {
  if (http === undefined) return { state: 'not_configured', why: 'it is not in the inventory' };
  const answer = await http.get(path, call);
  const { status } = answer;
  const at = `GET ${http.url}${path}`;
  if (status === 404 || status === 410) return { state: 'missing', why: `${at}: there is none (status ${status})` };
  if (status === 401) throw new TargetError('auth', `${at}: status 401: set auth`);
  if (status === 403) throw new TargetError('denied', `${at}: status 403`);
  if ((status >= 200 && status < 300) || also.includes(status)) return { state: 'ok', value: await parse(answer) };
  const redirected = status >= 300 && status < 400;
  throw new TargetError(
    redirected ? 'protocol' : 'failed',
    `${at}: status ${status}${redirected ? ': redirects are not followed, set the URL that it leads to' : ''}`,
  );
}

/** @throws TargetError `protocol`, without what was answered */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text.
    throw new TargetError('protocol', `the answer of ${text.length} characters is no JSON`, {
      cause: error instanceof Error ? error.name : undefined,
    });
  }
}

/** @throws TargetError `protocol` for anything but an object */
export function jsonObjectOf(text: string): Readonly<Record<string, unknown>> {
  const value = jsonOf(text);
  if (isObject(value)) return value;
  throw new TargetError('protocol', 'the answer is JSON, but no object');
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `{a: {b: 1}}` or `{"a.b": 1}`. Own keys only. */
export function fieldOf(value: unknown, path: string): unknown {
  if (!isObject(value)) return undefined;
  if (Object.hasOwn(value, path)) return value[path];
  const dot = path.indexOf('.');
  if (dot < 0 || !Object.hasOwn(value, path.slice(0, dot))) return undefined;
  return fieldOf(value[path.slice(0, dot)], path.slice(dot + 1));
}
