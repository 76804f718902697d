import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { HttpGetter } from '../jvm/facts-fetch.ts';
import { prefixOfSeries, seriesOfJson, seriesOfPage, type MaxwellSeries } from './facts-http-page.ts';

/** What Maxwell tells by HTTP. Names are those of 1.22 and 1.44. */
export interface MaxwellHttp {
  /** Of its reader only, and frozen while it is idle, disconnected or blocked: never a measure of health. */
  readonly replicationLagMs: Known<number>;
  /** Since its start. */
  readonly messagesSucceeded: Known<number>;
  readonly messagesFailed: Known<number>;
  readonly rowCount: Known<number>;
  /** Only of producers that do not wait for each message. */
  readonly inflight: Known<number>;
  /** Messages that were published later than metrics_age_slo allows. */
  readonly ageSloViolations: Known<number>;
  /** Quantiles of the last minutes, in seconds: decaying, and as they were when the last message went. */
  readonly publishTime: Known<Quantiles>;
  readonly messageAge: Known<Quantiles>;
  readonly queueTime: Known<Quantiles>;
  /** All that it tells, under its own names. */
  readonly own: readonly MaxwellOwn[];
}

export type Quantiles = readonly { readonly quantile: string; readonly seconds: number }[];
export type MaxwellOwn = MaxwellSeries extends ReadonlyMap<string, infer S> ? S : never;

/**
 * Reads /metrics (JSON), or /prometheus where that is not to be had, and nothing else: /diagnostic writes a heartbeat and a
 * Kafka record, and /healthcheck stays unhealthy for days after one failed message.
 *
 * @throws TargetError: refused, unreachable, deadline, protocol
 */
export async function readMaxwellHttp(http: HttpGetter, prefix: string | undefined, call: Call): Promise<MaxwellHttp> {
  const json = await http.get('/metrics', call);
  const observedAtMs = call.clock.wallMs();
  if (json.status === 200 && json.text.trimStart().startsWith('{')) {
    return maxwellHttpOf(seriesOfJson(json.text), prefix, observedAtMs);
  }
  // A proxy in front of it may let only one page through. (On Java 17 that of 1.22.6 is empty: it throws, seen.)
  const page = await http.get('/prometheus', call);
  if (page.status !== 200) {
    throw new TargetError(
      'protocol',
      `${http.url}/metrics answered with status ${json.status}, /prometheus with ${page.status}: set metrics_type=http`,
    );
  }
  return maxwellHttpOf(await seriesOfPage(page.text, call.clock, page.contentType), prefix, call.clock.wallMs());
}

export function maxwellHttpOf(
  series: MaxwellSeries,
  configured: string | undefined,
  observedAtMs: number,
): MaxwellHttp {
  const prefix = prefixOfSeries(series, configured);
  const find = (name: string): Known<MaxwellOwn['samples']> => {
    if (prefix === undefined) return unknown('the metrics hold no messages_failed, or several: set prefix');
    const found = series.get(`${prefix}${name}`);
    return found === undefined ? unknown(`the metrics hold no ${prefix}${name}`) : known(found.samples, observedAtMs);
  };
  const read = (name: string): Known<number> => {
    const found = find(name);
    const value = found.known ? found.value[0]?.value : undefined;
    if (!found.known) return found;
    return value === undefined ? unknown(`${name} has no value`) : known(value, observedAtMs);
  };
  const quantiles = (name: string): Known<Quantiles> => {
    const found = find(name);
    // Before the first message all of them are 0: nothing was measured
    const count = read(`${name}_count`);
    if (!found.known) return found;
    if (!count.known || count.value === 0) return unknown('nothing was measured yet');
    return known(
      found.value.map(({ labels, value }) => ({ quantile: labels.get('quantile') ?? '', seconds: value })),
      observedAtMs,
    );
  };
  return {
    replicationLagMs: read('replication_lag'),
    messagesSucceeded: read('messages_succeeded'),
    messagesFailed: read('messages_failed'),
    rowCount: read('row_count'),
    inflight: read('inflightmessages_count'),
    ageSloViolations: read('message_publish_age_slo_violation'),
    publishTime: quantiles('message_publish_time'),
    messageAge: quantiles('message_publish_age'),
    queueTime: quantiles('replication_queue_time'),
    own: prefix === undefined ? [] : [...series.values()].filter(({ name }) => name.startsWith(prefix)),
  };
}
