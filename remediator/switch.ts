// The kill switch as a plain file: while it is there, nothing begins. Anybody with a shell can pull it.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { until, within } from '../exporter/runtime/deadline.ts';
import { codeOf, messageOf } from '../exporter/runtime/errors.ts';
import type { Pause } from './model.ts';

export interface SwitchFile {
  readonly file: 'clear' | 'set' | 'unreadable';
  readonly fileDetail: string;
}

export interface SwitchStore {
  readonly store: 'clear' | 'set' | 'missing';
  readonly storeDetail: string;
}

/** A mount that hangs answers nobody. */
const answerMs = 5_000;
/** More of what stands in it is not shown. */
const shownBytes = 4096;

/** Readings that had no answer, by file: each holds a thread of the few that all reading of files shares. */
const hanging = new Set<string>();

/** Clear only when the folder can be read and the file is not in it; any other failure is unreadable. */
export async function readSwitchFile(
  file: string,
  { read = readNow, answersMs = answerMs }: { readonly read?: typeof readNow; readonly answersMs?: number } = {},
): Promise<SwitchFile> {
  if (hanging.has(file))
    return { file: 'unreadable', fileDetail: `${file}: it has not answered since it was last read` };
  const reading = read(file);
  try {
    return await until(within(answersMs), file, reading);
  } catch (error) {
    hanging.add(file);
    const answered = (): boolean => hanging.delete(file);
    reading.then(answered, answered);
    return { file: 'unreadable', fileDetail: messageOf(error) };
  }
}

async function readNow(file: string): Promise<SwitchFile> {
  try {
    return { file: 'set', fileDetail: detailOf(file, await beginningOf(file)) };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return { file: 'unreadable', fileDetail: `${file}: ${messageOf(error)}` };
  }
  try {
    // ENOENT is also what a folder that is not mounted says: that of the file, or of what it is a link to
    const link = await lstat(file).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (link !== undefined) return { file: 'unreadable', fileDetail: `${file} is a link to what is not there` };
    await access(dirname(file), constants.R_OK | constants.X_OK);
    return { file: 'clear', fileDetail: `${file} is not there` };
  } catch (error) {
    return { file: 'unreadable', fileDetail: `the folder of ${file}: ${messageOf(error)}` };
  }
}

async function beginningOf(file: string): Promise<string> {
  // Without O_NONBLOCK a pipe that nobody writes to would be waited for; there is nothing in it then.
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(shownBytes), 0, shownBytes, null);
  return buffer.toString('utf8', 0, bytesRead);
}

/** The row of scope global must be there: a store without it is not the one that people could have paused. */
export function readSwitchStore(pauses: readonly Pause[], nowMs: number): SwitchStore {
  const global = pauses.find((p) => p.scope === 'global');
  if (global === undefined) return { store: 'missing', storeDetail: 'the switch in the store is missing' };
  const set = global.paused && (global.untilMs === undefined || global.untilMs > nowMs);
  if (!set) return { store: 'clear', storeDetail: '' };
  return { store: 'set', storeDetail: `paused by ${global.by}: ${global.reason}` };
}

/** Durable when it resolves; never a half-written file. */
export async function setSwitchFile(
  file: string,
  why: { readonly by: string; readonly reason: string; readonly at: string },
): Promise<void> {
  const folder = dirname(file);
  const fresh = `${file}.${randomUUID()}`;
  try {
    await using handle = await open(fresh, 'wx', 0o644);
    await handle.writeFile(`${JSON.stringify(why)}\n`);
    await handle.sync();
    await rename(fresh, file);
    await using dir = await open(folder);
    await dir.sync();
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** True when it was set. */
export async function clearSwitchFile(file: string): Promise<boolean> {
  try {
    await rm(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
  await using dir = await open(dirname(file));
  await dir.sync();
  return true;
}

/** The file may be made by `touch`, by an editor or by this program. */
function detailOf(file: string, text: string): string {
  const shown = text.trim().slice(0, 300);
  try {
    const { by, reason, at } = JSON.parse(shown) as Record<string, unknown>;
    if (typeof by === 'string' && typeof reason === 'string') return `paused by ${by} at ${String(at)}: ${reason}`;
  } catch {
    // not ours: shown as it is
  }
  return shown === '' ? `${file} is there` : `${file} is there: ${shown}`;
}
