// Scheduled test restores: when one is due, the newest complete dump is restored and counted. What was found is kept in a
// file, so that a restart of the exporter neither forgets it nor begins a restore.
import { readFile } from 'node:fs/promises';
import type { Background } from '../../collector.ts';
import { within } from '../../runtime/deadline.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { keepJson } from '../../runtime/kept-file.ts';
import { repeat } from '../../runtime/repeat.ts';
import { restoreOnce } from './background-restore-run.ts';
import type { Programs } from './background-restore-server.ts';
import type { BackupClient } from './client.ts';
import { backupFact, type SuccessfulBackup } from './facts-backup.ts';
import { RestoreFault, restoreRecord, type RestoreAttempt, type RestoreRecord } from './facts-restore.ts';
import type { RestoreReason } from './families-restore.ts';

export interface RestoreConfig {
  readonly everyMs: number;
  readonly retryAfterMs: number;
  readonly deadlineMs: number;
  readonly programs: Programs;
  readonly scratchDirectory: string;
  readonly keepFreeBytes: number;
  readonly expectTables: readonly string[];
  readonly rowsAtLeast: number;
  readonly stateFile: string;
  /** How often it is looked whether one is due. */
  readonly lookEveryMs: number;
}

/** What the collector shows. */
export interface RestoreMemory {
  record: RestoreRecord | undefined;
  isRunning: boolean;
  isUnsupported: boolean;
}

/** Restores of several targets at once would fight for one disk. */
let turn: Promise<unknown> = Promise.resolve();

const differing: readonly RestoreReason[] = ['tables_missing', 'checksum_differs', 'rows_dropped'];

/** Until the signal aborts. */
export async function restoreInBackground(
  config: RestoreConfig,
  memory: RestoreMemory,
  work: Background<BackupClient>,
): Promise<void> {
  const { signal, clock, log } = work;
  if (!(await isDumps(work))) {
    memory.isUnsupported = true;
    return;
  }
  memory.record ??= await loadRecord(config.stateFile, (why) => {
    log.warn({ stateFile: config.stateFile, why }, 'results of test restores that were kept cannot be used');
  });
  await repeat({ signal, clock, everyMs: config.lookEveryMs }, async () => {
    if (!isDue(memory.record?.last, config, clock.wallMs())) return;
    const newest = await newestOf(work);
    if (newest === undefined) return;
    const mine = turn.then(() => (signal.aborted ? undefined : attempt(config, memory, work, newest)));
    turn = mine.catch(() => undefined);
    await mine;
  });
}

async function isDumps({ open: connect, clock, signal }: Background<BackupClient>): Promise<boolean> {
  await using client = await connect({ clock, signal: within(10_000, signal) });
  return client.address.tool === 'mysqldump';
}

/** A clock that was set back does not put it off for ever. */
export function isDue(
  last: RestoreAttempt | undefined,
  { everyMs, retryAfterMs }: Pick<RestoreConfig, 'everyMs' | 'retryAfterMs'>,
  nowMs: number,
): boolean {
  if (last === undefined || last.beganAtMs > nowMs) return true;
  return nowMs - last.beganAtMs >= (last.state === 'ok' ? everyMs : Math.min(retryAfterMs, everyMs));
}

async function newestOf({ peers, target }: Background<BackupClient>): Promise<SuccessfulBackup | undefined> {
  const evidence = await peers?.fact(target, backupFact, 0);
  return evidence?.known === true ? evidence.value.lastSuccess : undefined;
}

async function attempt(
  config: RestoreConfig,
  memory: RestoreMemory,
  { signal, clock, log }: Background<BackupClient>,
  { file, verdict, completedAtMs }: SuccessfulBackup,
): Promise<void> {
  const beganAtMs = clock.wallMs();
  const good = memory.record?.good;
  memory.isRunning = true;
  try {
    const restored = await restoreOnce({
      path: file.path,
      backup: [file.name, file.sizeBytes, file.modifiedAtMs, file.inode].join(' '),
      backupAtMs: completedAtMs,
      contentBytes: Math.max(verdict.contentBytes, file.sizeBytes),
      programs: config.programs,
      scratchDirectory: config.scratchDirectory,
      keepFreeBytes: config.keepFreeBytes,
      before: good,
      expected: { tables: config.expectTables, rowsAtLeast: config.rowsAtLeast },
      signal: within(config.deadlineMs, signal),
      clock,
    });
    const last = { beganAtMs, state: 'ok' as const, reason: 'none' as const, why: `${file.name} was restored` };
    memory.record = { version: 1, last, good: restored };
    log.info(
      { file: file.name, seconds: restored.durationSeconds, tables: restored.tables },
      'a test restore ended well',
    );
  } catch (error) {
    if (signal.aborted) return; // the exporter stops: that says nothing of the backup
    const last = failureOf(error, beganAtMs);
    memory.record = { version: 1, last, ...(good === undefined ? {} : { good }) };
    log.warn({ file: file.name, reason: last.reason, why: last.why }, 'a test restore failed');
  } finally {
    memory.isRunning = false;
  }
  await saveRecord(config.stateFile, memory.record).catch((error: unknown) => {
    log.warn({ stateFile: config.stateFile, why: messageOf(error) }, 'the result of a test restore cannot be kept');
  });
}

function failureOf(error: unknown, beganAtMs: number): RestoreAttempt {
  const reason: RestoreReason = error instanceof RestoreFault ? error.reason : 'unknown';
  return { beganAtMs, state: differing.includes(reason) ? 'differs' : 'failed', reason, why: messageOf(error) };
}

/** An empty record when there is none, or it cannot be used. */
export async function loadRecord(path: string, complain: (why: string) => void): Promise<RestoreRecord> {
  try {
    return restoreRecord.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') complain(messageOf(error));
    return { version: 1 };
  }
}

/** All or nothing. @throws what writing throws */
export async function saveRecord(path: string, record: RestoreRecord): Promise<void> {
  await keepJson(path, record);
}
