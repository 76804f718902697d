// How many notifications a second are taken durably, in the real program, and how long one waits for its 2xx: as fast as 64
// connections can, and at the rate that is aimed at, right after the start (its code is not compiled yet) and later. With the
// disk's own fsync measured in the same minute, and a kill -9 under full load: every id that was acknowledged is there. The
// senders are a process of their own, which says by how much it was late itself.
// `node test/bench/remediator-intake.ts [seconds]`
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { waitFor } from '../../deploy/lab/ready.ts';
import { makeHome, startRemediator, type Home, type Running } from '../support/remediator-serve.ts';
import type { Sending, Sent } from './notification-senders.ts';

const seconds = Number(process.argv[2] ?? 10);
const senders = 64;
const aimPerSecond = 2000;
/** After so many the code that takes them is compiled. */
const warmUp = { perSecond: 1000, seconds: 4 };
const coldSeconds = 2;
const stored = 'pipemedic_remediator_webhooks_total{source="main",result="stored"}';

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

function rounded(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([k, v]) => [k, Math.round(v * 100) / 100]));
}

function print(what: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** One page written and synced, again and again, on the disk that the store is on. */
function fsyncMs(): readonly number[] {
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

async function load(remediator: Running, sending: Omit<Sending, 'port' | 'senders'>): Promise<Sent> {
  const child = fork(join(import.meta.dirname, 'notification-senders.ts'));
  const answer = once(child, 'message') as Promise<[Sent]>;
  child.send({ port: Number(new URL(remediator.url).port), senders, ...sending } satisfies Sending);
  const [result] = await Promise.race([
    answer,
    once(child, 'exit').then(() => Promise.reject(new Error('the senders ended'))),
  ]);
  await once(child, 'exit');
  return result;
}

function inStore<T>(look: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(home.file('remediator.db'), { readOnly: true });
  try {
    return look(db);
  } finally {
    db.close();
  }
}

/** Stored ones that have not become episodes yet. */
function waiting(): number {
  return inStore((db) =>
    Number(db.prepare('SELECT count(*) AS n FROM webhook WHERE processed_ms IS NULL').get()?.['n']),
  );
}

type Measured = Pick<Sending, 'alerts' | 'perSecond'> & { readonly isCold: boolean };

async function measured(home: Home, { isCold, ...sending }: Measured): Promise<void> {
  await using remediator = await startRemediator(home);
  if (!isCold) {
    await load(remediator, { alerts: sending.alerts, ...warmUp });
    await waitFor(() => waiting() === 0, { deadlineMs: 120_000, what: 'the warm-up to be processed', intervalMs: 20 });
  }
  const cpu = async (): Promise<number> => (await remediator.metric('process_cpu_seconds_total')) ?? Number.NaN;
  const cpuBefore = await cpu();
  const sent = await load(remediator, { ...sending, seconds: isCold ? coldSeconds : seconds });
  const { acknowledged, tookMs, ranMs, refused, bodyBytes, stallP99Ms, stallMaxMs } = sent;
  const behind = waiting();
  const begun = performance.now();
  await waitFor(() => waiting() === 0, { deadlineMs: 120_000, what: 'all of it to be processed', intervalMs: 20 });
  const figures = {
    perSecond: acknowledged.length / (ranMs / 1000),
    p50Ms: quantile(tookMs, 0.5),
    p99Ms: quantile(tookMs, 0.99),
    maxMs: tookMs.at(-1) ?? Number.NaN,
    stallP99Ms,
    stallMaxMs,
    refused,
    behind,
    behindMs: performance.now() - begun,
    // with all that is done with it later, in all threads: what counts on a machine that does other things too
    cpuMsEach: (((await cpu()) - cpuBefore) * 1000) / acknowledged.length,
  };
  print({ ...sending, isCold, bodyBytes, taken: acknowledged.length, ...rounded(figures) });
}

/** Acknowledged ones that the store does not have. */
function missingOf(acknowledged: readonly number[]): number {
  const there = inStore(
    (db) =>
      new Set(
        db
          .prepare('SELECT id FROM webhook')
          .all()
          .map((row) => Number(row['id'])),
      ),
  );
  return acknowledged.filter((id) => !there.has(id)).length;
}

const home = await makeHome();
try {
  const disk = fsyncMs();
  print({ senders, seconds, ...rounded({ fsyncP50Ms: quantile(disk, 0.5), fsyncP99Ms: quantile(disk, 0.99) }) });
  for (const alerts of [1, 10]) {
    await measured(home, { alerts, perSecond: undefined, isCold: false });
    await measured(home, { alerts, perSecond: aimPerSecond, isCold: true });
    await measured(home, { alerts, perSecond: aimPerSecond, isCold: false });
  }
  let acknowledged: readonly number[];
  {
    await using remediator = await startRemediator(home);
    const sending = load(remediator, { alerts: 1, seconds: undefined, perSecond: undefined });
    await waitFor(async () => ((await remediator.metric(stored)) ?? 0) > 2000, {
      deadlineMs: 60_000,
      what: 'some load',
    });
    await remediator.stop('SIGKILL');
    ({ acknowledged } = await sending);
  }
  const missing = missingOf(acknowledged);
  print({ killedUnderLoad: { acknowledged: acknowledged.length, missing } });
  if (missing > 0) process.exitCode = 1;
} finally {
  await home[Symbol.asyncDispose]();
}
