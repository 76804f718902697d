// The only files that know the Kafka library are this one, client-session.ts and client-tail.ts. The library's Admin rejects a whole call
// when one group, partition or broker is at fault, and throws inside the socket's callback for groups of Kafka Connect;
// so only its connections and its list of versions are used, with the protocol's own requests: each is sent once per
// broker, and each item keeps its own error.
import { isIP } from 'node:net';
import {
  Admin,
  protocolErrorsCodesById,
  ResponseError,
  type API,
  type Connection,
  type metadataV12,
} from '@platformatic/kafka';
import type { Call } from '../../collector.ts';
import { until } from '../../runtime/deadline.ts';
import { messageOf, type TargetError } from '../../runtime/errors.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import type { Broker } from './facts-cluster.ts';
import { newestOf, sent, type Versions } from './client-apis.ts';
import { kafkaError, type Way } from './client-errors.ts';
import { limitFrames } from './client-limit.ts';

/** Kafka's time-outs are a safety net below the deadline of each call, which closes the client. */
const connectTimeoutMs = 3_000;
const requestTimeoutMs = 10_000;

export type Node = Pick<Broker, 'host' | 'port'>;

export interface WireOptions {
  readonly brokers: readonly Node[];
  readonly tls:
    | { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly serverName: string | undefined }
    | undefined;
  readonly sasl:
    | {
        readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
        readonly username: string;
        readonly password: string;
      }
    | undefined;
}

export class KafkaWire {
  readonly #admin: Admin;
  readonly #bootstrap: readonly Node[];
  readonly #way: Way;
  /** Why a connection was ended here: the library says only that it was closed. */
  #refused: TargetError | undefined;
  #versions: Versions | undefined;
  #brokers: readonly Broker[] = [];

  constructor({ brokers, tls, sasl }: WireOptions) {
    this.#bootstrap = brokers;
    this.#way = { tls: tls !== undefined, user: sasl !== undefined };
    const { serverName, ...files } = tls ?? { serverName: undefined };
    this.#admin = new Admin({
      clientId: 'pipemedic',
      bootstrapBrokers: [...brokers],
      retries: 0,
      connectTimeout: connectTimeoutMs,
      // Not in the library's option schema, and `timeout` is something else: a test sees to it that it works
      requestTimeout: requestTimeoutMs,
      ...(tls === undefined
        ? {}
        : { tls: files, tlsServerName: serverName ?? !brokers.every(({ host }) => isIP(host) > 0) }),
      ...(sasl === undefined ? {} : { sasl }),
    });
    // A connection can fail twice (an alert of TLS, then its end), and the library listens for the first time only: the
    // second would end the process (seen with 2.12.1 on a listener that wants a certificate).
    this.#admin.connections.on('connecting', ({ connection }) => {
      connection.on('error', () => undefined);
      // Its socket is made right after this event.
      queueMicrotask(() => {
        const { socket } = connection as { readonly socket?: Connection['socket'] };
        if (socket === undefined) return;
        limitFrames(socket, (why) => {
          this.#refused = why;
          socket.destroy(why);
        });
      });
    });
  }

  get closed(): boolean {
    return this.#admin.closed;
  }

  async close(): Promise<void> {
    await this.#admin.close().catch(() => undefined); // what it held is gone either way
  }

  /** Runs `work` once per coordinator with its groups; what fails is unknown for these groups only. */
  async atCoordinators<T>(
    call: Call,
    groups: readonly string[],
    found: Map<string, Known<T>>,
    work: (coordinator: Node, groups: readonly string[]) => Promise<void>,
  ): Promise<void> {
    if (groups.length === 0) return;
    const api = await this.api(call, 'FindCoordinator', ...sent.FindCoordinator);
    const answer = await this.send(call, 'FindCoordinator', undefined, (c) => api.async(c, 0, [...groups]));
    const nodes = new Map<number, Node>();
    for (const c of answer.coordinators) {
      if (c.errorCode === 0) nodes.set(c.nodeId, c);
      else found.set(c.key, unknown(`FindCoordinator: ${errorName(c.errorCode)}`));
    }
    const byNode = groupBy(
      answer.coordinators.filter((c) => c.errorCode === 0),
      (c) => c.nodeId,
    );
    await Promise.all(
      [...nodes].map(async ([id, node]) => {
        const keys = (byNode.get(id) ?? []).map((c) => c.key);
        try {
          await work(node, keys);
        } catch (error) {
          const why = this.mustGoOn(call, error);
          for (const key of keys) if (!found.has(key)) found.set(key, unknown(why));
        }
      }),
    );
    for (const group of groups) if (!found.has(group)) found.set(group, unknown('no answer for the group'));
  }

  /** `topics` null: all. */
  async metadata(call: Call, topics: [] | null): Promise<Awaited<ReturnType<typeof metadataV12.api.async>>> {
    const api = await this.api(call, 'Metadata', ...sent.Metadata);
    // Never create a topic by asking for it
    const answer = await this.send(call, 'Metadata', undefined, (c) => api.async(c, topics, false, false));
    this.#brokers = answer.brokers.map(brokerOf);
    return answer;
  }

  async brokers(call: Call): Promise<readonly Broker[]> {
    if (this.#brokers.length === 0) await this.metadata(call, []);
    return this.#brokers;
  }

  /** The newest version that both sides know. */
  async api<A extends unknown[], R>(
    call: Call,
    name: string,
    ...candidates: readonly { readonly api: API<A, R> }[]
  ): Promise<API<A, R>> {
    if (this.#versions === undefined) {
      const apis = await this.#within(call, 'ApiVersions', this.#admin.listApis());
      this.#versions = new Map(apis.map((a) => [a.name, a]));
    }
    return newestOf(this.#versions, name, candidates);
  }

  /** `to` undefined: any broker. */
  async send<T>(call: Call, what: string, to: Node | undefined, request: (c: Connection) => Promise<T>): Promise<T> {
    return await this.#within(call, what, this.#connectAndSend(to, request));
  }

  async #connectAndSend<T>(to: Node | undefined, request: (c: Connection) => Promise<T>): Promise<T> {
    const pool = this.#admin.connections;
    const connection = await (to === undefined
      ? pool.getFirstAvailable([...this.#bootstrap, ...this.#brokers])
      : pool.get({ host: to.host, port: to.port }));
    try {
      return await request(connection);
    } catch (error) {
      // Thrown when any item has an error; the answer itself, where each item carries its own, is kept in it.
      if (error instanceof ResponseError && error['response'] !== undefined) return error['response'] as T;
      throw error;
    }
  }

  async #within<T>(call: Call, what: string, work: Promise<T>): Promise<T> {
    try {
      return await until(call.signal, what, work, () => {
        this.#admin.close().catch(() => undefined);
      });
    } catch (error) {
      const refused = this.#refused;
      this.#refused = undefined; // of this call, as far as can be told
      throw refused ?? kafkaError(error, what, this.#way);
    }
  }

  /** For a fault of one part: why. The deadline is no fault of a part: it ends the call. */
  mustGoOn(call: Call, error: unknown): string {
    if (call.signal.aborted || this.#admin.closed) throw error;
    return messageOf(error);
  }
}

export function brokerOf(broker: { nodeId: number; host: string; port: number }): Broker {
  return { id: broker.nodeId, host: broker.host, port: broker.port };
}

/** Map.groupBy, which the compiled target's library does not have. */
export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

export function errorName(code: number): string {
  return protocolErrorsCodesById[code] ?? `error ${code}`;
}
