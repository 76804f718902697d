import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { HttpGetter } from '../jvm/facts-fetch.ts';
import { heapOfGauges, parseDropwizard, prefixOf, type DropwizardMetrics } from '../jvm/facts-dropwizard.ts';
import type { JvmHeap } from '../jvm/facts-model.ts';

/** What Maxwell tells by HTTP. Names are those of 1.22 and 1.44. */
export interface MaxwellHttp {
  /** Of its reader only, and frozen while it is idle, disconnected or blocked: never a measure of health. */
  readonly replicationLagMs: Known<number>;
  /** Since its start. */
  readonly messagesSucceeded: Known<number>;
  readonly messagesFailed: Known<number>;
  readonly rowCount: Known<number>;
  /** With metrics_jvm=true. */
  readonly heap: Known<JvmHeap>;
}

/**
 * Reads /metrics, and nothing else: /diagnostic writes a heartbeat and a Kafka record, and /healthcheck stays unhealthy
 * for days after one failed message.
 *
 * @throws TargetError: refused, unreachable, deadline, protocol
 */
export async function readMaxwellHttp(http: HttpGetter, prefix: string | undefined, call: Call): Promise<MaxwellHttp> {
  const { status, text } = await http.get('/metrics', call);
  if (status !== 200) {
    throw new TargetError('protocol', `${http.url}/metrics answered with status ${status}: set metrics_type=http`);
  }
  return maxwellHttpOf(parseDropwizard(text), prefix, call.clock.wallMs());
}

export function maxwellHttpOf(
  metrics: DropwizardMetrics,
  configured: string | undefined,
  observedAtMs: number,
): MaxwellHttp {
  const read = (name: string): Known<number> => {
    const prefix = prefixOf(metrics, configured, name);
    if (!prefix.known) return prefix;
    const value = metrics.get(`${prefix.value}${name}`);
    return value === undefined ? unknown(`the metrics hold no ${prefix.value}${name}`) : known(value, observedAtMs);
  };
  return {
    replicationLagMs: read('replication.lag'),
    messagesSucceeded: read('messages.succeeded'),
    messagesFailed: read('messages.failed'),
    rowCount: read('row.count'),
    heap: heapOfGauges(metrics, configured, observedAtMs),
  };
}
