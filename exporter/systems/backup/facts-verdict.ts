// Is one dump complete? Evidence is inside the file: the compression's check sum and the line that mysqldump and
// mariadb-dump write last. `gzip -t` alone is not enough: it is content with a dump that failed before it was compressed.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Clock } from '../../runtime/clock.ts';
import { pause } from '../../runtime/deadline.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';

/** `complete`, or what is wrong. */
export const verdictClasses = ['complete', 'empty', 'truncated', 'corrupt', 'not_a_dump', 'no_trailer'] as const;

export interface Verdict {
  readonly class: (typeof verdictClasses)[number];
  /** For people. */
  readonly why: string;
  /** From the trailer, read as local time of this machine: the writer's zone is not written there. */
  readonly trailerAtMs: number | undefined;
}

export interface Reading {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

const headBytes = 4_096;
const tailBytes = 4_096;
const chunkBytes = 256 * 1_024;
/** A machine that slept, or a disk that hung, is no reason to rest as long. */
const restAtMostMs = 500;

/**
 * Reads a gzip file through to its end, and of a plain one only both ends. It rests as long as it works, so that it
 * takes at most half a core and half the disk.
 * @throws what reading the file throws
 */
export async function judgeDump(path: string, reading: Reading): Promise<Verdict> {
  const { size, magic } = await beginningOf(path);
  if (size === 0) return { class: 'empty', why: 'the file is empty', trailerAtMs: undefined };
  if (magic[0] === 0x1f && magic[1] === 0x8b) return await judgeGzip(path, reading);
  if (path.endsWith('.gz')) return { class: 'corrupt', why: 'it is named .gz and is no gzip', trailerAtMs: undefined };
  return judgeText(await bothEnds(path));
}

async function beginningOf(path: string): Promise<{ size: number; magic: Buffer }> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
  return { size, magic: buffer.subarray(0, bytesRead) };
}

async function bothEnds(path: string): Promise<Ends> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const head = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
  const tail = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, Math.max(0, size - tailBytes));
  return { head: head.buffer.subarray(0, head.bytesRead), tail: tail.buffer.subarray(0, tail.bytesRead) };
}

async function judgeGzip(path: string, { signal, clock }: Reading): Promise<Verdict> {
  let head = Buffer.alloc(0);
  let tail = Buffer.alloc(0);
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: chunkBytes }),
      createGunzip({ chunkSize: chunkBytes }),
      async (source: AsyncIterable<Buffer>) => {
        let since = clock.monoMs();
        for await (const chunk of source) {
          if (head.length < headBytes) head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
          tail = Buffer.concat([tail, chunk.subarray(-tailBytes)]).subarray(-tailBytes);
          const workedMs = clock.monoMs() - since;
          if (workedMs < 5) continue;
          await pause(Math.min(workedMs, restAtMostMs), signal);
          since = clock.monoMs();
        }
      },
      { signal },
    );
  } catch (error) {
    const code = codeOf(error);
    // zlib's codes: an end before the end, and everything else that is wrong with the data
    if (code === 'Z_BUF_ERROR') {
      return { class: 'truncated', why: 'the gzip file ends before its end', trailerAtMs: undefined };
    }
    if (code?.startsWith('Z_') === true) {
      return { class: 'corrupt', why: `the gzip file is damaged: ${messageOf(error)}`, trailerAtMs: undefined };
    }
    throw error;
  }
  return judgeText({ head, tail });
}

interface Ends {
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** Seen on mariadb-dump 10.19: a sandbox comment, then `-- MariaDB dump …`; with --skip-comments only the SET lines. */
const looksLikeDump = /^-- (MySQL|MariaDB) dump |^\/\*M?!\d{5}/m;

// mysqldump pads the hour with a blank; --skip-dump-date leaves the date out
const trailer = /^-- Dump completed(?: on (\d{4})-(\d\d)-(\d\d) +(\d{1,2}):(\d\d):(\d\d))?/;

function judgeText({ head, tail }: Ends): Verdict {
  if (head.length === 0) return { class: 'empty', why: 'there is nothing in the gzip file', trailerAtMs: undefined };
  const last = tail.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
  const found = trailer.exec(last);
  if (!looksLikeDump.test(head.toString('utf8'))) {
    return { class: 'not_a_dump', why: 'it does not begin like a dump of mysqldump', trailerAtMs: undefined };
  }
  if (found === null) {
    return {
      class: 'no_trailer',
      why: 'its last line is not "-- Dump completed": the dump was cut off, or made with --skip-comments or --compact, which cannot be told from that',
      trailerAtMs: undefined,
    };
  }
  const [, year, month, day, hour, minute, second] = found.map(Number);
  const dated = found[1] !== undefined;
  return {
    class: 'complete',
    why: 'its last line is "-- Dump completed"',
    trailerAtMs: dated ? new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute, second).getTime() : undefined,
  };
}
