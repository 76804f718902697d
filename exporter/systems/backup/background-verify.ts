// Reads the backups of a folder to their end, beside the sweeps: once each, one at a time, no faster than allowed.
import { until } from '../../runtime/deadline.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { Log } from '../../runtime/log.ts';
import { paused } from '../../runtime/repeat.ts';
import type { Clock } from '../../runtime/clock.ts';
import { loadVerdicts, saveVerdicts } from './background-verify-store.ts';
import { hasChecksumFile } from './facts-content.ts';
import { rungOf } from './facts-verdict.ts';
import { readOn, versionOf, type BackupMemory } from './facts-verifying.ts';

/** Where no sweep comes along: a file that could not be read is due again some time. */
const lookEveryMs = 30_000;

/** Targets on one disk read one after the other. One that hangs there holds up those that would hang there too. */
const turns = new Map<string, Promise<unknown>>();

async function turn<T>(device: string, work: () => Promise<T>): Promise<T> {
  const before = turns.get(device) ?? Promise.resolve();
  const mine = before.then(work);
  const over = mine.catch(() => undefined);
  turns.set(device, over);
  try {
    return await mine;
  } finally {
    if (turns.get(device) === over) turns.delete(device);
  }
}

interface Verifying {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Log;
  readonly bytesPerSecond: number;
  readonly stateFile: string | undefined;
}

/** Until the signal aborts. What there is to read is what the sweeps have listed. */
export async function verifyInBackground(memory: BackupMemory, verifying: Verifying): Promise<void> {
  const { signal, clock, log, bytesPerSecond, stateFile } = verifying;
  if (stateFile !== undefined) {
    const why = await loadVerdicts(stateFile, memory);
    memory.keeping = why === undefined ? 'kept' : 'failed';
    if (why !== undefined)
      log.warn({ stateFile, why }, 'verdicts that were kept cannot be used, backups are read anew');
  }
  const save = async (): Promise<void> => {
    if (stateFile === undefined) return;
    try {
      await saveVerdicts(stateFile, memory);
      memory.keeping = 'kept';
    } catch (error) {
      if (memory.keeping !== 'failed') log.warn({ stateFile, why: messageOf(error) }, 'verdicts cannot be kept');
      memory.keeping = 'failed';
    }
  };
  while (!signal.aborted) {
    await until(signal, 'looking for check sums', readAgainForSum(memory)).catch(() => undefined);
    await readOn(memory, { signal, clock, bytesPerSecond, turn }, save);
    await waitFor(memory.offered(), signal);
  }
}

/** A check sum of a large backup is written long after it. Read once more for it, and only once: then it has that rung. */
async function readAgainForSum(memory: BackupMemory): Promise<void> {
  for (const file of memory.newest) {
    const found = memory.verdicts.get(versionOf(file));
    if (found === undefined || memory.failures.has(versionOf(file))) continue;
    if (file.isFolder || rungOf(found.verdict, 'checksum') !== undefined) continue;
    if (await hasChecksumFile(file.path)) memory.again.add(versionOf(file));
  }
}

async function waitFor(offered: Promise<void>, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  await Promise.race([offered, paused(lookEveryMs, AbortSignal.any([signal, enough.signal]))]);
  enough.abort();
}
