// The evidence of a run: files that are on the disk before the run changes anything.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface EvidenceFile {
  /** A plain file name. */
  readonly name: string;
  readonly text: string;
}

export interface Evidence {
  /** The folder of the run. */
  readonly path: string;
  readonly sha256: Readonly<Record<string, string>>;
}

/**
 * Writes the files and SHA256SUMS (`sha256sum -c` reads it) into a folder of the run's own, and makes files, folder and
 * its entry in the folder above durable when it returns. Written again after a crash: the run has changed nothing before
 * it ended. Synchronous as the store is: some kilobytes, and nothing else of the run may go on meanwhile.
 */
export function writeEvidence(folder: string, runId: string, files: readonly EvidenceFile[]): Evidence {
  const path = join(folder, runId);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const sha256 = Object.fromEntries(files.map((f) => [f.name, createHash('sha256').update(f.text).digest('hex')]));
  const sums = Object.entries(sha256)
    .map(([name, sum]) => `${sum}  ${name}\n`)
    .join('');
  for (const { name, text } of [...files, { name: 'SHA256SUMS', text: sums }]) writeDurably(join(path, name), text);
  syncFolder(path);
  syncFolder(dirname(path));
  return { path, sha256 };
}

function writeDurably(file: string, text: string): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    writeFileSync(fd, text);
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
