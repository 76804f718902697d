// HTTP by hand: what no client library would send, and what comes back.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface RawAnswer {
  /** Undefined: the connection ended without an answer in HTTP. */
  readonly status: number | undefined;
  readonly head: string;
  readonly body: string;
}

export type Where = NetConnectOpts & { readonly tls?: boolean };

const patienceMs = 30_000;

function open({ tls = false, ...where }: Where): Socket {
  // whose certificate it is does not matter to somebody who attacks
  return tls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
}

/** Sends the parts, reads until the other side ends. @throws after half a minute */
export function exchange(where: Where, parts: Iterable<string | Buffer>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = open(where);
    let text = '';
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection is still open; until now: ${text.slice(0, 200)}`));
    }, patienceMs);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    // EPIPE and ECONNRESET: refused while it still sends
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      const [head = '', ...rest] = text.split('\r\n\r\n');
      resolve({ status: statusIn(head), head, body: rest.join('\r\n\r\n') });
    });
    const todo = parts[Symbol.iterator]();
    const more = (): void => {
      for (;;) {
        const next = todo.next();
        if (next.done === true || socket.destroyed) return;
        if (socket.write(next.value)) continue;
        socket.once('drain', more);
        return;
      }
    };
    more();
  });
}

function statusIn(head: string): number | undefined {
  const [, digits] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** One request after another on one connection, and on a new one where the server ended it. */
export class RawClient {
  readonly #where: Where;
  #socket: Socket | undefined;
  #text = '';
  #wake: () => void = () => undefined;

  constructor(where: Where) {
    this.#where = where;
  }

  /** @returns the status; undefined when the connection ended without one */
  async status(request: string, isHead: boolean): Promise<number | undefined> {
    const socket = this.#connected();
    this.#text = '';
    socket.write(Buffer.from(request, 'latin1'));
    const endMs = performance.now() + patienceMs;
    for (;;) {
      const at = this.#text.indexOf('\r\n\r\n');
      if (at >= 0) {
        const head = this.#text.slice(0, at);
        const length = isHead ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (this.#text.length - at - 4 >= length) {
          if (/\r\nconnection: close/i.test(head)) this.close();
          return statusIn(head);
        }
      }
      if (this.#socket === undefined) return undefined;
      if (performance.now() > endMs) throw new Error(`no answer to ${JSON.stringify(request.slice(0, 200))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #connected(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = open(this.#where);
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#text += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#wake();
    });
    return socket;
  }
}
