// Maxwell's own metrics, from either of its pages, under the names of its Prometheus page. Those are made of the names of
// Dropwizard by simpleclient_dropwizard 0.9.0, which calls its counters gauges, and its timers summaries in seconds.
import { TargetError } from '../../runtime/errors.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { PassedSeries } from '../../families.ts';
import { passedNames } from '../../runtime/exposition-passed.ts';
import { readPage } from '../../runtime/exposition-text.ts';

/** By name. */
export type MaxwellSeries = ReadonlyMap<string, PassedSeries>;

/** Some 100, and a few more per memory pool. */
const maxSeries = 5_000;

/** `/metrics`. @throws TargetError `protocol` */
export function seriesOfJson(text: string): MaxwellSeries {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new TargetError('protocol', 'the metrics are not JSON', { cause: error });
  }
  const found = new Map<string, PassedSeries>();
  const add = (name: string, series: Omit<PassedSeries, 'name' | 'help'>): void => {
    const own = sanitize(name);
    const samples = series.samples.filter(({ value }) => Number.isFinite(value));
    if (samples.length === 0 || found.has(own) || found.size >= maxSeries) return;
    found.set(own, { ...series, name: own, help: `Maxwell's ${name}.`, samples });
  };
  const each = (section: string, use: (name: string, metric: Readonly<Record<string, unknown>>) => void): void => {
    for (const [name, metric] of Object.entries(objectOf(objectOf(document)[section]))) use(name, objectOf(metric));
  };
  each('gauges', (name, { value }) => {
    add(name, { type: 'gauge', samples: [plain(value)] });
  });
  each('counters', (name, { count }) => {
    add(name, { type: 'gauge', samples: [plain(count)] });
  });
  each('meters', (name, { count }) => {
    add(`${name}_total`, { type: 'counter', samples: [plain(count)] });
  });
  for (const section of ['histograms', 'timers']) {
    each(section, (name, metric) => {
      const factor = section === 'histograms' ? 1 : secondsPer.get(String(metric['duration_units']));
      if (factor === undefined) return;
      const samples = quantiles.map(([quantile, field]) => ({
        labels: new Map([['quantile', quantile]]),
        value: numberOf(metric[field]) * factor,
      }));
      add(name, { type: 'untyped', samples });
      add(`${name}_count`, { type: 'untyped', samples: [plain(metric['count'])] });
    });
  }
  return found;
}

/** `/prometheus`. @throws TargetError `protocol` */
export async function seriesOfPage(text: string, clock: Clock, contentType?: string): Promise<MaxwellSeries> {
  const page = await readPage(text, clock, { contentType, maxSamples: maxSeries });
  return new Map(passedNames(page, () => true).names.map((series) => [series.name, series]));
}

/**
 * The metrics_prefix with its `_`: as configured, or what stands before the name of a metric that every Maxwell has.
 * Undefined when there is none, or several.
 */
export function prefixOfSeries(series: MaxwellSeries, configured: string | undefined): string | undefined {
  if (configured !== undefined) return `${sanitize(configured)}_`;
  const known = 'messages_failed';
  const found = [...series.keys()].filter((name) => name === known || name.endsWith(`_${known}`));
  const [only] = found;
  return only === undefined || found.length > 1 ? undefined : only.slice(0, -known.length);
}

const secondsPer: ReadonlyMap<string, number> = new Map(
  Object.entries({
    seconds: 1,
    milliseconds: 1e-3,
    microseconds: 1e-6,
    nanoseconds: 1e-9,
  }),
);

const quantiles = [
  ['0.5', 'p50'],
  ['0.75', 'p75'],
  ['0.95', 'p95'],
  ['0.98', 'p98'],
  ['0.99', 'p99'],
  ['0.999', 'p999'],
] as const;

/** As Collector.sanitizeMetricName of simpleclient does it. */
function sanitize(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9:_]/g, '_').replace(/^(\d)/, '_$1');
}

function plain(value: unknown): PassedSeries['samples'][number] {
  return { labels: new Map(), value: numberOf(value) };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : NaN; // NaN never leaves this file
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
