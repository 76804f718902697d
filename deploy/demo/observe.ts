// The demo looks at the lab from outside: Prometheus's and Alertmanager's APIs, and the remediator's own commands.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Lab } from '../lab/lab.ts';

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface QueryAnswer {
  readonly data?: {
    readonly result?: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
  };
}

export async function query(lab: Lab, promql: string): Promise<readonly Series[]> {
  const url = `${lab.urls.prometheus}/api/v1/query?${new URLSearchParams({ query: promql }).toString()}`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`Prometheus answers ${answer.status} to ${promql}: ${await answer.text()}`);
  const body = (await answer.json()) as QueryAnswer;
  return (body.data?.result ?? []).map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

export async function scalar(lab: Lab, promql: string): Promise<number | undefined> {
  return (await query(lab, promql))[0]?.value;
}

/** Alerts that fire in Prometheus and are for people: without the heartbeat and the inhibitors. */
export async function firing(lab: Lab): Promise<readonly Series[]> {
  return query(lab, 'ALERTS{alertstate="firing",scope!="inhibitor",alertname!="PipemedicWatchdog"}');
}

export interface AmAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly status: { readonly state: string; readonly inhibitedBy: readonly string[] };
}

export async function alertmanagerAlerts(lab: Lab): Promise<readonly AmAlert[]> {
  const answer = await fetch(`${lab.urls.alertmanagers[0] ?? ''}/api/v2/alerts`, {
    signal: AbortSignal.timeout(5_000),
  });
  return (await answer.json()) as AmAlert[];
}

const repo = join(import.meta.dirname, '..', '..');

/** Runs one of the remediator's commands as a person would. */
export async function remediator(lab: Lab, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(repo, 'remediator', 'main.ts'), command, ...args, `--config.file=${lab.files.pipemedic}`],
    { timeout: 20_000, maxBuffer: 16 << 20 },
  );
  return stdout;
}
