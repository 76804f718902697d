// A Kafka cluster of 10,000 partitions and 100 groups that have committed 1,000 partitions each, on a real broker: how long
// one sweep takes, how long the whole scrape, how much memory the serving process needs, and how many requests are sent;
// then the same with 200 groups.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { Kafka, logLevel } from 'kafkajs';
import { claimAddress, ports } from '../../deploy/lab/address.ts';
import { brokerOf } from '../../deploy/lab/kafka.ts';
import { startReaper } from '../../deploy/lab/processes.ts';
import { waitFor } from '../../deploy/lab/ready.ts';
import { FrameCounter } from '../support/kafka-frames.ts';

const topics = 10;
const partitions = 1_000; // of each topic
const records = 3; // in each partition
const groups = 100;
const rounds = 12;
const warmUp = 3;
/** Where the broker tells its clients to go: the counter of requests. */
const countedPort = 19_191;
const exporterPort = 19_930;

const claim = await claimAddress();
const { address } = claim;
const dir = mkdtempSync(join(tmpdir(), 'pipemedic-bench-kafka-'));
const reaper = startReaper(dir);
mkdirSync(join(dir, 'logs'));
const counted = { host: address, port: countedPort };
try {
  const broker = brokerOf(
    { dir, address, reaper },
    {
      heapMb: 1024,
      properties: {
        'advertised.listeners': `PLAINTEXT://${address}:${String(countedPort)}`,
        'log.index.size.max.bytes': 4096, // 10,000 logs of their own size else
        'offsets.topic.num.partitions': 10,
      },
    },
  );
  await using counter = await FrameCounter.listen(counted, { host: address, port: ports.kafka });
  await broker.format();
  await broker.part.start();
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [`${address}:${String(countedPort)}`] });
  try {
    await fill(admin);
    const small = await measure(counter, groups);
    await commitAll(admin, groups, 2 * groups);
    const large = await measure(counter, 2 * groups);
    const same = JSON.stringify(small) === JSON.stringify(large);
    print(`requests with twice the groups: ${same ? 'the same' : 'OTHERS'}`);
    if (!same) process.exitCode = 1;
  } finally {
    await admin.close();
  }
} finally {
  await reaper.end();
  claim.release();
}

async function fill(admin: Admin): Promise<void> {
  for (let t = 0; t < topics; t++) await admin.createTopics({ topics: [topicOf(t)], partitions, replicas: 1 });
  const library = new Kafka({ clientId: 'bench', brokers: [`${address}:${String(countedPort)}`], logLevel: logLevel.NOTHING }); // prettier-ignore
  const producer = library.producer();
  await producer.connect();
  const latest = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1n }));
  const messages = Array.from({ length: records * partitions }, (_, i) => ({ partition: i % partitions, value: 'x' }));
  for (let t = 0; t < topics; t++) {
    // A partition has a leader in the metadata before that leader serves it.
    await waitFor(() => admin.listOffsets({ topics: [{ name: topicOf(t), partitions: latest }] }), {
      deadlineMs: 60_000,
      what: `topic ${String(t)}`,
    });
    await producer.send({ topic: topicOf(t), messages });
  }
  await producer.disconnect();
  await commitAll(admin, 0, groups);
}

/** Each group reads one topic whole. */
async function commitAll(admin: Admin, from: number, to: number): Promise<void> {
  const partitionOffsets = Array.from({ length: partitions }, (_, partition) => ({ partition, offset: 1n }));
  for (let g = from; g < to; g++) {
    const of = [{ name: topicOf(g % topics), partitionOffsets }];
    await admin.alterConsumerGroupOffsets({ groupId: `group-${String(g)}`, topics: of });
  }
}

/** One exporter, scraped again and again. @returns requests of one scrape, by API */
async function measure(counter: FrameCounter, count: number): Promise<Readonly<Record<string, number>>> {
  const file = join(dir, 'pipemedic.yml');
  const target = {
    name: 'bus',
    kind: 'kafka',
    address: { brokers: [`${address}:${String(countedPort)}`] },
    series_limit: 5_000_000,
    collectors: { kafka_lag: { refresh: 'scrape' } }, // the whole of it in each scrape
  };
  writeFileSync(file, JSON.stringify({ targets: [target] })); // JSON is YAML
  const listen = `${address}:${String(exporterPort)}`;
  const main = join(import.meta.dirname, '../../exporter/main.ts');
  const child = spawn(
    process.execPath,
    [...process.execArgv, main, 'serve', `--config.file=${file}`, `--web.listen-address=${listen}`, '--log.level=warn'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  const ended = once(child, 'exit');
  const { pid } = child;
  if (pid === undefined) throw new Error('the exporter could not be started');
  const scrape = async (): Promise<string> => {
    const answer = await fetch(`http://${listen}/metrics`, {
      headers: { 'x-prometheus-scrape-timeout-seconds': '60' },
      signal: AbortSignal.timeout(90_000),
    });
    return answer.text();
  };
  try {
    const idle = await waitFor(
      async () => {
        await fetch(`http://${listen}/-/healthy`);
        return residentMb(pid, 'VmRSS');
      },
      { what: 'the exporter to listen' },
    );
    counter.take();
    const coldStartMs = performance.now();
    const first = await scrape();
    const coldMs = performance.now() - coldStartMs;
    const coldRequests = counter.take();
    const took = { sweep: [] as number[], scrape: [] as number[] };
    let page = first;
    let requests: Readonly<Record<string, number>> = {};
    let cpuBefore = 0;
    for (let round = -warmUp; round < rounds; round++) {
      counter.take();
      if (round === 0) cpuBefore = cpuSeconds(pid);
      const startedMs = performance.now();
      page = await scrape();
      const tookMs = performance.now() - startedMs;
      requests = counter.take();
      if (round < 0) continue;
      took.scrape.push(tookMs);
      took.sweep.push(1000 * valueOf(page, 'pipemedic_collector_duration_seconds', 'kafka_lag'));
    }
    const lags = [...page.matchAll(/^kafka_consumergroup_lag\{.*\} (\d+)$/gm)];
    if (lags.length !== count * partitions || lags.some(([, lag]) => Number(lag) < records - 1)) {
      throw new Error(
        `${String(lags.length)} lags are not ${String(count * partitions)} of at least ${String(records - 1)}`,
      );
    }
    print(
      JSON.stringify({
        groups: count,
        'group partitions': lags.length,
        series: page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length,
        'page MB': Number((page.length / 1e6).toFixed(1)),
        'sweep ms, median': Math.round(median(took.sweep)),
        'scrape ms, median': Math.round(median(took.scrape)),
        'scrape ms, longest': Math.round(Math.max(...took.scrape)),
        'first scrape ms': Math.round(coldMs),
        'first sweep ms': Math.round(1000 * valueOf(first, 'pipemedic_collector_duration_seconds', 'kafka_lag')),
        'idle MB': Math.round(idle),
        'resident MB': Math.round(residentMb(pid, 'VmRSS')),
        'peak MB': Math.round(residentMb(pid, 'VmHWM')),
        'cpu ms of a scrape': Math.round((1000 * (cpuSeconds(pid) - cpuBefore)) / rounds),
      }),
    );
    print(`requests of the first scrape ${JSON.stringify(coldRequests)}`);
    print(`requests of a scrape ${JSON.stringify(requests)}`);
    return requests;
  } finally {
    process.off('exit', orphaned);
    child.kill('SIGTERM');
    await ended;
  }
}

function valueOf(page: string, name: string, collector: string): number {
  const line = page.split('\n').find((l) => l.startsWith(`${name}{`) && l.includes(`collector="${collector}"`));
  return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? NaN);
}

function residentMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN) / 1024;
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function topicOf(t: number): string {
  return `bench-topic-${String(t)}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
