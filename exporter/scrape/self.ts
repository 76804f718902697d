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
  readonly blocks: () => Promise<Block[]>;
}

export function createSelf(version: string, clock: Clock): Self {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  // Gauges in spite of their names, which OpenMetrics keeps for counters.
  for (const what of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${what}_total`);
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
    blocks: async () => (await registry.getMetricsAsJSON()).map(blockOf),
  };
}

/** prom-client's own text is not used: a gauge of it can be NaN, and its format is set for the whole registry. */
function blockOf(metric: MetricObjectWithValues<MetricValue<string>>): Block {
  const header: Header = { name: metric.name, type: typeOf(metric.type), help: metric.help };
  const parts = metric.values.flatMap((sample) => {
    const { labels, value } = sample;
    if (Number.isNaN(value)) return [];
    const given = Object.entries(labels).map(([label, v]) => [label, String(v)] as const);
    const family = {
      // the lines of a histogram have their own: _bucket, _sum, _count
      name: 'metricName' in sample ? String(sample.metricName) : metric.name,
      type: 'untyped',
      help: metric.help,
      labels: given.map(([label]) => label),
      level: 'graph',
    } as const;
    const writer = new SampleWriter({ level: 'graph' });
    writer.put({ family, value, labels: Object.fromEntries(given) });
    return writer.finish();
  });
  return { header, bytes: Buffer.concat(parts.map((p) => p.bytes)), series: new SeriesIndex() };
}

/** Declared as a numeric enum, yet a word at run time. */
function typeOf(type: unknown): Header['type'] {
  const found = (['gauge', 'counter', 'histogram', 'summary'] as const).find((t) => t === type);
  return found ?? 'untyped';
}
