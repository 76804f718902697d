// A day of scrapes at one in 15 seconds, as fast as the exporter answers: a MariaDB replica and its source and a Redis pair,
// real ones, some behind links that break; a target that is dead and one that never answers. What it holds must not grow.
// `node test/bench/soak.ts [SCRAPES]`; ends with status 1 when something has grown.
import { createServer } from 'node:net';
import { once } from 'node:events';
import { ports } from '../../deploy/lab/address.ts';
import { startDatabases } from '../../deploy/lab/databases.ts';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { TcpProxy } from '../../deploy/lab/tcp-proxy.ts';
import { redisServerPorts, startRedisServers } from '../support/redis-servers.ts';
import { growthIn, soak, trendOf, type SoakSample } from '../support/soak.ts';

const scrapes = Number(process.argv[2] ?? (24 * 3600) / 15);
/** Of the first half: the heap after a full collection is exact, resident memory is what the system has not taken back. */
const grows = {
  heapMb: [0.03, 1],
  externalMb: [0.05, 1],
  rssMb: [0.1, 10],
  files: [0, 2],
  sockets: [0, 2],
} as const;

const mariadb = await startDatabases(mariadbInstalled);
const redis = await startRedisServers();
const blackHole = createServer((socket) => socket.on('error', () => undefined));
const links: TcpProxy[] = [];
try {
  const host = mariadb.address;
  const behind = async (name: string, port: number, to: { host: string; port: number }): Promise<object> => {
    const link = new TcpProxy({ name, host, port, to });
    links.push(link);
    await link.open();
    return { host, port };
  };
  blackHole.listen({ host, port: ports.kafka });
  await once(blackHole, 'listening');
  const auth = { user: 'exporter', password_file: mariadb.secretFile('exporter') };
  const redisAt = (port: number) => ({ host: redis.address, port });
  const targets = [
    { name: 'db1', kind: 'mysql', auth, address: { host, port: ports.source }, collector: 'binlog' },
    { name: 'db2', kind: 'mysql', auth, address: await behind('db2', 15_001, { host, port: ports.replica }), collector: 'replication' },
    { name: 'cache1', kind: 'redis', address: await behind('cache1', 15_002, redisAt(redisServerPorts.primary)), collector: 'replication_stream' },
    { name: 'cache2', kind: 'redis', address: redisAt(redisServerPorts.replica), collector: 'dataset' },
    { name: 'dead', kind: 'redis', address: { host, port: ports.kafkaController } },
    { name: 'hangs', kind: 'mysql', auth, address: { host, port: ports.kafka } },
  ]; // prettier-ignore
  const begun = performance.now();
  const { samples, answers, ups } = await soak({
    ...{ targets, links, scrapes, samples: 60, timeoutSeconds: 2 },
    onSample: (sample, at) => {
      print(`${String(at).padStart(6)} ${textOf(sample)}`);
    },
  });
  print(`${scrapes} scrapes in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  print(`answers by status (0: broken off): ${JSON.stringify(Object.fromEntries(answers))}`);
  print(`up: ${JSON.stringify(Object.fromEntries(ups))}`);
  for (const what of Object.keys(grows) as (keyof SoakSample)[]) {
    const { first, second } = trendOf(samples, what);
    print(`${what}: median of the first half ${first.toFixed(1)}, of the second ${second.toFixed(1)}`);
  }
  const grown = growthIn(samples, grows);
  print(grown.length === 0 ? 'flat' : `grown: ${grown.join('; ')}`);
  if (grown.length > 0) process.exitCode = 1;
} finally {
  for (const link of links) link.close();
  blackHole.close();
  await redis.stop();
  await mariadb.stop();
}

function textOf({ heapMb, externalMb, rssMb, files, sockets }: SoakSample): string {
  return `heap ${heapMb.toFixed(1)} MB, buffers ${externalMb.toFixed(1)} MB, resident ${rssMb.toFixed(0)} MB, ${files} files, ${sockets} of them sockets`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
