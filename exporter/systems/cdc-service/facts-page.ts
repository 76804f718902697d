// Numbers from the service's own Prometheus page, and from Debezium's.
import type { Call } from '../../collector.ts';
import { passedNames, type PassedName } from '../../runtime/exposition-passed.ts';
import { readPage, type Page, type PageSample } from '../../runtime/exposition-text.ts';
import { largestOf } from '../../runtime/extremes.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { HttpGetter } from '../jvm/facts-fetch.ts';
import { readEndpoint, type Endpoint } from './facts-endpoint.ts';

/** What is passed on begins with it; the names of ours never do. */
export const servicePrefix = 'cdc_';
const oursPrefix = 'cdc_service_';
export const debeziumPrefix = 'debezium_';

/** Far more than a service has; together with the series_limit of the target. */
const maxSamples = 5_000;

export function readMetricsPage(http: HttpGetter | undefined, prefix: string, call: Call): Promise<Endpoint<Page>> {
  return readEndpoint(http, '', call, ({ text, contentType }) =>
    readPage(text, call.clock, { contentType, maxSamples, wanted: (name) => name.startsWith(prefix) }),
  );
}

/** A sample with a time of its own that is older than this is not of now. */
const staleMs = 60_000;

export const droppedReasons = ['nan', 'duplicate', 'too_long', 'over_limit', 'labels', 'stale', 'name'] as const;
export type DroppedReason = (typeof droppedReasons)[number];

/** @param belongs to this target: a page may be that of several connectors */
export function passedOf(
  page: Page,
  nowMs: number,
  belongs: (sample: PageSample) => boolean = () => true,
): { readonly names: readonly PassedName[]; readonly dropped: Readonly<Record<DroppedReason, number>> } {
  let stale = 0;
  let name = 0;
  const { names, left } = passedNames(page, (sample) => {
    if (!belongs(sample)) return false;
    // They would pass for ours.
    if (sample.name.startsWith(oursPrefix) || sample.name.includes(':')) name += 1;
    else if (isStale(sample, nowMs)) stale += 1;
    else return true;
    return false;
  });
  const { nan, duplicate, tooLong, overLimit } = page.dropped;
  return { names, dropped: { nan, duplicate, too_long: tooLong, over_limit: overLimit, labels: left, stale, name } };
}

export function isStale({ timestampMs }: PageSample, nowMs: number): boolean {
  return timestampMs !== undefined && nowMs - timestampMs > staleMs;
}

export interface ServiceNumbers {
  /** The largest, when there is one per table or source. */
  readonly lagSeconds: Known<number>;
  /** Of all queues together. */
  readonly queueDepth: Known<number>;
}

export function serviceNumbersOf(page: Endpoint<Page>, nowMs: number): ServiceNumbers {
  if (page.state !== 'ok') return { lagSeconds: unknown(page.why), queueDepth: unknown(page.why) };
  const { samples } = page.value;
  return {
    lagSeconds: combined(samples, 'cdc_binlog_lag_seconds', nowMs, largestOf),
    queueDepth: combined(samples, 'cdc_queue_depth', nowMs, (values) => values.reduce((a, b) => a + b, 0)),
  };
}

/** Unknown when one of the series has no value: it could be the worst. */
function combined(
  samples: readonly PageSample[],
  name: string,
  nowMs: number,
  by: (values: readonly number[]) => number,
): Known<number> {
  const found = samples.filter((s) => s.name === name);
  if (found.length === 0) return unknown(`its page has no ${name}`);
  if (found.some((s) => isStale(s, nowMs))) return unknown(`${name} on its page is from a while ago`);
  // -1 is how a service says that it does not know
  if (!found.every((s) => Number.isFinite(s.value) && s.value >= 0)) return unknown(`${name} on its page is no number`);
  return known(by(found.map((s) => s.value)), nowMs);
}
