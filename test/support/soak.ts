// Scrapes an exporter in a process of its own again and again, as fast as it answers, with what goes wrong in the life of
// one: links that break, clients that go away, questions that are wrong, targets that are dead. And watches what it holds.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { waitFor } from '../../deploy/lab/ready.ts';
import type { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import type { HeapSample } from './heap-probe.ts';

export interface SoakOptions {
  /** As in the inventory. */
  readonly targets: readonly { readonly name: string; readonly collector?: string; readonly [key: string]: unknown }[];
  /** To some of the targets: broken now and then. */
  readonly links: readonly TcpProxy[];
  readonly scrapes: number;
  readonly samples: number;
  readonly timeoutSeconds: number;
  readonly onSample?: (sample: SoakSample, scrape: number) => void;
}

export interface SoakSample {
  readonly heapMb: number;
  readonly externalMb: number;
  readonly rssMb: number;
  readonly files: number;
  readonly sockets: number;
}

export interface Soak {
  readonly samples: readonly SoakSample[];
  /** Answers by status; 0: broken off by us. */
  readonly answers: ReadonlyMap<number, number>;
  /** How often each target was up in a whole scrape. */
  readonly ups: ReadonlyMap<string, number>;
}

const main = join(import.meta.dirname, '../../exporter/main.ts');
const probe = pathToFileURL(join(import.meta.dirname, 'heap-probe.ts')).href;

/** @throws when the exporter ends, or answers as it must not */
export async function soak(options: SoakOptions): Promise<Soak> {
  const dir = mkdtempSync(join(tmpdir(), 'pipemedic-soak-'));
  const file = join(dir, 'pipemedic.yml');
  const targets = options.targets.map(({ collector: _, ...target }) => target);
  writeFileSync(file, JSON.stringify({ targets })); // JSON is YAML
  const args = ['--expose-gc', '--import', probe, main, 'serve', `--config.file=${file}`, '--web.listen-address=127.0.0.1:0']; // prettier-ignore
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  const ended = once(child, 'exit');
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  try {
    return await scrapeOn(child, await portOf(child), agent, options);
  } finally {
    agent.destroy();
    process.off('exit', orphaned);
    child.kill('SIGTERM');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Of its log, which is read to the end so that it never waits for us. */
async function portOf(child: ChildProcess): Promise<number> {
  let text = '';
  let port: number | undefined;
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    if (port !== undefined) return;
    text += part;
    const [, digits] = /"port":(\d+)[^\n]*"listening"/.exec(text) ?? [];
    if (digits !== undefined) port = Number(digits);
  });
  return await waitFor(() => port, { deadlineMs: 60_000, what: 'the exporter to listen' });
}

async function scrapeOn(child: ChildProcess, port: number, agent: Agent, options: SoakOptions): Promise<Soak> {
  const { targets, links, scrapes, timeoutSeconds, onSample = () => undefined } = options;
  const answers = new Map<number, number>();
  const ups = new Map<string, number>();
  const samples: SoakSample[] = [];
  const ask = async (path: string, how: Asking = {}): Promise<string> => {
    const { status, text } = await get(port, path, { agent, timeoutSeconds, ...how });
    answers.set(status, (answers.get(status) ?? 0) + 1);
    if (status !== (how.status ?? 200) && status !== 0) throw new Error(`${path}: ${status} ${text.slice(0, 300)}`);
    return text;
  };
  const scrape = async (): Promise<void> => {
    for (const [, target = ''] of (await ask('/metrics')).matchAll(
      /^pipemedic_target_up\{target="([^"]+)"[^}]*\} 1$/gm,
    )) {
      ups.set(target, (ups.get(target) ?? 0) + 1);
    }
  };
  const every = Math.max(1, Math.floor(scrapes / options.samples));
  for (let i = 1; i <= scrapes; i++) {
    const target = targets[i % targets.length];
    const link = links[i % Math.max(1, links.length)];
    if (i % 3 === 0) await Promise.all([scrape(), ask(`/probe?target=${target?.name ?? ''}`)]);
    else await scrape();
    if (i % 5 === 0 && target?.collector !== undefined) {
      await ask(`/probe?target=${target.name}&collect[]=${target.collector}`, { fresh: true });
    }
    if (i % 7 === 0) await ask('/probe?target=nobody', { status: 400 });
    if (i % 11 === 0) await ask('/metrics', { leaves: true, fresh: true });
    if (i % 13 === 0)
      await Promise.all([ask('/sd'), ask('/'), ask('/metrics?self=1'), ask('/nothing', { status: 404 })]);
    if (i % 17 === 0) await link?.cut();
    if (i % 17 === 1) await link?.restore();
    for (const one of i % 17 === 2 ? links : []) await one.restore();
    if (i % every === 0) {
      const sample = await sampleOf(child);
      samples.push(sample);
      onSample(sample, i);
    }
  }
  return { samples, answers, ups };
}

interface Asking {
  /** What is expected. */
  readonly status?: number;
  /** On a connection of its own. */
  readonly fresh?: true;
  /** Goes away once it has asked. */
  readonly leaves?: true;
}

function get(
  port: number,
  path: string,
  { agent, timeoutSeconds, fresh, leaves }: Asking & { readonly agent: Agent; readonly timeoutSeconds: number },
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'X-Prometheus-Scrape-Timeout-Seconds': String(timeoutSeconds) };
    const asked = request({ host: '127.0.0.1', port, path, headers, agent: fresh ? false : agent }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => (text += part));
      res.on('error', reject).on('end', () => {
        resolve({ status: res.statusCode ?? 0, text });
      });
    });
    asked.on('error', (error) => {
      if (leaves) resolve({ status: 0, text: '' });
      else reject(error);
    });
    asked.end();
    if (leaves) asked.on('finish', () => asked.destroy());
  });
}

async function sampleOf(child: ChildProcess): Promise<SoakSample> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null) throw new Error('the exporter has ended');
  child.send('sample');
  const [heap] = (await once(child, 'message', { signal: AbortSignal.timeout(60_000) })) as [HeapSample];
  const open = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return []; // closed meanwhile
    }
  });
  const [, kb = 'NaN'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return {
    heapMb: heap.heapBytes / 1e6,
    externalMb: heap.externalBytes / 1e6,
    rssMb: Number(kb) / 1000,
    files: open.length,
    sockets: open.filter((what) => what.startsWith('socket:')).length,
  };
}

export interface Trend {
  readonly first: number;
  readonly second: number;
}

/** Medians of the first and the second half, without the first tenth, in which everything is used for the first time. */
export function trendOf(samples: readonly SoakSample[], what: keyof SoakSample): Trend {
  const warm = samples.slice(Math.ceil(samples.length / 10)).map((sample) => sample[what]);
  const half = Math.floor(warm.length / 2);
  return { first: median(warm.slice(0, half)), second: median(warm.slice(half)) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** What has grown by more than is allowed, in words; `grows`: share and amount. */
export function growthIn(
  samples: readonly SoakSample[],
  grows: Readonly<Record<keyof SoakSample, readonly [share: number, more: number]>>,
): string[] {
  return (Object.keys(grows) as (keyof SoakSample)[]).flatMap((what) => {
    const { first, second } = trendOf(samples, what);
    const [share, more] = grows[what];
    return second <= first * (1 + share) + more ? [] : [`${what}: ${first.toFixed(1)}, later ${second.toFixed(1)}`];
  });
}
