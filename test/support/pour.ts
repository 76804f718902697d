import type { Socket } from 'node:net';

/** The same again and again, as fast as it is read, until the other side has had enough. */
export function pour(socket: Socket, chunk: Buffer): void {
  const write = (): void => {
    while (!socket.destroyed) {
      if (socket.write(chunk)) continue;
      socket.once('drain', write);
      return;
    }
  };
  write();
}
