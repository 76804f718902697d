// The evidence of a run: files that are on the disk before the run changes anything.
import { createHash } from 'node:crypto';
import { mkdir, open, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inFolder } from './slow-folder.ts';

export interface EvidenceFile {
  /** A plain file name. */
  readonly name: string;
  readonly text: string;
  /** What is only for reading may lose its end where it is too long; what an undo needs may not. */
  readonly mayBeCut: boolean;
}

export interface Evidence {
  /** The folder of the run. */
  readonly path: string;
  readonly sha256: Readonly<Record<string, string>>;
}

/** What is used of node:fs/promises. */
export interface Files {
  readonly mkdir: (path: string, options: { readonly recursive: true; readonly mode: number }) => Promise<unknown>;
  readonly statfs: (path: string) => Promise<{ readonly bavail: number; readonly bsize: number }>;
  readonly open: (path: string, flags: string, mode?: number) => Promise<OpenFile>;
}

interface OpenFile extends AsyncDisposable {
  readonly writeFile: (bytes: Buffer) => Promise<void>;
  readonly sync: () => Promise<void>;
}

export interface EvidencePlace {
  readonly fileBytes: number;
  readonly bundleBytes: number;
  /** What must be left free on the disk after it: the journal of the run, and whoever else writes there. */
  readonly leaveFreeBytes: number;
  /** All of it must be on the disk by then: a mount may hang. */
  readonly timeoutMs: number;
  readonly files: Files;
}

const mebibyte = 1024 * 1024;
export const evidencePlace: EvidencePlace = {
  fileBytes: 4 * mebibyte,
  bundleBytes: 16 * mebibyte,
  leaveFreeBytes: 64 * mebibyte,
  timeoutMs: 10_000,
  files: { mkdir, statfs, open },
};

/** The bundle cannot be had whole: then nothing may be changed. */
export class EvidenceError extends Error {
  override name = 'EvidenceError';
}

const plainName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/**
 * Writes the files and SHA256SUMS (`sha256sum -c` reads it) into a folder of the run's own, and makes files, folder and
 * its entry in the folder above durable when it resolves. Written again after a crash: the run has changed nothing before
 * it ended.
 * @param leave aborts when the run is not this holder's any more
 * @throws EvidenceError where it does not fit or a name is not a plain one, TargetError `deadline`, and what the file
 * system throws
 */
export async function writeEvidence(
  folder: string,
  runId: string,
  files: readonly EvidenceFile[],
  place: EvidencePlace = evidencePlace,
  leave?: AbortSignal,
): Promise<Evidence> {
  const names = files.map(({ name }) => name);
  const odd = [runId, ...names].find((name) => !plainName.test(name));
  if (odd !== undefined) throw new EvidenceError(`${JSON.stringify(odd)} is not a plain file name`);
  if (new Set([...names, sumsName]).size !== names.length + 1) throw new EvidenceError('two files have one name');
  const fitted = files.map((file) => ({ name: file.name, bytes: fit(file, place.fileBytes) }));
  const bundleBytes = fitted.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (bundleBytes > place.bundleBytes) {
    throw new EvidenceError(`the evidence has ${bundleBytes} bytes, more than ${place.bundleBytes}`);
  }
  const sha256 = Object.fromEntries(
    fitted.map(({ name, bytes }) => [name, createHash('sha256').update(bytes).digest('hex')]),
  );
  const sums = Object.entries(sha256)
    .map(([name, sum]) => `${sum}  ${name}\n`)
    .join('');

  const path = join(folder, runId);
  const write = async (signal: AbortSignal): Promise<void> => {
    await place.files.mkdir(path, { recursive: true, mode: 0o700 });
    signal.throwIfAborted();
    const { bavail, bsize } = await place.files.statfs(path);
    if (bavail * bsize < bundleBytes + place.leaveFreeBytes) {
      throw new EvidenceError(`only ${bavail * bsize} bytes are free on the disk of ${folder}`);
    }
    for (const { name, bytes } of [...fitted, { name: sumsName, bytes: Buffer.from(sums) }]) {
      signal.throwIfAborted();
      await writeDurably(place.files, join(path, name), bytes);
    }
    for (const made of [path, dirname(path)]) {
      signal.throwIfAborted();
      await syncFolder(place.files, made);
    }
  };
  await inFolder(folder, place.timeoutMs, write, leave);
  return { path, sha256 };
}

const sumsName = 'SHA256SUMS';

function fit({ name, text, mayBeCut }: EvidenceFile, maxBytes: number): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return bytes;
  if (!mayBeCut)
    throw new EvidenceError(`${name} has ${bytes.length} bytes, more than ${maxBytes}, and is needed whole`);
  const note = Buffer.from(`\n[cut here: ${bytes.length} bytes in all]\n`);
  return Buffer.concat([bytes.subarray(0, Math.max(0, maxBytes - note.length)), note]);
}

async function writeDurably(files: Files, path: string, bytes: Buffer): Promise<void> {
  await using file = await files.open(path, 'w', 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** Without it the entry of a new file may be lost although its content is on the disk (fsync(2)). */
async function syncFolder(files: Files, path: string): Promise<void> {
  await using folder = await files.open(path, 'r');
  await folder.sync();
}
