// How many notifications a second are taken durably, in the real program, and how long one waits for its 2xx. With the
// disk's own fsync measured in the same minute, and a kill -9 under full load: every id that was acknowledged is there.
// `node test/bench/remediator-intake.ts [seconds]`
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { makeHome, payload, sent, startRemediator, token, type Home } from '../support/remediator-serve.ts';
import { eventually } from '../support/wait.ts';

const seconds = Number(process.argv[2] ?? 10);
const senders = 64;
const stored = 'pipemedic_remediator_webhooks_total{source="main",result="stored"}';

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function rounded(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([k, v]) => [k, Math.round(v * 100) / 100]));
}

/** One page written and synced, again and again, on the disk that the store is on. */
function fsyncMs(home: Home): readonly number[] {
  const file = openSync(home.file('fsync'), 'w');
  const page = Buffer.alloc(4096, 1);
  const took = Array.from({ length: 200 }, () => {
    writeSync(file, page);
    const begun = performance.now();
    fsyncSync(file);
    return performance.now() - begun;
  });
  closeSync(file);
  return took.toSorted((a, b) => a - b);
}

interface Load {
  readonly acknowledged: ReadonlySet<number>;
  readonly tookMs: readonly number[];
  readonly ranMs: number;
  readonly refused: number;
}

/** As many senders at a time, each with the next notification as soon as the one before is answered. */
async function load(url: string, isOver: (acknowledged: number) => boolean): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: senders });
  const acknowledged = new Set<number>();
  const tookMs: number[] = [];
  let refused = 0;
  let n = 0;
  const post = (body: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}`, 'Content-Length': Buffer.byteLength(body) };
      const sending = request(`${url}/webhook/main`, { method: 'POST', agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve(response.statusCode === 200 ? (JSON.parse(text) as { id: number }).id : undefined);
        });
      });
      sending.on('error', reject);
      sending.end(body);
    });
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: senders }, async () => {
      while (!isOver(acknowledged.size)) {
        // 20 alerts that go on firing, as a group of Alertmanager's is told again and again
        const labels = { alertname: `Bench${n++ % 20}`, target: 'maxwell1', cluster: 'prod', severity: 'critical' };
        const from = performance.now();
        try {
          const id = await post(JSON.stringify(payload([sent(labels)])));
          if (id === undefined) refused += 1;
          else acknowledged.add(id);
          tookMs.push(performance.now() - from);
        } catch {
          return; // it was killed
        }
      }
    }),
  );
  agent.destroy();
  return { acknowledged, tookMs: tookMs.toSorted((a, b) => a - b), ranMs: performance.now() - begun, refused };
}

/** Acknowledged ones that the store does not have. */
function missingOf(acknowledged: ReadonlySet<number>): number {
  const db = new DatabaseSync(home.file('remediator.db'));
  const there = new Set(
    db
      .prepare('SELECT id FROM webhook')
      .all()
      .map((row) => Number(row['id'])),
  );
  db.close();
  return [...acknowledged].filter((id) => !there.has(id)).length;
}

const home = await makeHome();
try {
  const disk = fsyncMs(home);
  {
    await using remediator = await startRemediator(home);
    const cpu = async (): Promise<number> => (await remediator.metric('process_cpu_seconds_total')) ?? Number.NaN;
    const cpuBefore = await cpu();
    const until = performance.now() + seconds * 1000;
    const { acknowledged, tookMs, ranMs, refused } = await load(remediator.url, () => performance.now() > until);
    const figures = {
      perSecond: acknowledged.size / (ranMs / 1000),
      p50Ms: quantile(tookMs, 0.5),
      p99Ms: quantile(tookMs, 0.99),
      refused,
      // with all that is done with it later, in all threads: what counts on a machine that does other things too
      cpuMsEach: (((await cpu()) - cpuBefore) * 1000) / acknowledged.size,
      fsyncP50Ms: quantile(disk, 0.5),
      fsyncP99Ms: quantile(disk, 0.99),
    };
    process.stdout.write(`${JSON.stringify({ senders, taken: acknowledged.size, ...rounded(figures) })}\n`);
  }
  const ids = new Set<number>();
  {
    await using remediator = await startRemediator(home);
    const killed = load(remediator.url, () => false);
    await eventually(
      'some load',
      async () => (((await remediator.metric(stored)) ?? 0) > 2000 ? true : undefined),
      60_000,
    );
    await remediator.stop('SIGKILL');
    for (const id of (await killed).acknowledged) ids.add(id);
  }
  const missing = missingOf(ids);
  process.stdout.write(`${JSON.stringify({ killedUnderLoad: { acknowledged: ids.size, missing } })}\n`);
  if (missing > 0) process.exitCode = 1;
} finally {
  await home[Symbol.asyncDispose]();
}
