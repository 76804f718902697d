// A TCP link of the lab that can be broken on purpose.
import { connect, createServer, type Socket } from 'node:net';

export interface Link {
  readonly name: string;
  readonly state: 'open' | 'cut' | 'blackhole';
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Keeps connections open and accepts new ones, and passes nothing either way, not even an end of connection. */
  blackhole(): Promise<void>;
  /** Passes again, also what was held back meanwhile, like a network that heals. */
  restore(): Promise<void>;
  close(): void;
}

export interface LinkOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly to: { readonly host: string; readonly port: number };
}

interface Pair {
  readonly client: Socket;
  server: Socket | undefined;
}

export class TcpProxy implements Link {
  readonly name: string;
  readonly #options: LinkOptions;
  readonly #pairs = new Set<Pair>();
  #state: Link['state'] = 'open';
  #listener: ReturnType<typeof createServer> | undefined;

  constructor(options: LinkOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get state(): Link['state'] {
    return this.#state;
  }

  async open(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      this.#accept(client);
    });
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ host: this.#options.host, port: this.#options.port, exclusive: true }, resolve);
    });
    listener.unref();
    this.#listener = listener;
  }

  cut(): Promise<void> {
    this.#state = 'cut';
    this.close();
    return Promise.resolve();
  }

  async blackhole(): Promise<void> {
    await this.open();
    this.#state = 'blackhole';
    for (const pair of this.#pairs) hold(pair);
  }

  async restore(): Promise<void> {
    await this.open();
    this.#state = 'open';
    for (const pair of this.#pairs) {
      if (pair.client.destroyed || pair.server?.destroyed === true) this.#drop(pair);
      else this.#join(pair);
    }
  }

  close(): void {
    this.#listener?.close();
    this.#listener = undefined;
    for (const pair of this.#pairs) end(pair);
    this.#pairs.clear();
  }

  #accept(client: Socket): void {
    client.unref();
    const pair: Pair = { client, server: undefined };
    this.#pairs.add(pair);
    this.#endTogether(pair, client);
    if (this.#state === 'open') this.#join(pair);
  }

  #join(pair: Pair): void {
    if (pair.server === undefined) {
      const server = connect({ ...this.#options.to, allowHalfOpen: true });
      server.unref();
      pair.server = server;
      this.#endTogether(pair, server);
    }
    pair.client.pipe(pair.server);
    pair.server.pipe(pair.client);
  }

  #endTogether(pair: Pair, socket: Socket): void {
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      // Node goes on reading a paused socket until its buffer is full, so a reset is seen even then: the other side must not
      if (this.#state !== 'blackhole') this.#drop(pair);
    });
  }

  #drop(pair: Pair): void {
    end(pair);
    this.#pairs.delete(pair);
  }
}

function hold({ client, server }: Pair): void {
  if (server === undefined) return;
  client.unpipe(server);
  server.unpipe(client);
  client.pause();
  server.pause();
}

function end({ client, server }: Pair): void {
  client.destroy();
  server?.destroy();
}
