// GET over HTTP, bounded and without redirects.
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import fetch from 'node-fetch';
import type { Call } from '../../collector.ts';
import type { Tls } from '../../fields.ts';
import { within } from '../../runtime/deadline.ts';
import { asTargetError, messageOf, TargetError } from '../../runtime/errors.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** GET on one server. Redirects are not followed: they would lead to an address that is not in the inventory. */
export interface HttpGetter {
  readonly url: string;
  /** @throws TargetError: refused, unreachable, deadline, tls, protocol (the answer is too large) */
  readonly get: (path: string, call: Call) => Promise<HttpAnswer>;
}

/** A stopped process (SIGSTOP) accepts connections and never answers: what else is asked must still be had in time. */
const requestMs = 2000;

/** Maxwell's /metrics with JVM metrics is about 20 kB. */
const maxBodyBytes = 4 * 1024 * 1024;

export function openHttp(url: string, tls: Tls | undefined): HttpGetter {
  return {
    url,
    get: async (path, call) => {
      const signal = within(requestMs, call.signal);
      const doing = `GET ${url}${path}`;
      // A connection per request: one that was kept would outlive a stopped process without a sign. Certificates are
      // read each time, so that a rotated one is taken.
      const agent = url.startsWith('https:')
        ? new HttpsAgent({ keepAlive: false, ...(await tlsOptions(tls)) })
        : new HttpAgent({ keepAlive: false });
      try {
        const response = await fetch(`${url}${path}`, { agent, signal, redirect: 'manual', size: maxBodyBytes });
        return { status: response.status, text: await response.text() };
      } catch (error) {
        if (error instanceof Error && 'type' in error && error.type === 'max-size') {
          throw new TargetError('protocol', `${doing}: the answer is larger than ${maxBodyBytes} bytes`);
        }
        throw asTargetError(error, doing);
      } finally {
        agent.destroy();
      }
    },
  };
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
