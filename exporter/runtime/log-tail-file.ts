// One open log file, read line by line. No position is kept in memory but what a mark holds, so that any mark is exact.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { codeOf } from './errors.ts';

/** A place in a file that is found again after the file was moved or copied. */
export interface FileMark {
  /** Device and inode as text: they may exceed what a number holds. */
  readonly file: string;
  /** Where the next line begins; within a line that is too long when `skipping`. */
  readonly offset: number;
  /** The bytes before `offset`, at most `anchorBytes`, base64: a file that was emptied and grew again has others there. */
  readonly anchor: string;
  /** The rest of the line at `offset` does not count. */
  readonly skipping: boolean;
}

export interface LineSink {
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
  /** Bytes that may still be read. */
  budgetBytes: number;
}

export interface FileStat {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly isUnlinked: boolean;
}

const anchorBytes = 256;
const chunkBytes = 64 * 1024;
const newline = 0x0a;

/** A log file opened for reading; while it is open its inode is given to no other file. */
export class TailFile {
  readonly id: string;
  readonly #handle: FileHandle;
  readonly #maxLineBytes: number;
  #offset = 0;
  #anchor: Buffer = Buffer.alloc(0);
  #skipping = false;

  /** @returns undefined when there is no such file. @throws what open(2) or `not a regular file` */
  static async open(path: string, maxLineBytes: number): Promise<TailFile | undefined> {
    let handle: FileHandle;
    try {
      // without O_NONBLOCK a FIFO in place of the log would hold a thread for ever
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    const stat = await handle.stat({ bigint: true });
    if (stat.isFile()) return new TailFile(handle, `${stat.dev}:${stat.ino}`, maxLineBytes);
    await handle.close();
    throw new Error(`${path} is not a regular file`);
  }

  private constructor(handle: FileHandle, id: string, maxLineBytes: number) {
    this.#handle = handle;
    this.id = id;
    this.#maxLineBytes = maxLineBytes;
  }

  get mark(): FileMark {
    const anchor = this.#anchor.toString('base64');
    return { file: this.id, offset: this.#offset, anchor, skipping: this.#skipping };
  }

  async stat(): Promise<FileStat> {
    const { size, mtimeMs, nlink } = await this.#handle.stat();
    return { sizeBytes: size, modifiedMs: mtimeMs, isUnlinked: nlink === 0 };
  }

  async behindBytes(): Promise<number> {
    return Math.max(0, (await this.stat()).sizeBytes - this.#offset);
  }

  /** False when the file does not hold what was read before: it was emptied since. */
  async isIntact(): Promise<boolean> {
    return this.holds(this.mark);
  }

  /** Whether the bytes before the mark are those of this file. */
  async holds({ offset, anchor }: Pick<FileMark, 'offset' | 'anchor'>): Promise<boolean> {
    const wanted = Buffer.from(anchor, 'base64');
    if ((await this.stat()).sizeBytes < offset || wanted.length > offset) return false;
    if (wanted.length === 0) return true;
    const found = Buffer.alloc(wanted.length);
    const { bytesRead } = await this.#handle.read(found, 0, found.length, offset - wanted.length);
    return bytesRead === wanted.length && found.equals(wanted);
  }

  seek(mark: Pick<FileMark, 'offset' | 'anchor' | 'skipping'>): void {
    this.#offset = mark.offset;
    this.#anchor = Buffer.from(mark.anchor, 'base64');
    this.#skipping = mark.skipping;
  }

  /** The rest of a line of which the beginning stands before the end does not count. */
  async seekEnd(): Promise<void> {
    const { sizeBytes } = await this.stat();
    const anchor = Buffer.alloc(Math.min(anchorBytes, sizeBytes));
    const { bytesRead } = await this.#handle.read(anchor, 0, anchor.length, sizeBytes - anchor.length);
    this.#offset = sizeBytes - anchor.length + bytesRead;
    this.#anchor = anchor.subarray(0, bytesRead);
    this.#skipping = bytesRead > 0 && anchor[bytesRead - 1] !== newline;
  }

  /** Reads whole lines, until the end or until the budget is used up. @returns whether the end was reached */
  async read(sink: LineSink): Promise<boolean> {
    const buffer = Buffer.alloc(Math.max(chunkBytes, this.#maxLineBytes + 1));
    while (sink.budgetBytes > 0) {
      sink.signal.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#offset);
      const taken = this.#take(buffer.subarray(0, bytesRead), sink.onLine);
      if (taken === 0) return true; // what is there of a line waits for its end
      sink.budgetBytes -= taken;
    }
    return (await this.behindBytes()) === 0;
  }

  /** The last line of a file that nobody writes any more needs no line end. */
  async finish(onLine: (line: string) => void): Promise<void> {
    const rest = Buffer.alloc(this.#maxLineBytes);
    const { bytesRead } = await this.#handle.read(rest, 0, rest.length, this.#offset);
    if (bytesRead > 0 && !this.#skipping) onLine(textOf(rest.subarray(0, bytesRead)));
    this.#advance(rest.subarray(0, bytesRead));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #take(chunk: Buffer, onLine: (line: string) => void): number {
    let from = 0;
    for (let to = chunk.indexOf(newline); to >= 0; to = chunk.indexOf(newline, from)) {
      if (this.#skipping) this.#skipping = false;
      else onLine(textOf(chunk.subarray(from, Math.min(to, from + this.#maxLineBytes))));
      from = to + 1;
    }
    if (from === 0 && chunk.length > this.#maxLineBytes) {
      if (!this.#skipping) onLine(textOf(chunk.subarray(0, this.#maxLineBytes)));
      this.#skipping = true;
      from = chunk.length;
    } else if (from === 0 && this.#skipping) {
      from = chunk.length;
    }
    this.#advance(chunk.subarray(0, from));
    return from;
  }

  #advance(consumed: Buffer): void {
    this.#offset += consumed.length;
    this.#anchor =
      consumed.length >= anchorBytes
        ? Buffer.from(consumed.subarray(-anchorBytes)) // a copy: the chunk is used again
        : Buffer.concat([this.#anchor, consumed]).subarray(-anchorBytes);
  }
}

/** Bytes that are no UTF-8 become U+FFFD. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
