import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { readEndpoint } from '../cdc-service/facts-endpoint.ts';
import { openHttp } from '../jvm/facts-fetch.ts';
import type { KafkaConnectAddress } from './address.ts';
import { connectorsOf, workerOf, type Connectors, type ConnectWorker } from './facts-connectors.ts';

export interface KafkaConnectClient extends TargetClient {
  readonly url: string;
  /** @throws TargetError as readEndpoint does */
  readonly worker: (call: Call) => Promise<ConnectWorker>;
  /** All connectors by one request. 'rebalancing': the worker cannot tell now. @throws TargetError as readEndpoint does */
  readonly connectors: (call: Call) => Promise<Connectors | 'rebalancing'>;
}

/** The configurations of all connectors come with the answer. */
const bodyBytes = 32 * 1024 * 1024;
/** A worker that waits for its cluster answers late; the deadline of the scrape is mostly earlier. */
const timeoutMs = 15_000;

/** Up is an answer of GET / that names a version. */
export function openKafkaConnect({ address, auth, tls }: Opening<KafkaConnectAddress>): KafkaConnectClient {
  const http = openHttp(address.url, tls, auth, { timeoutMs, bodyBytes });
  let seen: ConnectWorker | undefined;
  let isClosed = false;
  const worker = async (call: Call): Promise<ConnectWorker> => {
    const found = await readEndpoint(http, '/', call, ({ text }) => workerOf(text));
    // So it answers while it starts (seen on 4.1.1)
    if (found.state !== 'ok') throw new TargetError('failed', `${found.why}: it is starting, or is no Kafka Connect`);
    seen = found.value;
    return seen;
  };
  return {
    url: address.url,
    worker: async (call) => seen ?? (await worker(call)),
    connectors: async (call) => {
      const path = '/connectors?expand=status&expand=info';
      // 409: "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config
      // change)", which is how a worker answers while its cluster rebalances
      const found = await readEndpoint(
        http,
        path,
        call,
        ({ status, text }) => (status === 409 ? 'rebalancing' : connectorsOf(text)),
        [409],
      );
      if (found.state !== 'ok') throw new TargetError('unsupported', found.why);
      return found.value;
    },
    ping: async (call) => {
      await worker(call);
    },
    usable: () => !isClosed,
    [Symbol.asyncDispose]: () => {
      isClosed = true;
      return Promise.resolve();
    },
  };
}
