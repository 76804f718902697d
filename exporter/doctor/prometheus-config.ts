// How `doctor` logs in to Prometheus: a file as Prometheus itself and promtool (--http.config.file) read it, or the
// environment. Secrets are named, never held here, and never stand in the URL.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { z } from 'zod';
import type { Auth, Tls } from '../fields.ts';
import { ConfigError, messageOf } from '../runtime/errors.ts';
import { yamlProblem } from '../runtime/yaml-problem.ts';
import type { PrometheusAddress } from './prometheus-api.ts';

export const userVariable = 'PIPEMEDIC_PROMETHEUS_USER';
export const passwordVariable = 'PIPEMEDIC_PROMETHEUS_PASSWORD';
export const tokenVariable = 'PIPEMEDIC_PROMETHEUS_TOKEN';

const secretInFile = (name: string): z.ZodType<undefined> =>
  z.undefined(`the secret itself does not stand here: put it in a file and name it by ${name}`).optional();

const httpConfig = z
  .strictObject({
    basic_auth: z
      .strictObject({
        username: z.string().min(1),
        password_file: z.string().min(1).optional(),
        password: secretInFile('password_file'),
      })
      .optional(),
    authorization: z
      .strictObject({
        type: z.literal('Bearer', 'Bearer, or leave it out').optional(),
        credentials_file: z.string().min(1),
        credentials: secretInFile('credentials_file'),
      })
      .optional(),
    tls_config: z
      .strictObject({
        ca_file: z.string().min(1).optional(),
        cert_file: z.string().min(1).optional(),
        key_file: z.string().min(1).optional(),
        server_name: z.string().min(1).optional(),
      })
      .optional(),
  })
  .refine((c) => c.basic_auth === undefined || c.authorization === undefined, 'basic_auth or authorization, not both');

/**
 * @param url as given on the command line
 * @param file of `--prometheus.config.file`
 * @throws ConfigError that never repeats the URL: somebody may have put a password there
 */
export async function prometheusAddress(
  url: string,
  file: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<PrometheusAddress> {
  const parsed = URL.parse(url);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) {
    throw new ConfigError('--prometheus.url', ['no http or https URL. Give it such as http://127.0.0.1:9090']);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new ConfigError('--prometheus.url', [
      `a user or password stands in the URL. Put them in --prometheus.config.file, or in ${userVariable} and ${passwordVariable}`,
    ]);
  }
  if (parsed.search !== '' || parsed.hash !== '') {
    throw new ConfigError('--prometheus.url', ['a query or fragment. Give scheme, host, port and path prefix only']);
  }
  const written = file === undefined ? undefined : await readHttpConfig(file);
  return {
    url: `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, ''),
    auth: written?.auth ?? authOfEnvironment(env),
    tls: written?.tls,
  };
}

function authOfEnvironment(env: NodeJS.ProcessEnv): Auth | undefined {
  const user = env[userVariable];
  if (env[tokenVariable] !== undefined) {
    if (user === undefined) return { password_env: tokenVariable };
    throw new ConfigError('the environment', [`${tokenVariable} and ${userVariable} are both set. Keep one of them`]);
  }
  return user === undefined ? undefined : { user, password_env: passwordVariable };
}

async function readHttpConfig(file: string): Promise<{ auth: Auth | undefined; tls: Tls | undefined }> {
  let document: unknown;
  try {
    document = load(await readFile(file, 'utf8'), { filename: file });
  } catch (error) {
    throw new ConfigError(file, [yamlProblem(error) ?? messageOf(error)]);
  }
  const parsed = httpConfig.safeParse(document);
  if (!parsed.success) {
    const place = (path: readonly PropertyKey[]): string => (path.length === 0 ? '' : `${z.core.toDotPath(path)}: `);
    throw new ConfigError(
      file,
      parsed.error.issues.map((issue) => `${place(issue.path)}${issue.message}`),
    );
  }
  const { basic_auth: basic, authorization, tls_config: tls } = parsed.data;
  const at = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : resolve(dirname(file), name);
  const auth =
    basic !== undefined
      ? { user: basic.username, password_file: at(basic.password_file) }
      : authorization === undefined
        ? undefined
        : { password_file: at(authorization.credentials_file) };
  return {
    auth,
    tls:
      tls === undefined
        ? undefined
        : { ca_file: at(tls.ca_file), cert_file: at(tls.cert_file), key_file: at(tls.key_file), server_name: tls.server_name }, // prettier-ignore
  };
}
