// Alertmanager's API v2, of one peer: which alerts it has, and posting our own.
// Source: api/v2/openapi.yaml of prometheus/alertmanager; seen on 0.25.0.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import fetch, { type Response } from 'node-fetch';
import { z } from 'zod';
import { until, within } from '../exporter/runtime/deadline.ts';
import { asTargetError, TargetError } from '../exporter/runtime/errors.ts';
import { readSecret } from '../exporter/runtime/secrets.ts';
import { readTlsFiles } from '../exporter/runtime/tls-files.ts';
import type { Peer } from './settings.ts';

const maxReplyBytes = 16 * 1024 * 1024;

const listed = z.array(
  z.object({
    labels: z.record(z.string(), z.string()),
    startsAt: z.string().transform((t) => Date.parse(t)),
    status: z.object({
      /** `unprocessed`: neither silences nor inhibitions were looked at yet */
      state: z.enum(['active', 'suppressed', 'unprocessed']),
      silencedBy: z.array(z.string()),
      inhibitedBy: z.array(z.string()),
    }),
  }),
);
export type ListedAlert = z.output<typeof listed>[number];

export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

export interface AlertmanagerClient extends Disposable {
  /** Without user information; for logs. */
  readonly url: string;
  /** Active, silenced and inhibited ones; `matchers` narrow it down. @throws TargetError */
  readonly alerts: (
    matchers: readonly string[],
    signal: AbortSignal,
  ) => Promise<{ readonly alerts: readonly ListedAlert[]; readonly dateMs: number | undefined }>;
  /** @throws TargetError unless all of them were taken */
  readonly post: (alerts: readonly PostedAlert[], signal: AbortSignal) => Promise<void>;
}

export async function openAlertmanager(peer: Peer): Promise<AlertmanagerClient> {
  const agent = await agentOf(peer);
  const ask = async (
    path: string,
    init: { readonly method: 'GET' | 'POST'; readonly body?: string },
    signal: AbortSignal,
  ): Promise<{ response: Response; text: string }> => {
    const limit = within(10_000, signal);
    const doing = `${peer.url} ${init.method} ${path.split('?')[0] ?? ''}`;
    const exchange = async (): Promise<{ response: Response; text: string }> => {
      const response = await fetch(`${peer.url}/api/v2/${path}`, {
        ...init,
        headers: {
          ...(await authorization(peer.auth)),
          'Content-Type': 'application/json',
          Accept: 'application/json',
        },
        // Followed, a POST would become a GET, and the credentials could go to somebody else.
        redirect: 'manual',
        size: maxReplyBytes,
        signal: limit,
        agent,
      });
      return { response, text: await response.text() };
    };
    try {
      // the file of a secret may be on a mount that hangs
      return await until(limit, doing, exchange());
    } catch (error) {
      throw asTargetError(error, doing);
    }
  };
  const checked = ({ response, text }: { response: Response; text: string }): string => {
    if (response.ok) return text;
    const code = response.status === 401 || response.status === 403 ? 'auth' : 'failed';
    throw new TargetError(code, `${peer.url} answered ${response.status}: ${text.trim().slice(0, 200)}`);
  };
  return {
    url: peer.url,
    alerts: async (matchers, signal) => {
      const query = new URLSearchParams([
        ...['active', 'silenced', 'inhibited', 'unprocessed'].map((k): [string, string] => [k, 'true']),
        ...matchers.map((m): [string, string] => ['filter', m]),
      ]);
      const reply = await ask(`alerts?${query.toString()}`, { method: 'GET' }, signal);
      const parsed = listed.safeParse(jsonOf(checked(reply)));
      if (!parsed.success)
        throw new TargetError('protocol', `${peer.url}: not a list of alerts. Is it an Alertmanager?`);
      const dateMs = Date.parse(reply.response.headers.get('date') ?? '');
      return { alerts: parsed.data, dateMs: Number.isNaN(dateMs) ? undefined : dateMs };
    },
    post: async (alerts, signal) => {
      checked(await ask('alerts', { method: 'POST', body: JSON.stringify(alerts) }, signal));
    },
    [Symbol.dispose]: () => {
      agent.destroy();
    },
  };
}

/** Read at each use: a rotated secret is taken without a restart. */
async function authorization(auth: Peer['auth']): Promise<Record<string, string>> {
  if (auth === undefined) return {};
  if (auth.is === 'bearer') {
    const token = await readSecret({ password_file: auth.tokenFile });
    return { Authorization: `Bearer ${token ?? ''}` };
  }
  const password = await readSecret({ password_file: auth.passwordFile });
  return { Authorization: `Basic ${Buffer.from(`${auth.user}:${password ?? ''}`).toString('base64')}` };
}

async function agentOf({ url, tls }: Peer): Promise<HttpAgent | HttpsAgent> {
  const common = { keepAlive: true, maxSockets: 4 };
  if (!url.startsWith('https:')) return new HttpAgent(common);
  const { server_name: servername } = tls ?? {};
  return new HttpsAgent({
    ...common,
    ...(await readTlsFiles(tls ?? {})),
    ...(servername === undefined ? {} : { servername }),
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
