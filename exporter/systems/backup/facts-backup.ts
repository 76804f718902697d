// Is there a backup, is it complete, how old is it? A file that is there proves nothing: a dump that was cut off looks
// fresh. What counts is evidence inside (facts-judge.ts), which is read beside the sweeps, once per file.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { until } from '../../runtime/deadline.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { mainTypeOf, maxAgeMsOf, type BackupAddress, type BackupType } from './address.ts';
import type { BackupClient, BackupFile } from './client.ts';
import { growingOf } from './facts-growth.ts';
import { stateOf, type Reading, type Verdict, type VerifiedState } from './facts-verdict.ts';
import { readOn, versionOf, type BackupMemory } from './facts-verifying.ts';
import type { BackupState } from './state.ts';

export { BackupMemory } from './facts-verifying.ts';

/** What is known of the backups of one type. */
export interface TypeEvidence {
  readonly type: BackupType;
  readonly state: BackupState;
  /** For people. */
  readonly why: string;
  /** Files of the pattern, without temporary names; those still being written count. */
  readonly files: number;
  /** The newest file of the pattern, still being written or not. */
  readonly newest: BackupFile | undefined;
  /** The newest file that is no longer being written. */
  readonly newestFinished: JudgedFile | undefined;
  /** Whether that one was verified. `pending` until it has been read. */
  readonly verified: VerifiedState;
  /** All that are no longer being written, newest first; older ones than the newest complete one may stay unread. */
  readonly finished: readonly JudgedFile[];
  /** The newest file with evidence of completion. */
  readonly lastSuccess: SuccessfulBackup | undefined;
}

/** That of the main type (see `mainTypeOf`), and of every type that is there. */
export interface BackupEvidence extends TypeEvidence {
  readonly types: readonly TypeEvidence[];
}

export interface JudgedFile {
  readonly file: BackupFile;
  /** Unknown until it has been read, and when it cannot be. Observed when it was read. */
  readonly verdict: Known<Verdict>;
}

export interface SuccessfulBackup {
  readonly file: BackupFile;
  readonly verdict: Verdict;
  /**
   * The time that the tool wrote into it (`-- Dump completed on …`, the writer's local time, read as local time here), or
   * the file's own time when there is none or it is later than that: a dump cannot have ended after its file was last
   * written.
   */
  readonly completedAtMs: number;
  readonly completedAtFrom: 'trailer' | 'mtime';
  /** What the tool says, or from the file's creation to its last write where both belong to the dump and not to a copy. */
  readonly durationSeconds: Known<number>;
}

export const backupFact = factKey<BackupEvidence>('backup.evidence');

/** Clocks of two machines may differ by this much. */
const futureMs = 60_000;

/** Trailer and last write this close: the file was written by the dump itself, here. */
const sameMomentMs = 5_000;

interface Options {
  /** Waits until the newest finished file has been read (or the call is over). For repairs, never for a scrape. */
  readonly wait?: boolean;
}

/**
 * Lists, and tells what is known of what is listed; reading goes on beside it (background-verify.ts), or here with `wait`.
 * @throws TargetError when the folder cannot be listed: that says nothing about the backups in it
 */
export async function readBackup(
  client: BackupClient,
  call: Call,
  memory: BackupMemory,
  { wait = false }: Options = {},
): Promise<BackupEvidence> {
  const files = await client.list(call);
  const growing = growingOf(files, memory.growth, call);
  const finished = files.filter((file) => !growing.has(file.inode));
  memory.offer(files, finished);
  if (wait) {
    const reading: Reading = { signal: client.closed, clock: call.clock };
    await until(call.signal, 'reading the newest backup', readOn(memory, reading));
  }
  return evidenceOf(files, finished, memory, { address: client.address, nowMs: call.clock.wallMs() });
}

interface Now {
  readonly address: BackupAddress;
  readonly nowMs: number;
}

function evidenceOf(
  files: readonly BackupFile[],
  finished: readonly BackupFile[],
  memory: Pick<BackupMemory, 'verdicts' | 'failures'>,
  now: Now,
): BackupEvidence {
  const main = mainTypeOf(now.address);
  const types = new Set<BackupType>([main, ...files.map((f) => f.type)]);
  if (now.address.incremental !== undefined) types.add('incremental');
  const all = [...types].map((type) => {
    const of = (list: readonly BackupFile[]): readonly BackupFile[] => list.filter((f) => f.type === type);
    return typeEvidence(type, of(files), of(finished), memory, now);
  });
  const [first] = all;
  if (first === undefined) throw new Error('there is no main type');
  return { ...first, types: all };
}

function typeEvidence(
  type: BackupType,
  files: readonly BackupFile[],
  finished: readonly BackupFile[],
  memory: Pick<BackupMemory, 'verdicts' | 'failures'>,
  { address, nowMs }: Now,
): TypeEvidence {
  const judged = finished.map((file): JudgedFile => ({ file, verdict: verdictOf(file, memory) }));
  const ended = type === 'binlog' ? judged.slice(isLive(judged[0], files[0]) ? 1 : 0) : judged;
  const [newestFinished] = ended;
  const good = ended.flatMap(({ file, verdict }) =>
    verdict.known && verdict.value.class === 'complete' ? [[file, verdict.value] as const] : [],
  )[0];
  const success = good === undefined ? undefined : successOf(...good);
  // From a time in the future no age can be made.
  const lastSuccess = success !== undefined && success.completedAtMs > nowMs + futureMs ? undefined : success;
  const freshAtMs = type === 'binlog' ? files[0]?.modifiedAtMs : undefined;
  return {
    type,
    ...judge(files, newestFinished, lastSuccess, { maxAgeMs: maxAgeMsOf(address, type), freshAtMs, nowMs }),
    files: files.length,
    newest: files[0],
    newestFinished,
    verified: verifiedOf(newestFinished, memory),
    finished: judged,
    lastSuccess,
  };
}

/**
 * The newest binary log of an archive may be one that the server still writes and that is copied as it grows
 * (mysqlbinlog --raw --stop-never): it is no backup that has failed, and what arrives in it keeps the archive fresh.
 */
function isLive(newest: JudgedFile | undefined, first: BackupFile | undefined): boolean {
  if (newest === undefined || newest.file !== first) return false;
  return !newest.verdict.known || newest.verdict.value.class === 'not_finished';
}

function verifiedOf(newest: JudgedFile | undefined, { failures }: Pick<BackupMemory, 'failures'>): VerifiedState {
  if (newest === undefined) return 'unknown';
  if (newest.verdict.known) return stateOf(newest.verdict.value);
  return failures.has(versionOf(newest.file)) ? 'unknown' : 'pending';
}

function judge(
  files: readonly BackupFile[],
  newest: JudgedFile | undefined,
  last: SuccessfulBackup | undefined,
  { maxAgeMs, freshAtMs = 0, nowMs }: { maxAgeMs: number; freshAtMs: number | undefined; nowMs: number },
): Pick<TypeEvidence, 'state' | 'why'> {
  if (newest === undefined) {
    return { state: 'never', why: files.length === 0 ? 'there is no backup' : 'the first backup is being written' };
  }
  if (newest.verdict.known && stateOf(newest.verdict.value) === 'failed') {
    return { state: 'incomplete', why: `${newest.file.name}: ${newest.verdict.value.why}` };
  }
  // With a complete one before it, how old that is; a newest one that cannot be looked into makes no claim.
  if (last === undefined) {
    const isComplete = newest.verdict.known && newest.verdict.value.class === 'complete';
    const found = newest.verdict.known ? newest.verdict.value.why : newest.verdict.why;
    const why = isComplete ? 'it is complete, but its time is in the future' : found;
    return { state: 'unknown', why: `${newest.file.name}: ${why}` };
  }
  const ageMs = nowMs - Math.max(last.completedAtMs, freshAtMs);
  if (ageMs > maxAgeMs) {
    return { state: 'stale', why: `the last complete backup is ${Math.floor(ageMs / 1000)} s old` };
  }
  return { state: 'ok', why: `${last.file.name} is complete` };
}

function verdictOf(file: BackupFile, memory: Pick<BackupMemory, 'verdicts' | 'failures'>): Known<Verdict> {
  const found = memory.verdicts.get(versionOf(file));
  if (found !== undefined) return known(found.verdict, found.verifiedAtMs);
  return unknown(memory.failures.get(versionOf(file))?.why ?? 'it has not been read yet');
}

function successOf(file: BackupFile, verdict: Verdict): SuccessfulBackup {
  const toldAtMs = verdict.told.finishedAtMs;
  const trusted = toldAtMs !== undefined && toldAtMs <= file.modifiedAtMs + sameMomentMs;
  return {
    file,
    verdict,
    completedAtMs: trusted ? toldAtMs : file.modifiedAtMs,
    completedAtFrom: trusted ? 'trailer' : 'mtime',
    durationSeconds: durationOf(file, verdict, trusted ? toldAtMs : undefined),
  };
}

function durationOf(file: BackupFile, { told }: Verdict, finishedAtMs: number | undefined): Known<number> {
  const { createdAtMs, modifiedAtMs } = file;
  if (told.startedAtMs !== undefined && finishedAtMs !== undefined && told.startedAtMs <= finishedAtMs) {
    return known((finishedAtMs - told.startedAtMs) / 1000, modifiedAtMs);
  }
  if (createdAtMs === undefined) return unknown('the file system keeps no time of creation');
  if (finishedAtMs === undefined) return unknown('the backup does not say when it was completed');
  if (Math.abs(finishedAtMs - modifiedAtMs) > sameMomentMs || createdAtMs > modifiedAtMs) {
    return unknown('the file is a copy: its times are not those of the dump');
  }
  return known((modifiedAtMs - createdAtMs) / 1000, modifiedAtMs);
}
