// The whole exporter beside the real mysqld_exporter, both over HTTP, on one MariaDB replica of a lab, alternating.
// Times are medians; what counts are the ratios, as both run on the same machine at the same time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { ports } from '../../deploy/lab/address.ts';
import { startLab, type Lab } from '../../deploy/lab/lab.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { onlyCollectors, startMysqldExporter } from '../support/mysqld-exporter.ts';

const rounds = 200;
const warmUp = 100;
/** On a busy machine fewer rounds must do. */
const limitMs = 30_000;
const manyTargets = 64;
/** The peer serves one server per process: for many targets it is asked as often, so many at a time. */
const peerAtATime = 8;

interface Server {
  readonly pid: number;
  readonly scrape: () => Promise<string>;
  readonly stop: () => Promise<void>;
}

async function startExporter(lab: Lab, port: number, targets: readonly unknown[]): Promise<Server> {
  const file = join(lab.dir, `bench-${String(port)}.yml`);
  writeFileSync(file, JSON.stringify({ targets })); // JSON is YAML
  const listen = `${lab.address}:${String(port)}`;
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../exporter/main.ts'),
      'serve',
      `--config.file=${file}`,
      `--web.listen-address=${listen}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = once(child, 'exit');
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  const stop = async (): Promise<void> => {
    process.off('exit', orphaned);
    child.kill('SIGTERM');
    await ended;
  };
  const scrape = async (): Promise<string> => {
    const answer = await fetch(`http://${listen}/metrics`, { signal: AbortSignal.timeout(15_000) });
    return answer.text();
  };
  try {
    await waitFor(
      async () => {
        const up = (await scrape()).match(/^mysql_up\{.*\} 1$/gm);
        return up?.length === targets.length;
      },
      { what: 'the exporter to see every target' },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  if (child.pid === undefined) throw new Error('the exporter has no pid');
  return { pid: child.pid, scrape, stop };
}

async function timed(scrape: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await scrape();
  return performance.now() - startedMs;
}

/** What it takes when nothing else is in the way, nearly: the tenth part of the values lies below. */
function tenth(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)] ?? NaN;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

interface Took {
  readonly ours: number[];
  readonly peer: number[];
}

/** The first rounds do not count: they compile. */
async function alternately(
  ours: () => Promise<unknown>,
  peer: () => Promise<unknown>,
  before: number,
  counting: number,
): Promise<Took> {
  const took: Took = { ours: [], peer: [] };
  const endMs = performance.now() + limitMs;
  for (let round = -before; round < counting; round++) {
    const [a, b] = [await timed(ours), await timed(peer)];
    if (round < 0) continue;
    took.ours.push(a);
    took.peer.push(b);
    if (performance.now() > endMs && took.ours.length >= 5) break;
  }
  return took;
}

function residentMb(pid: number): number {
  const [, kb = 'NaN'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

function seriesIn(text: string): number {
  return text.split('\n').filter((line) => line.startsWith('mysql_')).length;
}

/** Statements and connections per scrape, as the server counts them. */
async function counted(
  lab: Lab,
  scrape: () => Promise<unknown>,
): Promise<{ readonly statements: number; readonly connections: number }> {
  const connection = await createConnection({
    host: lab.address,
    port: ports.replica,
    user: 'lab',
    password: lab.secret('lab'),
  });
  const read = async (): Promise<{ questions: number; connections: number }> => {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Connections')",
    );
    const value = (name: string): number => Number(rows.find((row) => row['Variable_name'] === name)?.['Value'] ?? NaN);
    return { questions: value('Questions'), connections: value('Connections') };
  };
  const times = 20;
  const before = await read();
  for (let i = 0; i < times; i++) await scrape();
  const after = await read();
  await connection.end();
  return {
    statements: (after.questions - before.questions - 1) / times, // less the second reading itself
    connections: (after.connections - before.connections) / times,
  };
}

async function compare(
  lab: Lab,
  what: string,
  collectors: Readonly<Record<string, false>>,
  peerArgs: readonly string[],
): Promise<void> {
  const { address: host } = lab;
  const database = { host, port: ports.replica, user: 'exporter', password: lab.secret('exporter') };
  const peer = await startMysqldExporter({ host, port: 19_104, database, args: peerArgs });
  const ours = await startExporter(lab, 19_930, [target(lab, 'db', collectors)]).catch(async (error: unknown) => {
    await peer.stop();
    throw error;
  });
  try {
    const took = await alternately(ours.scrape, peer.scrape, warmUp, rounds);
    const lines = [];
    for (const [who, server] of Object.entries({ ours, peer })) {
      lines.push({
        who,
        'median ms': Number(median(took[who === 'ours' ? 'ours' : 'peer']).toFixed(2)),
        'tenth ms': Number(tenth(took[who === 'ours' ? 'ours' : 'peer']).toFixed(2)),
        series: seriesIn(await server.scrape()),
        ...(await counted(lab, server.scrape)),
        'resident MB': Number(residentMb(server.pid).toFixed(0)),
      });
    }
    print(`${what}, ${String(took.ours.length)} rounds`);
    for (const line of lines) print(JSON.stringify(line));
    const ratio = (of: (values: readonly number[]) => number): string => (of(took.ours) / of(took.peer)).toFixed(2);
    print(`time ratio to the peer: ${ratio(median)} (of the tenths ${ratio(tenth)})`);
  } finally {
    await ours.stop();
    await peer.stop();
  }
}

/** One MariaDB stands for all targets: it has the load of all of them, which makes the times rather too long. */
async function many(lab: Lab): Promise<void> {
  const { address: host } = lab;
  const database = { host, port: ports.replica, user: 'exporter', password: lab.secret('exporter') };
  const targets = Array.from({ length: manyTargets }, (_, i) => target(lab, `db-${String(i)}`, {}));
  const peer = await startMysqldExporter({ host, port: 19_104, database, args: [] });
  const ours = await startExporter(lab, 19_930, targets).catch(async (error: unknown) => {
    await peer.stop();
    throw error;
  });
  const askPeer = async (): Promise<void> => {
    for (let i = 0; i < manyTargets; i += peerAtATime) {
      await Promise.all(Array.from({ length: peerAtATime }, peer.scrape));
    }
  };
  try {
    const took = await alternately(ours.scrape, askPeer, 3, 10);
    const text = await ours.scrape();
    print(
      `${String(manyTargets)} targets (all the same MariaDB) in one scrape, all default collectors, ${String(took.ours.length)} rounds`,
    );
    print(
      JSON.stringify({
        who: 'ours',
        'median ms': Number(median(took.ours).toFixed(1)),
        'longest ms': Number(Math.max(...took.ours).toFixed(1)),
        series: seriesIn(text),
        'page MB': Number((text.length / 1e6).toFixed(2)),
        'resident MB': Number(residentMb(ours.pid).toFixed(0)),
      }),
    );
    print(
      JSON.stringify({
        who: `peer, asked ${String(manyTargets)} times, ${String(peerAtATime)} at a time`,
        'median ms': Number(median(took.peer).toFixed(1)),
        'resident MB of its one process': Number(residentMb(peer.pid).toFixed(0)),
      }),
    );
    print(`time ratio to the peer: ${(median(took.ours) / median(took.peer)).toFixed(2)}`);
  } finally {
    await ours.stop();
    await peer.stop();
  }
}

function target(lab: Lab, name: string, collectors: Readonly<Record<string, false>>): unknown {
  return {
    name,
    kind: 'mysql',
    address: { host: lab.address, port: ports.replica },
    auth: { user: 'exporter', password_file: lab.secretFile('exporter') },
    collectors,
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const lab = await startLab({ parts: ['source', 'replica'] });
try {
  const onlyThose = new Set(['replication', 'binlog']);
  const others = mysql.collectors.filter(({ name, defaultOn }) => defaultOn && !onlyThose.has(name));
  await compare(
    lab,
    'replication and binlog facts of one server',
    Object.fromEntries(others.map(({ name }) => [name, false])),
    onlyCollectors('slave_status', 'binlog_size'),
  );
  await compare(lab, 'all default collectors of each', {}, []);
  await many(lab);
} finally {
  await lab.stop();
}
