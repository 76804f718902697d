// The real program in a folder of its own: configuration, start, requests, end.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { waitFor } from '../../deploy/lab/ready.ts';
import { openSqlite } from '../../remediator/store/sqlite.ts';
import type { Store } from '../../remediator/store/store.ts';

export const token = 'webhook-secret-1';
const program = join(import.meta.dirname, '..', '..', 'remediator', 'main.ts');

export interface Home extends AsyncDisposable {
  readonly dir: string;
  readonly file: (name: string) => string;
  readonly configFile: string;
  readonly policiesFile: string;
  /** The document of pipemedic.yml, changed and written again. */
  readonly configure: (change: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly store: () => Store;
}

export interface HomeOptions {
  readonly alertmanagers?: readonly string[];
  readonly remediation?: Readonly<Record<string, unknown>>;
}

/** A target that nobody listens for, a policy that observes. */
export async function makeHome(options: HomeOptions = {}): Promise<Home> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-rem-'));
  const file = (name: string): string => join(dir, name);
  await writeFile(file('token'), `${token}\n`);
  await writeFile(file('password'), 'x\n');
  const remediation: Record<string, unknown> = {
    store: file('remediator.db'),
    evidence_dir: dir,
    switch_file: file('PAUSED'),
    webhook: { token_files: [file('token')] },
    sources: [
      { name: 'main', alertmanagers: (options.alertmanagers ?? ['http://127.0.0.1:1']).map((url) => ({ url })) },
    ],
    supervisors: { maxwell1: { kind: 'process', socket: file('maxwell1.sock') } },
    ...options.remediation,
  };
  const auth = { user: 'u', password_file: file('password') };
  const inventory = {
    targets: [
      { name: 'db1', kind: 'mysql', address: { host: '127.0.0.1', port: 1 }, auth },
      { name: 'maxwell1', kind: 'maxwell', address: { mysql: 'db1', client_id: 'maxwell' } },
    ],
    pipelines: [{ name: 'p', objective: '30s', source: 'db1', cdc: 'maxwell1' }],
  };
  const configure = (change: Readonly<Record<string, unknown>>): Promise<void> =>
    writeFile(file('pipemedic.yml'), dump({ ...inventory, remediation: { ...remediation, ...change } }));
  await configure({});
  const policies = [{ name: 'maxwell-down', match: { alertname: 'MaxwellDown' }, action: 'maxwell.restart' }];
  await writeFile(file('policies.yml'), dump({ policies }));
  return {
    dir,
    file,
    configure,
    configFile: file('pipemedic.yml'),
    policiesFile: file('policies.yml'),
    store: () => openSqlite({ file: file('remediator.db'), readOnly: true }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface Running extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  readonly log: () => readonly Record<string, unknown>[];
  readonly post: (
    body: unknown,
    options?: PostOptions,
  ) => Promise<{ status: number; body: { id?: number; error?: string } }>;
  readonly metric: (name: string) => Promise<number | undefined>;
  /** Resolves with the exit code. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>;
}

export interface PostOptions {
  readonly source?: string;
  readonly authorization?: string | undefined;
  readonly raw?: boolean;
  readonly method?: string;
}

export interface StartOptions {
  /** A program and its arguments that run it, such as strace. */
  readonly under?: readonly string[];
  readonly args?: readonly string[];
}

export async function startRemediator(home: Home, { under = [], args = [] }: StartOptions = {}): Promise<Running> {
  const argv = [
    ...under,
    process.execPath,
    program,
    'serve',
    `--config.file=${home.configFile}`,
    `--policies.file=${home.policiesFile}`,
    '--web.listen-address=127.0.0.1:0',
    ...args,
  ];
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'pipe'] });
  const ended = once(child, 'exit');
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const log = (): Record<string, unknown>[] =>
    text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  // Under another program (strace, which waits for it) the signal must go to the remediator itself.
  const pid = (): number | undefined => {
    const holder = log().find((l) => l['msg'] === 'listening')?.['holder'];
    return typeof holder === 'string' ? Number(holder.split('/')[3]) : child.pid;
  };
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    const id = pid();
    if (child.exitCode === null && child.signalCode === null && id !== undefined) process.kill(id, signal);
    await ended;
    return child.exitCode;
  };
  let port: unknown;
  try {
    port = await waitFor(
      () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${text}`);
        return log().find((l) => l['msg'] === 'listening')?.['port'];
      },
      { deadlineMs: 60_000, what: 'the remediator to listen' },
    );
  } catch (error) {
    await stop('SIGKILL');
    throw error;
  }
  const url = `http://127.0.0.1:${String(port)}`;
  return {
    url,
    child,
    log,
    stop,
    post: async (body, options = {}) => {
      const authorization = 'authorization' in options ? options.authorization : `Bearer ${token}`;
      const response = await fetch(`${url}/webhook/${options.source ?? 'main'}`, {
        method: options.method ?? 'POST',
        headers: {
          'Content-Type': 'application/json',
          ...(authorization === undefined ? {} : { Authorization: authorization }),
        },
        ...(options.method === 'GET' ? {} : { body: options.raw === true ? (body as string) : JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as { id?: number; error?: string } };
    },
    metric: async (name) => {
      const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
      const line = lines.find((l) => l.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
    [Symbol.asyncDispose]: async () => {
      await stop('SIGKILL');
    },
  };
}

/** As Alertmanager 0.25 sends it. */
export function payload(
  alerts: readonly object[],
  change: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    receiver: 'remediator\\.main',
    status: 'firing',
    alerts,
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: 'http://alertmanager-a:9093',
    version: '4',
    groupKey: '{}:{alertname="MaxwellDown"}',
    truncatedAlerts: 0,
    ...change,
  };
}

export function sent(labels: Readonly<Record<string, string>>, change: Readonly<Record<string, unknown>> = {}): object {
  return {
    status: 'firing',
    labels,
    annotations: { summary: 'x' },
    startsAt: '2026-01-31T12:00:59.500Z',
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus/graph',
    fingerprint: '0123456789abcdef',
    ...change,
  };
}
