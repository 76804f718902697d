/** Which bytes of the service's log file belong to one incarnation, also after the file was moved or emptied. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { z } from 'zod';
import { codeOf, messageOf } from '../../../exporter/runtime/errors.ts';
import type { Log } from '../../../exporter/runtime/log.ts';
import type { Incarnation, LogText } from '../process-wire.ts';

/** Bytes before a position that recognise it: a file that was emptied and grew again has others there. */
const anchorBytes = 256;

const count = z.number().int().min(0);
export const logMarkSchema = z.object({
  /** Device and inode as text: they may exceed what a number holds. */
  file: z.string(),
  offset: count,
  anchor: z.string(),
  /** Set when the incarnation has ended. */
  end: z.object({ at: count, anchor: z.string(), truncated: z.boolean() }).nullable(),
});
export type LogMark = z.output<typeof logMarkSchema>;

/** Opened for append, as the service gets it, and for reading. Throws when it is not a regular file. */
export function openServiceLog(path: string): { readonly fd: number; readonly mark: LogMark } {
  const fd = openSync(path, 'a+', 0o640);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error('logFile is not a regular file');
    return { fd, mark: { file: fileOf(fd), offset: stat.size, anchor: anchorAt(fd, stat.size), end: null } };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

interface Logged {
  readonly incarnation: Incarnation;
  readonly log: LogMark;
}

/** The log files of the last incarnations as they were opened at their start: still right when the path was rotated. */
export class ServiceLogs {
  readonly #path: string;
  readonly #log: Log;
  readonly #fds = new Map<number, number>();

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  add(seq: number, fd: number): void {
    this.#fds.set(seq, fd);
  }

  keepOnly(seq: number): void {
    for (const [other, fd] of this.#fds) {
      if (other === seq) continue;
      closeSync(fd);
      this.#fds.delete(other);
    }
  }

  /** The mark of an incarnation that ends now. */
  seal({ incarnation, log }: Logged): LogMark {
    try {
      return sealLog(this.#fds.get(incarnation.seq) ?? null, this.#path, incarnation.pid, log);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'the log of the service could not be read');
      return { ...log, end: { at: log.offset, anchor: 'unreadable', truncated: false } };
    }
  }

  read({ incarnation, log }: Logged, maxBytes: number): Omit<LogText, 'incarnation'> {
    const fd = this.#fds.get(incarnation.seq) ?? null;
    return readServiceLog({ fd, path: this.#path, pid: incarnation.pid, mark: log }, maxBytes);
  }
}

function sealLog(fd: number | null, path: string, pid: number, mark: LogMark): LogMark {
  return withFile(fd, path, pid, mark, (file) => {
    if (file === null) return { ...mark, end: { at: mark.offset, anchor: mark.anchor, truncated: false } };
    const begin = beginOf(file, mark);
    const at = fstatSync(file).size;
    return {
      file: mark.file,
      offset: begin.at,
      anchor: anchorAt(file, begin.at),
      end: { at, anchor: anchorAt(file, at), truncated: begin.truncated },
    };
  });
}

/** The last `maxBytes` that the incarnation wrote. `fd` is the file as it was opened at its start, when still open. */
function readServiceLog(
  source: { readonly fd: number | null; readonly path: string; readonly pid: number; readonly mark: LogMark },
  maxBytes: number,
): Omit<LogText, 'incarnation'> {
  const { mark } = source;
  return withFile(source.fd, source.path, source.pid, mark, (file) => {
    if (file === null) return { text: '', omittedBytes: 0, rotation: 'lost' };
    const moved = fileAt(source.path) !== mark.file;
    const begin = beginOf(file, mark);
    if (mark.end !== null) {
      const whole = fstatSync(file).size >= mark.end.at && anchorAt(file, mark.end.at) === mark.end.anchor;
      if (begin.truncated || !whole) return { text: '', omittedBytes: 0, rotation: 'lost' };
    }
    const end = mark.end?.at ?? fstatSync(file).size;
    const from = Math.max(begin.at, end - maxBytes);
    const truncated = mark.end?.truncated ?? begin.truncated;
    return {
      text: decode(readRange(file, from, end), from > begin.at),
      omittedBytes: from - begin.at,
      rotation: truncated ? 'truncated' : moved ? 'moved' : 'none',
    };
  });
}

/** An emptied file that began empty cannot be told from one that was never written to: its text is then only shorter. */
function beginOf(fd: number, mark: LogMark): { readonly at: number; readonly truncated: boolean } {
  const whole = fstatSync(fd).size >= mark.offset && anchorAt(fd, mark.offset) === mark.anchor;
  return whole ? { at: mark.offset, truncated: false } : { at: 0, truncated: true };
}

function withFile<T>(fd: number | null, path: string, pid: number, mark: LogMark, use: (file: number | null) => T): T {
  if (fd !== null) return use(fd);
  // a supervisor that was restarted: the path, or what the process itself still has open as its stdout
  for (const candidate of [path, `/proc/${pid}/fd/1`]) {
    const opened = tryOpen(candidate);
    if (opened === null) continue;
    try {
      if (fileOf(opened) === mark.file) return use(opened);
    } finally {
      closeSync(opened);
    }
  }
  return use(null);
}

function tryOpen(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a FIFO put in its place must not block us
  } catch {
    return null;
  }
}

function fileOf(fd: number): string {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return `${String(dev)}:${String(ino)}`;
}

function fileAt(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${String(dev)}:${String(ino)}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function anchorAt(fd: number, at: number): string {
  const bytes = readRange(fd, Math.max(0, at - anchorBytes), at);
  return createHash('sha256').update(bytes).digest('hex');
}

function readRange(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(Math.max(0, to - from));
  let read = 0;
  while (read < bytes.length) {
    const n = readSync(fd, bytes, read, bytes.length - read, from + read);
    if (n === 0) break;
    read += n;
  }
  return bytes.subarray(0, read);
}

/** UTF-8; when the beginning was cut off, without the rest of a character that was cut in two. */
function decode(bytes: Buffer, cut: boolean): string {
  let from = 0;
  while (cut && from < 3 && ((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1;
  return bytes.subarray(from).toString('utf8');
}
