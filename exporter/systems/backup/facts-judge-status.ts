// A backup of any tool, by what its status file says and, where the backup itself is on this machine, by reading that.
import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { pause } from '../../runtime/deadline.ts';
import { codeOf } from '../../runtime/errors.ts';
import { readBeginning, walk } from './client-survey.ts';
import type { Progress } from './facts-folder.ts';
import { parseStatus, pathOf, succeeded, type Status } from './facts-status-file.ts';
import { Fault, type Reading, type Told } from './facts-verdict.ts';

const chunkBytes = 256 * 1024;

/**
 * @param judgeContent climbs the rungs that hold for any file: sound to its end, compression, check sum file beside it
 * @throws Fault when it is no complete backup; what reading throws otherwise
 */
export async function judgeStatusFile(
  path: string,
  reading: Reading,
  progress: Progress,
  judgeContent: (path: string) => Promise<unknown>,
): Promise<{ readonly told: Told; readonly why: string }> {
  const status = parseStatus(await readBeginning(path));
  progress.rungs.push({ rung: 'format', ok: true, why: 'the status file is understood' });
  const said = succeeded(status);
  const backup = pathOf(status, path);
  if (backup === undefined) return said;
  const found = await sizeOf(backup, reading.signal);
  if (found === undefined)
    throw new Fault('parts_missing', 'the backup that its status file names is not there', 'parts');
  if (found.bytes !== status.bytes) {
    const why = `the backup has ${found.bytes} bytes, and its status file says ${status.bytes}`;
    throw new Fault(found.bytes < status.bytes ? 'truncated' : 'corrupt', why, 'parts');
  }
  progress.rungs.push({ rung: 'parts', ok: true, why: 'the backup that it names is there, of the size that it says' });
  if (!found.isFolder) await judgeContent(backup);
  if (status.checksum !== undefined) await checkSum(backup, status, found.isFolder, reading, progress);
  return said;
}

async function sizeOf(path: string, signal: AbortSignal): Promise<{ bytes: number; isFolder: boolean } | undefined> {
  try {
    const s = await stat(path);
    if (!s.isDirectory()) return { bytes: s.size, isFolder: false };
    // Bounded: a status file may name any folder, the root too.
    return { bytes: (await walk(path, signal)).sizeBytes, isFolder: true };
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function checkSum(
  path: string,
  { checksum = '' }: Status,
  isFolder: boolean,
  reading: Reading,
  progress: Progress,
): Promise<void> {
  if (isFolder) throw new Fault('unreadable', 'its status file has a check sum of a folder', 'checksum');
  const [algorithm = 'sha256', wanted] = checksum.split(':');
  const hash = createHash(algorithm);
  const buffer = Buffer.alloc(chunkBytes);
  await using file = await open(path, 'r');
  for (;;) {
    reading.signal.throwIfAborted();
    const beganMs = reading.clock.monoMs();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, null);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    const workedMs = reading.clock.monoMs() - beganMs;
    const paceMs = reading.bytesPerSecond === undefined ? workedMs : (bytesRead / reading.bytesPerSecond) * 1000;
    if (reading.isUrgent !== true) await pause(Math.min(paceMs, 500), reading.signal);
  }
  if (hash.digest('hex') !== wanted) {
    throw new Fault('checksum', 'the backup is not what the check sum in its status file says', 'checksum');
  }
  progress.rungs.push({ rung: 'checksum', ok: true, why: 'as its status file says' });
}
