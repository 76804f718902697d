// Which backup is read next, and what was found: each once, one at a time, never one that is still being written.
import { until } from '../../runtime/deadline.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { BackupFile } from './client.ts';
import { GrowthMemory } from './facts-growth.ts';
import type { Reading, Verdict } from './facts-verdict.ts';

export interface Verified {
  readonly verdict: Verdict;
  /** Wall clock. */
  readonly verifiedAtMs: number;
}

/** A file that could not be read is tried again after this. */
const retryMs = 300_000;
/** A binary log that is copied as the server writes it is not read again for each piece that comes. */
const liveMs = 300_000;
/** Of binary logs and of changes since a backup each one counts, not only the newest: so many of them are read. */
const readAtMost = 1_000;

export type Judge = (path: string, reading: Reading) => Promise<Verdict>;

/** What is kept from sweep to sweep. One per folder and pattern. */
export class BackupMemory {
  /** By name, size, time and inode: a file that changes is another one. */
  readonly verdicts = new Map<string, Verified>();
  readonly failures = new Map<string, { readonly why: string; readonly atMs: number }>();
  readonly growth = new GrowthMemory();
  /** Versions that are read once more, for what was not there at the first time. Their verdict stands until then. */
  readonly again = new Set<string>();
  /** What is being read, since when (wall clock). */
  current: { readonly file: BackupFile; readonly sinceMs: number } | undefined;
  /** How the results are kept over a restart; undefined when that is not asked for. */
  keeping: 'kept' | 'failed' | undefined;
  readonly judge: Judge;
  #finished: readonly BackupFile[] = [];
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(judge: Judge) {
    this.judge = judge;
  }

  /** What the folder has now; what is no longer there is forgotten. */
  offer(files: readonly BackupFile[], finished: readonly BackupFile[]): void {
    this.#finished = finished;
    const versions = new Set(files.map(versionOf));
    for (const map of [this.verdicts, this.failures]) {
      for (const version of map.keys()) if (!versions.has(version)) map.delete(version);
    }
    this.#wake?.();
  }

  /** Resolves at the next `offer`. */
  offered(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** The newest of each type. */
  get newest(): readonly BackupFile[] {
    const types = [...new Set(this.#finished.map(({ type }) => type))];
    return types.flatMap((type) => this.#finished.find((file) => file.type === type) ?? []);
  }

  /** What is read next; undefined when there is nothing to read. @param monoMs monotonic */
  next(monoMs: number): BackupFile | undefined {
    const types = new Set(this.#finished.map(({ type }) => type));
    const once = this.#finished.find((file) => this.again.has(versionOf(file)));
    if (once !== undefined) return once;
    for (const type of types) {
      const wanted = this.#wanted(
        this.#finished.filter((file) => file.type === type),
        monoMs,
      );
      const file = wanted.find((f) => this.#isUnread(f, monoMs));
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** From the newest back to the first complete one: older full backups need not be read. */
  #wanted(finished: readonly BackupFile[], monoMs: number): readonly BackupFile[] {
    const [newest] = finished;
    if (newest?.type === 'binlog') {
      const quietMs = monoMs - (this.growth.seen.get(newest.inode)?.sinceMs ?? monoMs);
      return finished.slice(quietMs < liveMs ? 1 : 0, readAtMost);
    }
    if (newest?.type !== 'full') return finished.slice(0, readAtMost);
    const complete = finished.findIndex((f) => this.verdicts.get(versionOf(f))?.verdict.class === 'complete');
    return complete < 0 ? finished : finished.slice(0, complete);
  }

  #isUnread(file: BackupFile, monoMs: number): boolean {
    const version = versionOf(file);
    if (this.verdicts.has(version)) return false;
    const failure = this.failures.get(version);
    return failure === undefined || monoMs - failure.atMs > retryMs;
  }

  /** One run at a time: who comes while one is under way gets that. */
  exclusively(run: () => Promise<void>): Promise<void> {
    this.#running ??= run().finally(() => (this.#running = undefined));
    return this.#running;
  }
}

/** Size and time too: an inode is given to another file once its own is gone. The device's number changes at a reboot. */
export function versionOf(file: BackupFile): string {
  return [file.name, file.sizeBytes, file.modifiedAtMs, file.inode.split(':').at(-1)].join('\0');
}

/**
 * Reads what there is to read, one after the other. Never rejects for what a file is or does.
 * @param after is called after each one
 */
export function readOn(memory: BackupMemory, reading: Reading, after?: () => Promise<void>): Promise<void> {
  return memory.exclusively(async () => {
    for (;;) {
      const file = memory.next(reading.clock.monoMs());
      if (file === undefined || reading.signal.aborted) return;
      await readOne(file, memory, reading);
      await after?.();
    }
  });
}

async function readOne(file: BackupFile, memory: BackupMemory, reading: Reading): Promise<void> {
  const { signal, clock } = reading;
  const [device = ''] = file.inode.split(':');
  try {
    // A read on a disk that hangs cannot be ended: it is left behind then.
    const judge = async (): Promise<Verdict> => {
      signal.throwIfAborted();
      memory.current = { file, sinceMs: clock.wallMs() };
      return await memory.judge(file.path, reading);
    };
    const work = reading.turn === undefined ? judge() : reading.turn(device, judge);
    const verdict = await until(signal, `reading ${file.name}`, work);
    memory.verdicts.set(versionOf(file), { verdict, verifiedAtMs: clock.wallMs() });
    memory.failures.delete(versionOf(file));
  } catch (error) {
    if (isOver(signal)) return;
    // Not a verdict: the disk, a permission, or the file was taken away or goes on growing
    memory.failures.set(versionOf(file), { why: `it cannot be read: ${messageOf(error)}`, atMs: clock.monoMs() });
  } finally {
    memory.current = undefined;
    memory.again.delete(versionOf(file));
  }
}

/** A function, since the compiler takes what it saw before an `await` for what holds after it. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
