// What every format of a backup in one file answers. One module for each: facts-format-NAME.ts.
import type { BackupTool } from './address.ts';
import type { Inspector } from './facts-content.ts';
import type { Told } from './facts-verdict.ts';

export interface Ending {
  /** The last of the content. */
  readonly tail: Buffer;
  readonly contentBytes: number;
}

export interface Seen {
  readonly told: Told;
  /** What says that it is complete, for people. */
  readonly why: string;
}

export interface FormatInspector extends Inspector {
  /** Once everything has been pushed. @throws Fault when it is not complete */
  readonly end: (ending: Ending) => Seen;
}

export interface FileFormat {
  /** For people: `a dump of mysqldump`. */
  readonly what: string;
  /** A target with one of these tools has files of this format. */
  readonly tools: readonly BackupTool[];
  /** By the first of the content. */
  readonly isLike: (head: Buffer) => boolean;
  readonly inspect: (head: Buffer) => FormatInspector;
}

const localTime = /(\d{4})-(\d\d)-(\d\d) +(\d{1,2}):(\d\d):(\d\d)/;

/** `2026-11-21 12:25:31` as local time of this machine: the tools write their own without a zone. */
export function localTimeOf(text: string | undefined): number | undefined {
  const found = localTime.exec(text ?? '');
  if (found === null) return undefined;
  const [, year = 0, month = 1, day, hour, minute, second] = found.map(Number);
  return new Date(year, month - 1, day, hour, minute, second).getTime();
}

/** How often `needle` is in what is pushed, over the edges of chunks. */
export class Counter {
  readonly #needle: Buffer;
  #before = Buffer.alloc(0);
  count = 0;

  constructor(needle: string) {
    this.#needle = Buffer.from(needle);
  }

  push(chunk: Buffer): void {
    const overlap = this.#needle.length - 1;
    this.#search(Buffer.concat([this.#before, chunk.subarray(0, overlap)]));
    this.#search(chunk);
    const kept = chunk.length >= overlap ? chunk.subarray(-overlap) : Buffer.concat([this.#before, chunk]);
    this.#before = Buffer.from(kept.subarray(-overlap));
  }

  #search(bytes: Buffer): void {
    for (let at = bytes.indexOf(this.#needle); at >= 0; at = bytes.indexOf(this.#needle, at + 1)) this.count += 1;
  }
}
