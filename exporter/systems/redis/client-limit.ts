// How much a server may answer before it is taken for none.
import type { Readable } from 'node:stream';
import { TargetError } from '../../runtime/errors.ts';

/** INFO ALL, the largest of what a sweep asks for, has some 10 kB, and 1 MB with ten thousand commands and errors. */
export const mostReplyBytes = 64 * 1024 * 1024;

/** Told of each command, because replies have no frame of their own that says where they end. */
export interface ReplyLimit {
  readonly sent: () => void;
  readonly answered: () => void;
}

/** The library collects replies of any size in memory: this ends the connection by `fail` before that. */
export function limitReplies(
  stream: Readable,
  fail: (why: TargetError) => void,
  mostBytes: number = mostReplyBytes,
): ReplyLimit {
  let waiting = 0;
  let bytes = 0;
  stream.prependListener('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= mostBytes) return;
    bytes = -Infinity; // once
    fail(new TargetError('protocol', `replies of more than ${String(Math.round(mostBytes / 1024 / 1024))} MiB`));
  });
  return {
    sent: () => {
      // Those that are under way at the same time share the room.
      if (waiting === 0) bytes = 0;
      waiting += 1;
    },
    answered: () => {
      waiting -= 1;
    },
  };
}
