// The evidence of a run: files that are on the disk before the run changes anything.
import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
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
 * its entry in the folder above durable. Written again after a crash: the run has changed nothing before it ended.
 */
export async function writeEvidence(folder: string, runId: string, files: readonly EvidenceFile[]): Promise<Evidence> {
  const path = join(folder, runId);
  await mkdir(path, { recursive: true, mode: 0o700 });
  const sha256 = Object.fromEntries(files.map((f) => [f.name, createHash('sha256').update(f.text).digest('hex')]));
  const sums = Object.entries(sha256)
    .map(([name, sum]) => `${sum}  ${name}\n`)
    .join('');
  for (const { name, text } of [...files, { name: 'SHA256SUMS', text: sums }])
    await writeDurably(join(path, name), text);
  await syncFolder(path);
  await syncFolder(dirname(path));
  return { path, sha256 };
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Without it the entry of a new file may be lost although its content is on the disk (fsync(2)). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
