// The evidence of a run: files that are on the disk before the run changes anything.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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

export interface EvidenceLimits {
  readonly fileBytes: number;
  readonly bundleBytes: number;
  /** What must be left free on the disk after it: the journal of the run, and whoever else writes there. */
  readonly leaveFreeBytes: number;
  readonly freeBytes: (folder: string) => number;
}

const mebibyte = 1024 * 1024;
export const evidenceLimits: EvidenceLimits = {
  fileBytes: 4 * mebibyte,
  bundleBytes: 16 * mebibyte,
  leaveFreeBytes: 64 * mebibyte,
  freeBytes: (folder) => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  },
};

/** The bundle cannot be had whole: then nothing may be changed. */
export class EvidenceError extends Error {
  override name = 'EvidenceError';
}

const plainName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/**
 * Writes the files and SHA256SUMS (`sha256sum -c` reads it) into a folder of the run's own, and makes files, folder and
 * its entry in the folder above durable when it returns. Written again after a crash: the run has changed nothing before
 * it ended. Synchronous as the store is: some kilobytes, and nothing else of the run may go on meanwhile.
 * @throws EvidenceError where it does not fit or a name is not a plain one, and what the file system throws
 */
export function writeEvidence(
  folder: string,
  runId: string,
  files: readonly EvidenceFile[],
  limits: EvidenceLimits = evidenceLimits,
): Evidence {
  const names = files.map(({ name }) => name);
  const odd = [runId, ...names].find((name) => !plainName.test(name));
  if (odd !== undefined) throw new EvidenceError(`${JSON.stringify(odd)} is not a plain file name`);
  if (new Set([...names, sumsName]).size !== names.length + 1) throw new EvidenceError('two files have one name');
  const fitted = files.map((file) => ({ name: file.name, bytes: fit(file, limits.fileBytes) }));
  const bundleBytes = fitted.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (bundleBytes > limits.bundleBytes) {
    throw new EvidenceError(`the evidence has ${bundleBytes} bytes, more than ${limits.bundleBytes}`);
  }

  const path = join(folder, runId);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const freeBytes = limits.freeBytes(path);
  if (freeBytes < bundleBytes + limits.leaveFreeBytes) {
    throw new EvidenceError(`only ${freeBytes} bytes are free on the disk of ${folder}`);
  }
  const sha256 = Object.fromEntries(
    fitted.map(({ name, bytes }) => [name, createHash('sha256').update(bytes).digest('hex')]),
  );
  const sums = Object.entries(sha256)
    .map(([name, sum]) => `${sum}  ${name}\n`)
    .join('');
  for (const { name, bytes } of [...fitted, { name: sumsName, bytes: Buffer.from(sums) }]) {
    writeDurably(join(path, name), bytes);
  }
  syncFolder(path);
  syncFolder(dirname(path));
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

function writeDurably(file: string, bytes: Buffer): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    writeFileSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Without it the entry of a new file may be lost although its content is on the disk (fsync(2)). */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
