import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { counter, gauge } from '../../families.ts';
import { classOf } from '../../runtime/errors.ts';
import type { MaxwellClient } from './client.ts';
import { readMaxwellHttp, type MaxwellHttp } from './facts-http.ts';

const absent = { state: 'maxwell_http_up' } as const;

/** Numbers from its HTTP server. Its own lag and health say little: see facts-http.ts. */
export const httpCollector = collectorOf<MaxwellClient>()({
  name: 'http',
  help: 'Messages and reader lag from the HTTP metrics of Maxwell.',
  config: z.strictObject({}),
  families: {
    up: gauge('maxwell_http_up', '1 when the HTTP server of Maxwell gave its metrics.', []),
    succeeded: counter('maxwell_messages_succeeded_total', 'Messages that its producer delivered.', [], absent),
    failed: counter(
      'maxwell_messages_failed_total',
      'Messages that its producer could not deliver; lost unless it stops on errors or has a dead letter topic.',
      [],
      absent,
    ),
    lag: gauge(
      'maxwell_replication_lag_milliseconds',
      'Lag of its binary log reader as Maxwell says it: frozen while it is idle, disconnected or blocked.',
      [],
      absent,
    ),
  },
  state: () => ({ isConfigured: false }),
  async collect({ client, emit, call, state }) {
    const { http, address } = client;
    if (http === undefined) return;
    state.isConfigured = true;
    const found = await readOrRefused(() => readMaxwellHttp(http, address.http?.prefix, call));
    emit.up(found === undefined ? 0 : 1);
    if (found === undefined) return;
    if (found.messagesSucceeded.known) emit.succeeded(found.messagesSucceeded.value);
    if (found.messagesFailed.known) emit.failed(found.messagesFailed.value);
    if (found.replicationLagMs.known) emit.lag(found.replicationLagMs.value);
  },
  unknown({ emit, state }) {
    if (state.isConfigured) emit.up(0);
  },
});

/** That nobody listens is an answer; everything else that goes wrong is a failure of the collector. */
async function readOrRefused(read: () => Promise<MaxwellHttp>): Promise<MaxwellHttp | undefined> {
  try {
    return await read();
  } catch (error) {
    if (classOf(error) === 'refused') return undefined;
    throw error;
  }
}
