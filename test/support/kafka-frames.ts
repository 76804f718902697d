// A TCP proxy in front of a Kafka broker that counts requests by API, where they cannot be miscounted: on the wire.
import { connect, createServer, type Server, type Socket } from 'node:net';

// kafka/clients/src/main/resources/common/message: apiKey of each request
const apis: Readonly<Record<number, string>> = {
  2: 'ListOffsets',
  3: 'Metadata',
  9: 'OffsetFetch',
  10: 'FindCoordinator',
  15: 'DescribeGroups',
  16: 'ListGroups',
  17: 'SaslHandshake',
  18: 'ApiVersions',
  32: 'DescribeConfigs',
  36: 'SaslAuthenticate',
  69: 'ConsumerGroupDescribe',
};

export interface Frame {
  readonly api: string;
  readonly version: number;
  readonly bytes: number;
}

/** Cuts a stream of requests into frames: int32 length, int16 API key, int16 version. */
function frameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= 8) {
      const length = pending.readInt32BE(0);
      if (pending.length < 4 + length) return;
      const key = pending.readInt16BE(4);
      onFrame({ api: apis[key] ?? `API ${key}`, version: pending.readInt16BE(6), bytes: 4 + length });
      pending = pending.subarray(4 + length);
    }
  };
}

export class FrameCounter implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #frames: Frame[] = [];

  private constructor(to: { readonly host: string; readonly port: number }) {
    this.#server = createServer((client) => {
      const broker = connect(to);
      const count = frameReader((frame) => this.#frames.push(frame));
      client.on('data', count);
      client.pipe(broker);
      broker.pipe(client);
      for (const socket of [client, broker]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          broker.destroy();
        });
      }
    });
  }

  /** The broker must give this address to its clients (`advertised.listeners`). */
  static async listen(
    at: { readonly host: string; readonly port: number },
    to: { readonly host: string; readonly port: number },
  ): Promise<FrameCounter> {
    const counter = new FrameCounter(to);
    await new Promise<void>((resolve, reject) => {
      counter.#server.once('error', reject);
      counter.#server.listen({ ...at, exclusive: true }, resolve);
    });
    return counter;
  }

  /** Requests since the last time, by API. */
  take(): Readonly<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const { api } of this.#frames) found[api] = (found[api] ?? 0) + 1;
    this.#frames = [];
    return Object.fromEntries(Object.entries(found).sort(([a], [b]) => a.localeCompare(b)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
