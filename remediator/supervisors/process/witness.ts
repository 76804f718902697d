/** The append-only record: whole lines, each durable before append() returns. */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../../exporter/runtime/errors.ts';
import type { WitnessLine } from '../process-wire.ts';

export interface Witness {
  /** Number of the last whole line found at opening, 0 when there is none. */
  readonly lastN: number;
  readonly append: (lines: readonly WitnessLine[]) => void;
  readonly close: () => void;
}

export function openWitness(path: string): Witness {
  const fd = openSync(path, 'a+', 0o600);
  const found = lastLine(fd, path);
  /** Up to here the file is whole and durable; what is beyond was torn by a crash or a full disk. */
  let size = found.end;
  let torn = fstatSync(fd).size > size;
  return {
    lastN: found.n,
    append: (lines) => {
      if (torn) {
        ftruncateSync(fd, size);
        torn = false;
      }
      if (lines.length === 0) return;
      torn = true;
      const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      writeAll(fd, bytes);
      fdatasyncSync(fd);
      size += bytes.length;
      torn = false;
    },
    close: () => {
      closeSync(fd);
    },
  };
}

function lastLine(fd: number, path: string): { readonly n: number; readonly end: number } {
  const { size } = fstatSync(fd);
  const tail = Buffer.alloc(Math.min(size, 64 * 1024)); // many times the longest line
  const read = readSync(fd, tail, 0, tail.length, size - tail.length);
  const end = tail.subarray(0, read).lastIndexOf(0x0a) + 1;
  if (end === 0) {
    if (size > tail.length) throw new ConfigError(path, ['no line end in its last 64 KiB']);
    return { n: 0, end: 0 };
  }
  const begin = end < 2 ? 0 : tail.lastIndexOf(0x0a, end - 2) + 1;
  const text = tail.subarray(begin, end).toString('utf8');
  const parsed = z.looseObject({ n: z.number().int().min(0) }).safeParse(safeJson(text));
  if (!parsed.success) throw new ConfigError(path, ['its last line was not written by this program']);
  return { n: parsed.data.n, end: size - tail.length + end };
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function writeAll(fd: number, bytes: Buffer): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written);
}
