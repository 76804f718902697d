import { connect, type Socket } from 'node:net';

/** A connection to a unix socket. @throws what the system says; then not a byte of any request was sent */
export function openUnixSocket(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error('the deadline was over before the request was sent'));
      return;
    }
    const socket = connect(path);
    const onAbort = (): void => {
      socket.destroy(new Error('the deadline was over before the request was sent'));
    };
    const done = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    const onError = (error: Error): void => {
      done();
      reject(error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      done();
      resolve(socket);
    });
  });
}
