// Which files are still being written? Those are never judged.
import type { Call } from '../../collector.ts';
import type { BackupFile } from './client.ts';

/** A file is being written while it was changed less than this ago, or since it was last looked at. */
const settleMs = 10_000;

interface Seen {
  readonly version: string;
  /** Monotonic: when this version was first seen. */
  readonly sinceMs: number;
  /** Wall clock: when it was first seen growing, or begun where the file system tells. */
  readonly growingSinceMs: number;
}

/** What is kept from look to look, by inode. */
export class GrowthMemory {
  readonly seen = new Map<string, Seen>();
}

/** Growing files by inode, with when they were begun. A time in the future does not make a file grow for ever. */
export function growingOf(files: readonly BackupFile[], memory: GrowthMemory, { clock }: Call): Map<string, number> {
  const [wallMs, monoMs] = [clock.wallMs(), clock.monoMs()];
  const growing = new Map<string, number>();
  const here = new Set(files.map((f) => f.inode));
  for (const inode of memory.seen.keys()) if (!here.has(inode)) memory.seen.delete(inode);
  for (const file of files) {
    const version = [file.name, file.sizeBytes, file.modifiedAtMs].join('\0');
    const before = memory.seen.get(file.inode);
    const changed = before !== undefined && before.version !== version;
    const sinceMs = before === undefined || changed ? monoMs : before.sinceMs;
    const finished = monoMs - sinceMs >= settleMs || (!changed && wallMs - file.modifiedAtMs >= settleMs);
    const begunAtMs = Math.min(file.createdAtMs ?? wallMs, file.modifiedAtMs, wallMs);
    const growingSinceMs = finished ? wallMs : (before?.growingSinceMs ?? begunAtMs);
    memory.seen.set(file.inode, { version, sinceMs, growingSinceMs });
    if (!finished) growing.set(file.inode, growingSinceMs);
  }
  return growing;
}
