import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { counter, emitState, gauge, passedFamilies } from '../../families.ts';
import { classOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MaxwellClient } from './client.ts';
import { readMaxwellHttp, type Quantiles } from './facts-http.ts';
import { HalvesMemory, maxwellHalvesFact } from './facts-passing.ts';

const httpStates = ['answering', 'refused', 'silent', 'no_metrics', 'not_configured', 'unknown'] as const;
type HttpState = (typeof httpStates)[number];

const absent = { state: 'maxwell_http_state' } as const;

/** Not under the label `quantile`, which only a summary may have: Maxwell gives no sums. */
const percentiles: Readonly<Record<string, string>> = { '0.5': '50', '0.95': '95', '0.99': '99' };

interface State {
  isConfigured: boolean;
  /** Why the present run has failed, for `unknown`: what an earlier one has seen is not said again. */
  failure: HttpState;
  /** Since this exporter began to watch, over all its lives. */
  failed: number | undefined;
  /** As it said at the last look. */
  saidFailed: number | undefined;
  readonly halves: HalvesMemory;
}

/** Numbers from its HTTP server. Its own lag and health say little: see facts-http.ts. */
export const httpCollector = collectorOf<MaxwellClient>()({
  name: 'http',
  help: 'Messages, rows and reader lag from the HTTP metrics of Maxwell.',
  keeps: 'failures counted over restarts of Maxwell',
  config: z.strictObject({
    /** Serve what Maxwell tells under its own names too (MaxwellMetrics_replication_lag), for rules that know those. */
    own_names: z.boolean().default(false),
  }),
  families: {
    up: gauge('maxwell_http_up', '1 when the HTTP server of Maxwell gave its metrics.', []),
    state: gauge(
      'maxwell_http_state',
      'Whether Maxwell tells its metrics by HTTP: one series per state, 1 for the present one. silent: it accepts and does not answer in time. no_metrics: it answers, but not with its metrics (metrics_type=http).',
      ['state'],
    ),
    succeeded: counter(
      'maxwell_messages_succeeded_total',
      'Messages that its producer delivered since its start.',
      [],
      absent,
    ),
    failed: counter(
      'maxwell_messages_failed_total',
      'Messages that its producer could not deliver since its start; lost unless it stops on errors or has a dead letter topic.',
      [],
      absent,
    ),
    failedSeen: counter(
      'maxwell_messages_failed_seen_total',
      'Messages that its producer could not deliver, as seen by this exporter over all starts of Maxwell: begins with what Maxwell said at the first look. Failures between the last look and the end of a Maxwell are not seen.',
      [],
      absent,
    ),
    rows: counter('maxwell_rows_total', 'Rows that it has read from the binary log since its start.', [], absent),
    inflight: gauge(
      'maxwell_messages_inflight',
      'Messages that its producer has sent and that are not acknowledged.',
      [],
      absent,
    ),
    slo: counter(
      'maxwell_message_age_slo_violations_total',
      'Messages that were older when they were published than metrics_age_slo allows.',
      [],
      absent,
    ),
    publish: gauge(
      'maxwell_message_publish_seconds',
      'Time to publish a message: percentiles that Maxwell keeps of about the last five minutes with messages.',
      ['percentile'],
      absent,
    ),
    age: gauge(
      'maxwell_message_age_seconds',
      'Age of a change when its message was published, less half a second, as Maxwell measures it: percentiles of about the last five minutes with messages.',
      ['percentile'],
      absent,
    ),
    queue: gauge(
      'maxwell_replication_queue_seconds',
      'Time that an event waits between reader and producer: percentiles of about the last five minutes with events.',
      ['percentile'],
      absent,
    ),
    lag: gauge(
      'maxwell_replication_lag_milliseconds',
      'Lag of its binary log reader as Maxwell says it: frozen while it is idle, disconnected or blocked.',
      [],
      absent,
    ),
  },
  open: { own: passedFamilies('', 'Metrics of Maxwell under its own names, which begin with its metrics_prefix.') },
  state: (): State => ({
    isConfigured: false,
    failure: 'unknown',
    failed: undefined,
    saidFailed: undefined,
    halves: new HalvesMemory(),
  }),
  async collect({ client, config, emit, call, state }) {
    const { http, address } = client;
    state.failure = http === undefined ? 'not_configured' : 'unknown';
    if (http === undefined) {
      call.board.publish(call.target, maxwellHalvesFact, unknown('its HTTP metrics are not in the inventory'));
      emitHttpState(emit.state, 'not_configured');
      return;
    }
    state.isConfigured = true;
    const found = await readMaxwellHttp(http, address.http?.prefix, call).catch((error: unknown) => {
      if (classOf(error) === 'refused') return undefined; // that nobody listens is an answer
      state.failure = stateOf(error);
      throw error;
    });
    emit.up(found === undefined ? 0 : 1);
    emitHttpState(emit.state, found === undefined ? 'refused' : 'answering');
    if (found === undefined) {
      call.board.publish(call.target, maxwellHalvesFact, unknown('nobody listens where its HTTP metrics should be'));
      return;
    }
    const now = { monoMs: call.clock.monoMs(), wallMs: call.clock.wallMs() };
    call.board.publish(call.target, maxwellHalvesFact, known(state.halves.look(found, now), now.wallMs));
    const put = (fact: Known<number>, number: (value: number) => void): void => {
      if (fact.known) number(fact.value);
    };
    put(found.messagesSucceeded, emit.succeeded);
    put(found.messagesFailed, emit.failed);
    put(found.messagesFailed, (said) => {
      emit.failedSeen(remember(state, said));
    });
    put(found.rowCount, emit.rows);
    put(found.inflight, emit.inflight);
    put(found.ageSloViolations, emit.slo);
    put(found.replicationLagMs, emit.lag);
    emitQuantiles(emit.publish, found.publishTime);
    emitQuantiles(emit.age, found.messageAge);
    emitQuantiles(emit.queue, found.queueTime);
    if (config.own_names) for (const series of found.own) emit.own(series);
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, maxwellHalvesFact, unknown(why));
    if (state.isConfigured) emit.up(0);
    emitHttpState(emit.state, state.failure);
    if (state.isConfigured) state.failure = 'unknown';
  },
});

function stateOf(error: unknown): HttpState {
  const found = classOf(error);
  if (found === 'deadline') return 'silent';
  return found === 'protocol' ? 'no_metrics' : 'unknown';
}

/** A number below that of the last look is that of another start, and counts from 0. */
function remember(state: State, said: number): number {
  const before = state.saidFailed ?? 0;
  state.failed = (state.failed ?? 0) + (said >= before ? said - before : said);
  state.saidFailed = said;
  return state.failed;
}

function emitHttpState(emit: (value: number, labels: { readonly state: string }) => void, current: HttpState): void {
  emitState(
    (value, state) => {
      emit(value, { state });
    },
    httpStates,
    current,
  );
}

function emitQuantiles(
  emit: (value: number, labels: { readonly percentile: string }) => void,
  found: Known<Quantiles>,
): void {
  if (!found.known) return;
  for (const { quantile, seconds } of found.value) {
    const percentile = percentiles[quantile];
    if (percentile !== undefined) emit(seconds, { percentile });
  }
}
