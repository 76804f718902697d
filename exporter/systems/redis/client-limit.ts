// How much a server may answer before it is taken for none.
import type { Readable } from 'node:stream';
import { answerBudget } from '../../runtime/answer-budget.ts';
import { TargetError } from '../../runtime/errors.ts';
import { ReplyFrames } from './client-frames.ts';

/** INFO ALL, the largest of what a sweep asks for, has some 10 kB, and 1 MB with ten thousand commands and errors. */
export const mostReplyBytes = 64 * 1024 * 1024;

/**
 * Replies that nobody asked for: a server that lets nobody in says why at once. ioredis makes an error with a stack trace of
 * each one, so 64 MiB of the shortest kept the program busy for minutes (seen on 6.0.0).
 */
const mostUnasked = 16;

/** Told of each command, because replies have no frame of their own that says where they end. */
export interface ReplyLimit {
  readonly sent: () => void;
  readonly answered: () => void;
}

/** The library takes in replies of any size and shape: this ends the connection by `fail` before it sees such a one. */
export function limitReplies(
  stream: Readable,
  fail: (why: TargetError) => void,
  mostBytes: number = mostReplyBytes,
  budget = answerBudget,
): ReplyLimit {
  const frames = new ReplyFrames();
  let sent = 0;
  let waiting = 0;
  let bytes = 0;
  let isOver = false;
  const held = budget.begin();
  stream.once('close', held.end);
  const faultOf = (chunk: Buffer): TargetError | string | undefined => {
    bytes += chunk.length;
    if (bytes > mostBytes) return `replies of more than ${String(Math.round(mostBytes / 1024 / 1024))} MiB`;
    const wrong =
      frames.look(chunk) ?? (frames.whole > sent + mostUnasked ? 'replies to nothing that was asked' : undefined);
    return wrong ?? held.add(chunk.length);
  };
  // A listener of ours could only look on: the others would be given the same bytes.
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...given: unknown[]): boolean => {
    if (event !== 'data') return emit(event, ...given);
    if (isOver) return true;
    const [chunk] = given;
    const fault = Buffer.isBuffer(chunk) ? faultOf(chunk) : 'replies as text';
    if (fault === undefined) return emit(event, ...given);
    isOver = true;
    held.end();
    fail(typeof fault === 'string' ? new TargetError('protocol', fault) : fault);
    return true;
  };
  return {
    sent: () => {
      // Those that are under way at the same time share the room.
      if (waiting === 0) bytes = 0;
      waiting += 1;
      sent += 1;
    },
    answered: () => {
      waiting -= 1;
      if (waiting === 0) held.end();
    },
  };
}
