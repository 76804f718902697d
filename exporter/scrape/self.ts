import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type MetricObjectWithValues,
  type MetricValue,
} from 'prom-client';
import type { Family } from '../families.ts';
import { selfFamilies } from '../graph.ts';
import type { Clock } from '../runtime/clock.ts';
import { SeriesIndex } from './series-index.ts';
import { SampleWriter, type Block, type Header } from './writer.ts';

/** The program's own metrics: process, HTTP, configuration. They carry no target. */
export interface Self {
  /** The returned function is called when the scrape has been answered. */
  readonly scrapeStarted: () => () => void;
  readonly answered: (handler: string, status: number) => void;
  readonly inventoryRead: (ok: boolean) => void;
  readonly fault: (part: string) => void;
  /** What this program has done, the scrape that asks included. */
  readonly blocks: () => Promise<Block[]>;
  /** Of the process and its runtime. It takes about as long as a small target, so it is best asked while targets are. */
  readonly processBlocks: () => Promise<Block[]>;
}

export function createSelf(version: string, clock: Clock): Self {
  const registry = new Registry();
  const registers = [registry];
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: 1000 }); // not read: see watchEventLoop
  watchEventLoop(ofProcess);
  // Gauges in spite of their names, which OpenMetrics keeps for counters.
  for (const what of ['handles', 'requests', 'resources']) ofProcess.removeSingleMetric(`nodejs_active_${what}_total`);
  const gaugeOf = ({ name, help, labels }: Family): Gauge => new Gauge({ name, help, labelNames: labels, registers });
  gaugeOf(selfFamilies.buildInfo).set({ version, node: process.version }, 1);
  const reloadSuccessful = gaugeOf(selfFamilies.reloadSuccessful);
  const reloadTimestamp = gaugeOf(selfFamilies.reloadTimestamp);
  const inFlight = gaugeOf(selfFamilies.scrapesInFlight);
  const { name, help, labels } = selfFamilies.faults;
  const faults = new Counter({ name, help, labelNames: labels, registers });
  const requests = new Counter({
    name: 'pipemedic_exporter_http_requests_total',
    help: 'Requests answered, by handler and status.',
    labelNames: ['handler', 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'pipemedic_exporter_scrape_duration_seconds',
    help: 'Time from the arrival of a scrape until its answer was handed to the network.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  return {
    scrapeStarted: () => {
      const startedAtMs = clock.monoMs();
      inFlight.inc();
      return () => {
        inFlight.dec();
        duration.observe((clock.monoMs() - startedAtMs) / 1000);
      };
    },
    answered: (handler, status) => {
      requests.inc({ handler, code: String(status) });
    },
    inventoryRead: (ok) => {
      reloadSuccessful.set(ok ? 1 : 0);
      if (ok) reloadTimestamp.set(clock.wallMs() / 1000);
    },
    fault: (part) => {
      faults.inc({ part });
    },
    blocks: () => blocksOf(registry),
    processBlocks: async () => {
      await setImmediate(); // what was begun before shall be under way
      return blocksOf(ofProcess);
    },
  };
}

/**
 * In place of prom-client's own reading, which takes the standard deviation too: that is 0.4 ms of every scrape (seen on
 * Node 24), more than a target's status. The names are its names. Each scrape sees what was since the one before.
 */
function watchEventLoop(registry: Registry): void {
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith('nodejs_eventloop_lag_')) registry.removeSingleMetric(name);
  }
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const served: readonly (readonly [what: string, help: string, nanoseconds: () => number])[] = [
    ['max', 'Longest delay of the event loop.', () => delay.max],
    ['mean', 'Mean delay of the event loop.', () => delay.mean],
    ...[50, 90, 99].map(
      (p) => [`p${String(p)}`, `Delay of the event loop, percentile ${String(p)}.`, () => delay.percentile(p)] as const,
    ),
  ];
  for (const [i, [what, help, nanoseconds]] of served.entries()) {
    new Gauge({
      name: `nodejs_eventloop_lag_${what}_seconds`,
      help,
      registers: [registry],
      collect() {
        this.set(delay.count === 0 ? NaN : nanoseconds() / 1e9); // NaN is not served
        if (i === served.length - 1) delay.reset(); // they are collected in this order
      },
    });
  }
}

async function blocksOf(registry: Registry): Promise<Block[]> {
  return (await registry.getMetricsAsJSON()).map(blockOf);
}

/** prom-client's own text is not used: a gauge of it can be NaN, and its format is set for the whole registry. */
function blockOf(metric: MetricObjectWithValues<MetricValue<string>>): Block {
  const header: Header = { name: metric.name, type: typeOf(metric.type), help: metric.help };
  // prom-client lets samples of one name differ in their labels, the writer does not
  const writers = new Map<string, { readonly family: Family; readonly writer: SampleWriter }>();
  for (const sample of metric.values) {
    const { labels, value } = sample;
    if (Number.isNaN(value)) continue;
    const given = Object.entries(labels).map(([label, v]) => [label, String(v)] as const);
    // the lines of a histogram have their own: _bucket, _sum, _count
    const name = 'metricName' in sample ? String(sample.metricName) : metric.name;
    const labelNames = given.map(([label]) => label);
    const key = [name, ...labelNames].join();
    const kept = writers.get(key) ?? {
      family: { name, type: 'untyped', help: metric.help, labels: labelNames, level: 'graph' },
      writer: new SampleWriter({ level: 'graph' }),
    };
    writers.set(key, kept);
    kept.writer.put({ family: kept.family, value, labels: Object.fromEntries(given) });
  }
  const lines = [...writers.values()].flatMap(({ writer }) => writer.finish().map(({ bytes }) => bytes));
  return { header, bytes: Buffer.concat(lines), series: new SeriesIndex() };
}

/** Declared as a numeric enum, yet a word at run time. */
function typeOf(type: unknown): Header['type'] {
  const found = (['gauge', 'counter', 'histogram', 'summary'] as const).find((t) => t === type);
  return found ?? 'untyped';
}
