// Is there a backup, is it complete, how old is it? A file that is there proves nothing: a dump that was cut off looks
// fresh. What counts is evidence inside the file (facts-verdict.ts), which is read in the background, once per file.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { until } from '../../runtime/deadline.ts';
import { messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { mainTypeOf, maxAgeMsOf } from './address.ts';
import type { BackupClient, BackupFile } from './client.ts';
import { judgeDump, type Reading, type Verdict } from './facts-verdict.ts';
import type { BackupState } from './state.ts';

export interface BackupEvidence {
  readonly state: BackupState;
  /** For people. */
  readonly why: string;
  /** Files of the pattern, without temporary names; those still being written count. */
  readonly files: number;
  /** The newest file of the pattern, still being written or not. */
  readonly newest: BackupFile | undefined;
  /** The newest file that is no longer being written. */
  readonly newestFinished: JudgedFile | undefined;
  /** The newest file with evidence of completion. */
  readonly lastSuccess: SuccessfulBackup | undefined;
}

export interface JudgedFile {
  readonly file: BackupFile;
  /** Unknown until it has been read, and when it cannot be. */
  readonly verdict: Known<Verdict>;
}

export interface SuccessfulBackup {
  readonly file: BackupFile;
  /**
   * The time in the trailer (`-- Dump completed on …`, the writer's local time, read as local time here), or the file's
   * own time when there is none or it is later than that: a dump cannot have ended after its file was last written.
   */
  readonly completedAtMs: number;
  readonly completedAtFrom: 'trailer' | 'mtime';
  /** From the file's creation to its last write, where both belong to the dump and not to a copy of it. */
  readonly durationSeconds: Known<number>;
}

export const backupFact = factKey<BackupEvidence>('backup.evidence');

/** A file is being written while it was changed less than this ago, or since it was last looked at. */
const settleMs = 10_000;
/** A file that could not be read is tried again after this. */
const retryMs = 300_000;
/** Trailer and last write this close: the file was written by the dump itself, here. */
const sameMomentMs = 5_000;

export type Judge = (path: string, reading: Reading) => Promise<Verdict>;

/** What is kept from sweep to sweep: each file is read once. One per folder and pattern. */
export class BackupMemory {
  /** By name, size, time and inode: a file that changes is another one. */
  readonly verdicts = new Map<string, Verdict>();
  readonly failures = new Map<string, { readonly why: string; readonly atMs: number }>();
  readonly seen = new Map<string, { readonly version: string; readonly sinceMs: number }>();
  reading: Promise<void> | undefined;
  readonly judge: Judge;

  constructor(judge: Judge = judgeDump) {
    this.judge = judge;
  }
}

interface Options {
  /** Waits until the newest finished file has been read (or the call is over). For repairs, never for a scrape. */
  readonly wait?: boolean;
}

/** @throws TargetError when the folder cannot be listed: that says nothing about the backups in it */
export async function readBackup(
  client: BackupClient,
  call: Call,
  memory: BackupMemory,
  { wait = false }: Options = {},
): Promise<BackupEvidence> {
  const files = await client.list(call);
  const finished = finishedOf(files, memory, call);
  forget(files, memory);
  readOn(finished, memory, { signal: client.closed, clock: call.clock });
  if (wait && memory.reading !== undefined) await until(call.signal, 'reading the newest backup', memory.reading);
  return evidenceOf(files, finished, memory, maxAgeMsOf(client.address, mainTypeOf(client.address)), call.clock.wallMs());
}

export function evidenceOf(
  files: readonly BackupFile[],
  finished: readonly BackupFile[],
  memory: Pick<BackupMemory, 'verdicts' | 'failures'>,
  maxAgeMs: number,
  nowMs: number,
): BackupEvidence {
  const [first] = finished;
  const newestFinished = first === undefined ? undefined : { file: first, verdict: verdictOf(first, memory, nowMs) };
  const good = finished.find((file) => memory.verdicts.get(versionOf(file))?.class === 'complete');
  const lastSuccess = good === undefined ? undefined : successOf(good, memory.verdicts.get(versionOf(good)));
  return {
    ...judge(files, newestFinished, lastSuccess, maxAgeMs, nowMs),
    files: files.length,
    newest: files[0],
    newestFinished,
    lastSuccess,
  };
}

function judge(
  files: readonly BackupFile[],
  newest: JudgedFile | undefined,
  last: SuccessfulBackup | undefined,
  maxAgeMs: number,
  nowMs: number,
): Pick<BackupEvidence, 'state' | 'why'> {
  if (newest === undefined) {
    return { state: 'never', why: files.length === 0 ? 'there is no backup' : 'the first backup is being written' };
  }
  if (newest.verdict.known && newest.verdict.value.class !== 'complete') {
    return { state: 'incomplete', why: `${newest.file.name}: ${newest.verdict.value.why}` };
  }
  if (last === undefined) {
    const why = newest.verdict.known ? 'nothing was found' : newest.verdict.why;
    return { state: 'unknown', why: `${newest.file.name}: ${why}` };
  }
  const ageMs = nowMs - last.completedAtMs;
  if (ageMs > maxAgeMs) {
    return { state: 'stale', why: `the last complete backup is ${Math.floor(ageMs / 1000)} s old` };
  }
  return { state: 'ok', why: `${last.file.name} is complete` };
}

function verdictOf(
  file: BackupFile,
  memory: Pick<BackupMemory, 'verdicts' | 'failures'>,
  nowMs: number,
): Known<Verdict> {
  const verdict = memory.verdicts.get(versionOf(file));
  if (verdict !== undefined) return known(verdict, nowMs);
  return unknown(memory.failures.get(versionOf(file))?.why ?? 'it has not been read yet');
}

function successOf(file: BackupFile, verdict: Verdict | undefined): SuccessfulBackup {
  const trailerAtMs = verdict?.trailerAtMs;
  const trusted = trailerAtMs !== undefined && trailerAtMs <= file.modifiedAtMs + sameMomentMs;
  return {
    file,
    completedAtMs: trusted ? trailerAtMs : file.modifiedAtMs,
    completedAtFrom: trusted ? 'trailer' : 'mtime',
    durationSeconds: durationOf(file, trusted ? trailerAtMs : undefined),
  };
}

function durationOf(file: BackupFile, trailerAtMs: number | undefined): Known<number> {
  const { createdAtMs, modifiedAtMs } = file;
  if (createdAtMs === undefined) return unknown('the file system keeps no time of creation');
  if (trailerAtMs === undefined) return unknown('the dump does not say when it was completed');
  if (Math.abs(trailerAtMs - modifiedAtMs) > sameMomentMs || createdAtMs > modifiedAtMs) {
    return unknown('the file is a copy: its times are not those of the dump');
  }
  return known((modifiedAtMs - createdAtMs) / 1000, modifiedAtMs);
}

/** Newest first. A time in the future (a clock that is off) does not make a file unfinished for ever. */
function finishedOf(files: readonly BackupFile[], memory: BackupMemory, { clock }: Call): BackupFile[] {
  const [wallMs, monoMs] = [clock.wallMs(), clock.monoMs()];
  return files.filter((file) => {
    const version = versionOf(file);
    const before = memory.seen.get(file.inode);
    const sinceMs = before?.version === version ? before.sinceMs : monoMs;
    memory.seen.set(file.inode, { version, sinceMs });
    const changed = before !== undefined && before.version !== version;
    return monoMs - sinceMs >= settleMs || (!changed && wallMs - file.modifiedAtMs >= settleMs);
  });
}

function versionOf(file: BackupFile): string {
  return [file.name, file.sizeBytes, file.modifiedAtMs, file.inode].join('\0');
}

function forget(files: readonly BackupFile[], memory: BackupMemory): void {
  const inodes = new Set(files.map((f) => f.inode));
  const versions = new Set(files.map(versionOf));
  for (const inode of memory.seen.keys()) if (!inodes.has(inode)) memory.seen.delete(inode);
  for (const map of [memory.verdicts, memory.failures]) {
    for (const version of map.keys()) if (!versions.has(version)) map.delete(version);
  }
}

/** From the newest back to the first complete one: older files need not be read. One at a time, one run at a time. */
function readOn(finished: readonly BackupFile[], memory: BackupMemory, reading: Reading): void {
  if (memory.reading !== undefined || nextToRead(finished, memory, reading) === undefined) return;
  memory.reading = (async () => {
    for (;;) {
      const file = nextToRead(finished, memory, reading);
      if (file === undefined || over(reading)) return;
      try {
        memory.verdicts.set(versionOf(file), await memory.judge(file.path, reading));
        memory.failures.delete(versionOf(file));
      } catch (error) {
        if (over(reading)) return;
        // Not a verdict: the disk, a permission, or the file was taken away
        memory.failures.set(versionOf(file), {
          why: `it cannot be read: ${messageOf(error)}`,
          atMs: reading.clock.monoMs(),
        });
      }
    }
  })().finally(() => (memory.reading = undefined));
}

function over({ signal }: Reading): boolean {
  return signal.aborted;
}

function nextToRead(finished: readonly BackupFile[], memory: BackupMemory, { clock }: Reading): BackupFile | undefined {
  for (const file of finished) {
    const version = versionOf(file);
    const verdict = memory.verdicts.get(version);
    if (verdict?.class === 'complete') return undefined;
    const failure = memory.failures.get(version);
    if (verdict === undefined && (failure === undefined || clock.monoMs() - failure.atMs > retryMs)) return file;
  }
  return undefined;
}
