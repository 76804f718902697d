// A TCP link whose present connections can be made to hang, as after the loss of a NAT's table: nothing passes on them any
// more, not even their end, while new ones work.
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Place {
  readonly host: string;
  readonly port: number;
}

export class HalfOpenLink implements AsyncDisposable {
  readonly #from: Place;
  readonly #to: Place;
  readonly #sockets = new Set<Socket>();
  readonly #frozen = new WeakSet<Socket>();
  #server: Server | undefined;

  constructor(from: Place, to: Place) {
    this.#from = from;
    this.#to = to;
  }

  async open(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ ...this.#to, allowHalfOpen: true });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        // prettier-ignore
        this.#sockets.add(socket);
        socket.on('error', () => undefined); // 'close' follows
        socket.on('close', () => {
          this.#sockets.delete(socket);
          if (!this.#frozen.has(socket)) other.destroy();
        });
        socket.pipe(other);
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...this.#from, exclusive: true }, resolve);
    });
    this.#server = server;
  }

  freeze(): void {
    for (const socket of this.#sockets) {
      this.#frozen.add(socket);
      socket.unpipe();
      socket.pause();
    }
  }

  /** Ends every connection and refuses new ones. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    return Promise.resolve();
  }
}
