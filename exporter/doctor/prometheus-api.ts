// Prometheus' HTTP API, read only. Source: Prometheus' documentation, "HTTP API"; seen on 2.42.0.
import { z } from 'zod';
import type { Call } from '../collector.ts';
import type { Auth, Tls } from '../fields.ts';
import { asTargetError, messageOf, TargetError } from '../runtime/errors.ts';
import { known, unknown, type Known } from '../runtime/known.ts';
import { openHttp, type HttpClient } from '../systems/jvm/facts-fetch.ts';

/** Where it is, and who asks. The URL holds no credentials. */
export interface PrometheusAddress {
  readonly url: string;
  readonly auth: Auth | undefined;
  readonly tls: Tls | undefined;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PrometheusApi {
  /** What stands under `data` in the answer. @throws TargetError */
  readonly get: <T>(path: string, data: z.ZodType<T>, call: Call) => Promise<T>;
  /** An instant vector, now. @throws TargetError */
  readonly query: (expression: string, call: Call) => Promise<readonly Series[]>;
}

const requestMs = 8000;
/** One active target takes about 1 kB: enough for a server of 60,000. */
const bodyBytes = 64 * 1024 * 1024;

const envelope = z.object({ status: z.string(), data: z.unknown().optional(), error: z.string().optional() });

const vector = z.object({
  resultType: z.literal('vector'),
  result: z.array(
    z.object({
      metric: z.record(z.string(), z.string()),
      value: z.tuple([z.number(), z.string().transform(Number)]),
    }),
  ),
});

export function openPrometheus({ url, auth, tls }: PrometheusAddress): PrometheusApi {
  const http = openHttp(url, tls, auth, { timeoutMs: requestMs, bodyBytes });
  const get: PrometheusApi['get'] = async (path, data, call) => {
    const parsed = data.safeParse(await ask(http, path, call));
    if (parsed.success) return parsed.data;
    throw new TargetError('protocol', `${url}${nameOf(path)}: an answer of another shape than Prometheus' own`);
  };
  return {
    get,
    query: async (expression, call) => {
      const found = await get(`/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`, vector, call);
      return found.result.map(({ metric, value: [, value] }) => ({ labels: metric, value }));
    },
  };
}

async function ask(http: HttpClient, path: string, call: Call): Promise<unknown> {
  const doing = `${http.url}${nameOf(path)}`;
  const { status, text } = await http.get(path, call).catch((error: unknown) => {
    throw asTargetError(error, doing);
  });
  if (status === 401) throw new TargetError('auth', `${doing}: 401, it wants other credentials, or some`);
  if (status === 403) throw new TargetError('denied', `${doing}: 403, it is not allowed with these credentials`);
  if (status >= 300 && status < 400)
    throw new TargetError('failed', `${doing}: a redirect (${status}) is not followed`);
  let answer: z.output<typeof envelope>;
  try {
    answer = envelope.parse(JSON.parse(text));
  } catch (error) {
    const code = status === 404 || status === 405 ? 'unsupported' : 'protocol';
    const said = status === 200 ? 'no answer of a Prometheus API' : `${status}, and no answer of a Prometheus API`;
    throw new TargetError(code, `${doing}: ${said}`, { cause: error });
  }
  if (answer.status === 'success') return answer.data;
  throw new TargetError('failed', `${doing}: ${(answer.error ?? `status ${status}`).slice(0, 300)}`);
}

/** Without the parameters, which may be long. */
function nameOf(path: string): string {
  return path.split('?')[0] ?? path;
}

/** What cannot be asked is unknown, with the reason; the rest of the examination goes on. */
export async function askKnown<T>(call: Call, work: () => Promise<T>): Promise<Known<T>> {
  try {
    return known(await work(), call.clock.wallMs());
  } catch (error) {
    if (error instanceof TargetError) return unknown(messageOf(error));
    throw error;
  }
}
