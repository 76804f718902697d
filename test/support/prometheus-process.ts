// A real Prometheus on loopback, for tests.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { freePort } from './free-port.ts';

export const noPrometheus = spawnSync('prometheus', ['--version']).status === 0 ? false : 'prometheus is not installed';

export interface PrometheusProcess {
  readonly url: string;
  /** What stands under `data`. */
  readonly api: (path: string) => Promise<unknown>;
  /** Labels and values of an instant vector; none while it is not up yet. */
  readonly query: (expression: string) => Promise<readonly { labels: Record<string, string>; value: number }[]>;
}

const vector = z.object({
  result: z.array(
    z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string().transform(Number)]) }),
  ),
});

/** @param config as in prometheus.yml; `files` lie beside it */
export async function startPrometheus(
  t: TestContext,
  config: object,
  {
    args = [],
    files = {},
  }: { readonly args?: readonly string[]; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<PrometheusProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-prometheus-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
      '--log.level=warn',
      ...args.map((arg) => arg.replaceAll('FOLDER', folder)),
    ],
    { stdio: 'ignore' },
  );
  const closed = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await closed;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${String(port)}`;
  const api = async (path: string): Promise<unknown> => {
    const res = await fetch(`${url}/api/v1/${path}`, { signal: AbortSignal.timeout(10_000) });
    return ((await res.json()) as { data: unknown }).data;
  };
  return {
    url,
    api,
    query: async (expression) => {
      const data = await api(`query?query=${encodeURIComponent(expression)}`).catch(() => ({ result: [] }));
      return vector.parse(data).result.map(({ metric, value }) => ({ labels: metric, value: value[1] }));
    },
  };
}
