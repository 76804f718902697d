// HTTP, bounded and without redirects.
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import fetch, { type RequestInit } from 'node-fetch';
import type { Call } from '../../collector.ts';
import type { Auth, Tls } from '../../fields.ts';
import { answerBudget } from '../../runtime/answer-budget.ts';
import { within } from '../../runtime/deadline.ts';
import { asTargetError, messageOf, TargetError } from '../../runtime/errors.ts';
import { readSecret } from '../../runtime/secrets.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly contentType?: string | undefined;
}

/** GET on one server. Redirects are not followed: they would lead to an address that is not in the inventory. */
export interface HttpGetter {
  /** For people: without what its query says. */
  readonly url: string;
  /** @throws TargetError: refused, unreachable, deadline, tls, protocol (the answer is too large) */
  readonly get: (path: string, call: Call) => Promise<HttpAnswer>;
}

/** Asks with the target's credentials, when it has any. */
export interface HttpClient extends HttpGetter {
  /** A question that needs a body (JSON); it changes nothing on the server. */
  readonly post: (path: string, body: string, call: Call) => Promise<HttpAnswer>;
}

/** A stopped process (SIGSTOP) accepts connections and never answers: what else is asked must still be had in time. */
const requestMs = 2000;

/** Maxwell's /metrics with JVM metrics is about 20 kB. */
const maxBodyBytes = 4 * 1024 * 1024;

interface HttpLimits {
  readonly timeoutMs?: number;
  readonly bodyBytes?: number;
}

export function openHttp(url: string, tls: Tls | undefined, auth?: Auth, limits: HttpLimits = {}): HttpClient {
  const { timeoutMs = requestMs, bodyBytes = maxBodyBytes } = limits;
  // Some pages want a token there, and what goes wrong is logged and shown.
  const [place = '', query] = url.split(/\?(.*)/s, 2);
  const shown = query === undefined ? url : `${place}?…`;
  const request = async (path: string, call: Call, init: RequestInit): Promise<HttpAnswer> => {
    const signal = within(timeoutMs, call.signal);
    const doing = `${init.method ?? 'GET'} ${shown}${path}`;
    const authorization = await authorizationOf(auth);
    // A connection per request: one that was kept would outlive a stopped process without a sign. Certificates are
    // read each time, so that a rotated one is taken.
    const agent = url.startsWith('https:')
      ? new HttpsAgent({ keepAlive: false, ...(await tlsOptions(tls)) })
      : new HttpAgent({ keepAlive: false });
    const held = answerBudget.begin();
    let full: TargetError | undefined;
    try {
      const response = await fetch(`${url}${path}`, {
        ...init,
        headers: { ...accept, ...json(init), ...authorization },
        agent,
        signal,
        redirect: 'manual',
        size: bodyBytes,
      });
      const { body } = response;
      // Before the reader's own, and it does not make the body flow.
      body?.prependListener('data', (chunk: Buffer) => {
        full ??= held.add(chunk.length);
        if (full !== undefined && body instanceof Readable) body.destroy(full);
      });
      const contentType = response.headers.get('content-type') ?? undefined;
      return { status: response.status, text: await response.text(), contentType };
    } catch (error) {
      if (full !== undefined) throw new TargetError(full.code, `${doing}: ${full.message}`, { cause: full });
      if (error instanceof Error && 'type' in error && error.type === 'max-size') {
        throw new TargetError('protocol', `${doing}: the answer is larger than ${bodyBytes} bytes`);
      }
      const failure = asTargetError(error, doing);
      if (query === undefined) throw failure;
      throw new TargetError(failure.code, failure.message.replaceAll(/(https?:\/\/[^\s?]*\?)(?!…)\S*/g, '$1…')); // node-fetch names the URL
    } finally {
      held.end();
      agent.destroy();
    }
  };
  return {
    url: shown,
    get: (path, call) => request(path, call, { method: 'GET' }),
    post: (path, body, call) => request(path, call, { method: 'POST', body }),
  };
}

// Of the formats of Prometheus; servers of others do not look at it.
const accept = { accept: 'text/plain;version=0.0.4, */*;q=0.1' };

function json({ body }: RequestInit): Record<string, string> {
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

/** A user has a password; a secret without a user is a token. Read each time, so that a rotated one is taken. */
async function authorizationOf(auth: Auth | undefined): Promise<Record<string, string>> {
  const secret = auth === undefined ? undefined : await readSecret(auth);
  if (auth?.user !== undefined) {
    const pair = Buffer.from(`${auth.user}:${secret ?? ''}`).toString('base64');
    return { authorization: `Basic ${pair}` };
  }
  return secret === undefined ? {} : { authorization: `Bearer ${secret}` };
}

async function tlsOptions(tls: Tls | undefined): Promise<Record<string, Buffer | string>> {
  const files = { ca: tls?.ca_file, cert: tls?.cert_file, key: tls?.key_file };
  const options: Record<string, Buffer | string> = {};
  for (const [name, file] of Object.entries(files)) {
    if (file === undefined) continue;
    options[name] = await readFile(file).catch((error: unknown) => {
      throw new TargetError('secret', `${file} cannot be read: ${messageOf(error)}`, { cause: error });
    });
  }
  if (tls?.server_name !== undefined) options['servername'] = tls.server_name;
  return options;
}
