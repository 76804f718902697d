// How much a broker may answer before it is taken for none.
import type { Readable } from 'node:stream';
import { answerBudget } from '../../runtime/answer-budget.ts';
import { TargetError } from '../../runtime/errors.ts';

/** Metadata of 100,000 partitions with three replicas are below 10 MB, commits of a thousand groups in them are told by group. */
const mostFrameBytes = 256 * 1024 * 1024;

const sizeBytes = 4;

/** An alert or a handshake of TLS, of any version: what a port with TLS answers to plain text. RFC 8446, 5.1 */
function isTls(begin: Buffer): boolean {
  return (begin[0] === 0x15 || begin[0] === 0x16) && begin[1] === 3;
}

/**
 * Every answer begins with its size, and the library collects any number of bytes until it is whole: this ends the
 * connection by `fail` as soon as a size is too large. Has to begin where an answer begins.
 *
 * @see https://kafka.apache.org/protocol.html#protocol_common
 */
export function limitFrames(
  stream: Readable,
  fail: (why: TargetError) => void,
  mostBytes: number = mostFrameBytes,
  budget = answerBudget,
): void {
  /** Of the answer that is being read. */
  let left = 0;
  const size = Buffer.alloc(sizeBytes);
  let known = 0;
  let failed = false;
  const held = budget.begin();
  const refuse = (why: TargetError): void => {
    failed = true;
    stream.removeListener('data', onData);
    held.end();
    fail(why);
  };
  const onData = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length && !failed;) {
      if (left > 0) {
        const read = Math.min(left, chunk.length - at);
        left -= read;
        at += read;
        const full = held.add(read);
        if (full !== undefined) refuse(full);
        else if (left === 0) held.end();
        continue;
      }
      size[known++] = chunk[at++] ?? 0;
      if (known < sizeBytes) continue;
      known = 0;
      left = size.readUInt32BE();
      if (left <= mostBytes) continue;
      refuse(
        isTls(size)
          ? new TargetError('tls', 'the broker speaks TLS on this port: set tls')
          : new TargetError(
              'protocol',
              `an answer of ${String(left)} bytes, more than ${String(mostBytes)} are not read`,
            ),
      );
    }
  };
  stream.prependListener('data', onData);
  stream.once('close', held.end);
}
