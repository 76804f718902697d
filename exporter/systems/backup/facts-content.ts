// One file of a backup, read once from its beginning to its end: check sum of what is stored, decompression, and what a
// format sees in it, all in the same pass and with bounded memory.
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { pause } from '../../runtime/deadline.ts';
import { codeOf } from '../../runtime/errors.ts';
import { compressionOf, decompressed, type Compression } from './facts-compression.ts';
import { Fault, type Reading } from './facts-verdict.ts';
import { ZstdFrames } from './facts-zstd.ts';

const chunkBytes = 256 * 1_024;
/** What a format may see of the content before it is read through: enough for a header with many GTIDs. */
const headBytes = 64 * 1_024;
/** Of its end: the last statements and, by mariadb-dump --gtid, where it stands. */
const tailBytes = 16 * 1_024;
/** A machine that slept, or a disk that hung, is no reason to rest as long. */
const restAtMostMs = 500;
/** Shorter pieces of work are added up. */
const restEveryMs = 5;
/** More than a check sum file has. */
const sumFileBytesAtMost = 1_048_576;

/** What looks at the content as it passes by. A chunk is its own only until `push` returns. */
export interface Inspector {
  readonly push: (chunk: Buffer) => void;
}

export interface Content {
  readonly compression: Compression;
  /** zstd without check sums (the program zstd writes them): damage that still decompresses is not seen. */
  readonly hasUnsummed: boolean;
  readonly readBytes: number;
  readonly contentBytes: number;
  /** The last of the content, at most 16 kB. */
  readonly tail: Buffer;
  readonly checksum: ChecksumResult | undefined;
}

export interface ChecksumResult {
  /** Name of the file that has it. */
  readonly from: string;
  readonly ok: boolean;
}

/**
 * @param begin is given the first of the content, at most `headBytes`; throws Fault when this is nothing to go on with
 * @throws Fault for what is wrong with the file; anything else that is thrown says nothing about it
 */
export async function readContent(
  path: string,
  reading: Reading,
  begin: (head: Buffer) => Inspector,
): Promise<Content> {
  // without O_NONBLOCK a FIFO in place of the file would hold a thread for ever
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const before = await file.stat();
  if (!before.isFile()) throw new Fault('not_a_dump', 'it is no regular file', 'file');
  if (before.size === 0) throw new Fault('empty', 'the file is empty', 'file');
  const sum = await expectedSum(path);
  const hash = sum === undefined ? undefined : createHash(sum.algorithm);
  const counted = { bytes: 0 };
  const look = new Looker(begin);
  const frames = new ZstdFrames();
  let compression: Compression = 'none';
  let fault: Fault | undefined;
  const stored = paced(file, reading, counted, hash);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
    compression = compressionOf(buffer.subarray(0, bytesRead), basename(path));
    for await (const chunk of decompressed(stored, compression, frames)) look.push(chunk);
    look.end();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = error;
  }
  // A file whose content is wrong, or cannot be seen, may still be or not be what its check sum says.
  if (fault !== undefined && hash !== undefined && counted.bytes < before.size) {
    const rest = createHash(sum?.algorithm ?? 'sha256');
    const again = paced(file, reading, { bytes: 0 }, rest);
    while ((await again.next()).done !== true);
    throw withSum(fault, sum, rest);
  }
  const after = await file.stat();
  if (after.size !== before.size || after.mtimeMs !== before.mtimeMs)
    throw new Error('it was changed while it was read');
  if (fault !== undefined) throw withSum(fault, sum, hash);
  const checksum = resultOf(sum, hash);
  if (checksum?.ok === false) {
    throw new Fault('checksum', `it is not what ${checksum.from} says`, 'checksum');
  }
  const hasUnsummed = frames.hasUnsummed;
  return { compression, hasUnsummed, readBytes: counted.bytes, contentBytes: look.bytes, tail: look.tail, checksum };
}

/** Beside the fault itself: does the check sum agree that the file is not what was written? */
function withSum(fault: Fault, sum: ExpectedSum | undefined, hash: Hash | undefined): Fault {
  const result = resultOf(sum, hash);
  if (result === undefined) return fault;
  if (result.ok) return new SummedFault(fault, result);
  return new SummedFault(
    new Fault('checksum', `it is not what ${result.from} says; ${fault.message}`, 'checksum'),
    result,
  );
}

/** A fault of a file that has a check sum. */
export class SummedFault extends Fault {
  readonly checksum: ChecksumResult;
  constructor(fault: Fault, checksum: ChecksumResult) {
    super(fault.class, fault.message, fault.rung);
    this.checksum = checksum;
  }
}

function resultOf(sum: ExpectedSum | undefined, hash: Hash | undefined): ChecksumResult | undefined {
  if (sum === undefined || hash === undefined) return undefined;
  return { from: sum.from, ok: hash.digest('hex') === sum.hex };
}

/** Gathers the head, gives it to `begin`, and passes everything on to what that has made of it. */
class Looker {
  readonly #begin: (head: Buffer) => Inspector;
  #inspector: Inspector | undefined;
  readonly #head = Buffer.alloc(headBytes);
  #filled = 0;
  bytes = 0;
  tail: Buffer = Buffer.alloc(0);

  constructor(begin: (head: Buffer) => Inspector) {
    this.#begin = begin;
  }

  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.tail =
      chunk.length >= tailBytes
        ? Buffer.from(chunk.subarray(-tailBytes))
        : Buffer.concat([this.tail.subarray(Math.max(0, this.tail.length + chunk.length - tailBytes)), chunk]);
    if (this.#inspector !== undefined) {
      this.#inspector.push(chunk);
      return;
    }
    const took = chunk.copy(this.#head, this.#filled);
    this.#filled += took;
    if (this.#filled < headBytes) return;
    this.#open().push(chunk.subarray(took));
  }

  end(): void {
    if (this.bytes === 0) throw new Fault('empty', 'there is nothing in it', 'compression');
    if (this.#inspector === undefined) this.#open();
  }

  #open(): Inspector {
    const head = this.#head.subarray(0, this.#filled);
    this.#inspector = this.#begin(head);
    this.#inspector.push(head);
    return this.#inspector;
  }
}

/** The stored bytes, no faster than asked for; one buffer for all of them. Rests as long as the work takes. */
async function* paced(
  file: FileHandle,
  { signal, clock, bytesPerSecond, isUrgent }: Reading,
  counted: { bytes: number },
  hash: Hash | undefined,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  let sinceMs = clock.monoMs();
  let sinceBytes = 0;
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    counted.bytes = at;
    const chunk = buffer.subarray(0, bytesRead);
    hash?.update(chunk);
    yield chunk;
    sinceBytes += bytesRead;
    const workedMs = clock.monoMs() - sinceMs;
    const wantedMs = bytesPerSecond === undefined ? 0 : (sinceBytes / bytesPerSecond) * 1_000;
    if (workedMs < restEveryMs && wantedMs < restEveryMs) continue;
    const restMs = Math.max(isUrgent === true ? 0 : Math.min(workedMs, restAtMostMs), wantedMs - workedMs);
    if (restMs > 0) await pause(restMs, signal);
    sinceMs = clock.monoMs();
    sinceBytes = 0;
  }
}

interface ExpectedSum {
  readonly from: string;
  readonly algorithm: 'sha256' | 'sha512' | 'sha1' | 'md5';
  readonly hex: string;
}

const algorithms = { sha256: 64, sha512: 128, sha1: 40, md5: 32 } as const;

export async function hasChecksumFile(path: string): Promise<boolean> {
  for (const algorithm of Object.keys(algorithms)) {
    const is = await stat(`${path}.${algorithm}`).then(
      (s) => s.isFile() && s.size > 0,
      () => false,
    );
    if (is) return true;
  }
  return false;
}

/**
 * From `FILE.sha256` beside it and the like, as sha256sum and its kin write them: in a list the line of this file counts.
 * @throws Fault when there is such a file and it has no check sum
 */
async function expectedSum(path: string): Promise<ExpectedSum | undefined> {
  const name = basename(path);
  for (const [algorithm, digits] of Object.entries(algorithms) as [keyof typeof algorithms, number][]) {
    const text = await textOf(`${path}.${algorithm}`);
    // Empty while the sum is being made.
    if (text === undefined || text.trim() === '') continue;
    const from = `${name}.${algorithm}`;
    const lines = [...text.matchAll(/^\\?([0-9a-fA-F]+)(?:[ \t]+\*?(.+))?$/gm)].filter(([, h]) => h?.length === digits);
    const [, hex] = lines.find(([, , of]) => of !== undefined && basename(of.trim()) === name) ?? lines[0] ?? [];
    if (hex === undefined) throw new Fault('checksum', `${from} has no ${algorithm} in it`, 'checksum');
    return { from, algorithm, hex: hex.toLowerCase() };
  }
  return undefined;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await file.stat();
    if (size > sumFileBytesAtMost) throw new Fault('checksum', `${basename(path)} is too long`, 'checksum');
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
