// The exporter (built, over HTTP, without a change of its settings but for the collectors) beside the Debian peers, on one
// MariaDB replica and on one Redis, alternating in one run: processor time and wall time of a scrape. The machine is
// shared, so what counts are the ratios.
import { ports } from '../../deploy/lab/address.ts';
import { startLab } from '../../deploy/lab/lab.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { mysql } from '../../exporter/systems/mysql/index.ts';
import { redis } from '../../exporter/systems/redis/index.ts';
import { buildExporter, cpuMs, loadAverage, median, memoryMb, startExporter } from '../support/measured-exporter.ts';
import { onlyCollectors, startMysqldExporter } from '../support/mysqld-exporter.ts';
import { startPeer, type PeerProcess } from '../support/peer-process.ts';
import { startRedisServers } from '../support/redis-servers.ts';

const rounds = 300;
const warmUp = 150;
/** On a busy machine fewer rounds must do. */
const limitMs = 40_000;

interface Side {
  readonly pid: number;
  readonly scrape: () => Promise<string>;
}

/** Of the collectors that are on by default only those, with options. */
function only(
  system: { readonly collectors: readonly { readonly name: string; readonly defaultOn: boolean }[] },
  wanted: Readonly<Record<string, object>>,
): Readonly<Record<string, object | false>> {
  const others = system.collectors.filter(({ name, defaultOn }) => defaultOn && !(name in wanted));
  return { ...Object.fromEntries(others.map(({ name }) => [name, false])), ...wanted };
}

function seriesIn(text: string, prefix: string): number {
  return text.split('\n').filter((line) => line.startsWith(prefix)).length;
}

async function timed(scrape: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await scrape();
  return performance.now() - startedMs;
}

async function alternate(what: string, prefix: string, ours: Side, peer: Side): Promise<void> {
  for (let i = 0; i < warmUp; i++) for (const side of [ours, peer]) await side.scrape();
  const sides = { ours, peer };
  const wall = { ours: [] as number[], peer: [] as number[] };
  const before = { ours: cpuMs(ours.pid), peer: cpuMs(peer.pid) };
  const endMs = performance.now() + limitMs;
  for (let i = 0; i < rounds && (i < 20 || performance.now() < endMs); i++) {
    wall.ours.push(await timed(ours.scrape));
    wall.peer.push(await timed(peer.scrape));
  }
  const cpu = (who: keyof typeof sides): number => (cpuMs(sides[who].pid) - before[who]) / wall[who].length;
  const found = { ours: cpu('ours'), peer: cpu('peer') };
  print(`${what}, ${String(wall.ours.length)} rounds, load average ${loadAverage()}`);
  for (const who of ['ours', 'peer'] as const) {
    const line = {
      who,
      'cpu ms': Number(found[who].toFixed(2)),
      'wall ms': Number(median(wall[who]).toFixed(2)),
      series: seriesIn(await sides[who].scrape(), prefix),
      'resident MB': Math.round(memoryMb(sides[who].pid)),
    };
    print(JSON.stringify(line));
  }
  const ratio = (a: number, b: number): string => (a / b).toFixed(2);
  print(
    `ratio to the peer: cpu ${ratio(found.ours, found.peer)}, wall ${ratio(median(wall.ours), median(wall.peer))}\n`,
  );
}

interface Comparison {
  readonly what: string;
  readonly prefix: string;
  readonly target: unknown;
  readonly peer: () => Promise<PeerProcess>;
}

async function compare({ what, prefix, target, peer: start }: Comparison, listen: string): Promise<void> {
  const peer = await start();
  try {
    const ours = await startExporter({ program, config: { targets: [target] }, listen });
    try {
      const isUp = async (): Promise<boolean> => /^pipemedic_target_up\{.*\} 1$/m.test(await ours.scrape());
      await waitFor(async () => await isUp(), { what: 'the target to be up' });
      await alternate(what, prefix, ours, { pid: peer.pid, scrape: () => peer.scrape() });
    } finally {
      await ours.stop();
    }
  } finally {
    await peer.stop();
  }
}

async function compareMysql(): Promise<void> {
  const lab = await startLab({ parts: ['source', 'replica'] });
  try {
    const { address: host } = lab;
    const database = { host, port: ports.replica, user: 'exporter', password: lab.secret('exporter') };
    const target = (collectors: unknown): unknown => ({
      name: 'db',
      kind: 'mysql',
      address: { host, port: ports.replica },
      auth: { user: 'exporter', password_file: lab.secretFile('exporter') },
      collectors,
    });
    const peer = (...args: readonly string[]): Comparison['peer'] => {
      return () => startMysqldExporter({ host, port: 19_104, database, args });
    };
    const listen = `${host}:19930`;
    const shared = { prefix: 'mysql_' };
    await compare({ ...shared, what: 'MariaDB: replication and binary logs', target: target(only(mysql, { replication: {}, binlog: {} })), peer: peer(...onlyCollectors('slave_status', 'binlog_size')) }, listen); // prettier-ignore
    await compare({ ...shared, what: 'MariaDB: replication, all status, all variables', target: target(only(mysql, { replication: {}, global_status: { all: true }, global_variables: { all: true } })), peer: peer(...onlyCollectors('slave_status', 'global_status', 'global_variables')) }, listen); // prettier-ignore
    await compare({ ...shared, what: 'MariaDB: all defaults of each', target: target({}), peer: peer() }, listen);
  } finally {
    await lab.stop();
  }
}

async function compareRedis(): Promise<void> {
  const servers = await startRedisServers();
  try {
    const port = Number(servers.at('primary').split(':')[1]);
    const target = (collectors: unknown): unknown => ({ name: 'cache', kind: 'redis', address: { host: servers.address, port }, collectors }); // prettier-ignore
    const at = `${servers.address}:19121`;
    const args = [
      `-redis.addr=redis://${servers.at('primary')}`,
      `-web.listen-address=${at}`,
      '-include-system-metrics',
    ];
    const peer = (): Promise<PeerProcess> => startPeer('prometheus-redis-exporter', args, at);
    const same = { redis_info: {}, redis_config: {}, redis_replication: {}, redis_slowlog: {} };
    const listen = `${servers.address}:19930`;
    const shared = { prefix: 'redis_', peer };
    await compare({ ...shared, what: 'Redis: what the peer has', target: target(only(redis, same)) }, listen);
    await compare({ ...shared, what: 'Redis: all defaults of each', target: target({}) }, listen);
  } finally {
    await servers.stop();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const program = buildExporter();
if (process.argv[2] !== 'redis') await compareMysql();
if (process.argv[2] !== 'mysql') await compareRedis();
