import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Call } from '../../collector.ts';
import { until } from '../../runtime/deadline.ts';
import { asTargetError, codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import type { BackupAddress } from './address.ts';

export interface BackupFile {
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
  /** Of the file system; undefined where it has none. */
  readonly createdAtMs: number | undefined;
  readonly inode: string;
}

export interface BackupClient extends TargetClient {
  readonly address: BackupAddress;
  /** Files of the pattern, newest first; one inode once, whatever its names. Temporary names are left out. */
  readonly list: (call: Call) => Promise<readonly BackupFile[]>;
  /** Aborts when the client is disposed: ends what reads in the background. */
  readonly closed: AbortSignal;
}

/** More than a folder of backups has; a wrong pattern on a folder of millions must not hold up the rest. */
const filesAtMost = 10_000;

// A call on a file system that hangs (NFS, a dead disk) cannot be ended and keeps one of the few threads that Node has
// for files. So there is never a second one on the same folder, also not from a client that was opened anew.
const looking = new Map<string, Promise<void>>();

/** Up means that the folder can be listed. */
export function openBackup(opening: Opening<BackupAddress>): BackupClient {
  const { address } = opening;
  const matches = patternOf(address.pattern);
  const closing = new AbortController();
  return {
    address,
    closed: closing.signal,
    list: (call) => look(address.directory, call, () => listFiles(address.directory, matches, call.signal)),
    ping: async (call) => {
      await look(address.directory, call, () => readdir(address.directory));
    },
    usable: () => true,
    [Symbol.asyncDispose]: () => {
      closing.abort();
      return Promise.resolve();
    },
  };
}

/** `*` is any characters, `?` is one, everything else is itself. */
export function patternOf(pattern: string): (name: string) => boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${source}$`, 's');
  return (name) => expression.test(name);
}

/** Names that tools and people give to a file that is not ready yet. */
export function isTemporary(name: string): boolean {
  return name.startsWith('.') || /\.(tmp|temp|part|partial)$/i.test(name);
}

async function look<T>(directory: string, call: Call, work: () => Promise<T>): Promise<T> {
  const before = looking.get(directory);
  if (before !== undefined) {
    await until(call.signal, `an earlier look at ${directory}`, before);
    return await look(directory, call, work); // of several that waited, one goes on at a time
  }
  const now = work();
  looking.set(
    directory,
    now
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => looking.delete(directory)),
  );
  try {
    return await until(call.signal, `looking at ${directory}`, now);
  } catch (error) {
    throw folderError(error, directory);
  }
}

async function listFiles(
  directory: string,
  matches: (name: string) => boolean,
  signal: AbortSignal,
): Promise<readonly BackupFile[]> {
  const names = (await readdir(directory)).filter((name) => matches(name) && !isTemporary(name));
  if (names.length > filesAtMost) {
    throw new TargetError('failed', `${directory} has ${names.length} files of the pattern; at most ${filesAtMost}`);
  }
  const found = new Map<string, BackupFile>();
  for (const name of names) {
    signal.throwIfAborted();
    const file = await fileOf(directory, name);
    if (file !== undefined) found.set(file.inode, file);
  }
  return [...found.values()].sort((a, b) => b.modifiedAtMs - a.modifiedAtMs || (a.name < b.name ? 1 : -1));
}

/** Undefined for what is no file, or no longer there, or a link to nothing. */
async function fileOf(directory: string, name: string): Promise<BackupFile | undefined> {
  const path = join(directory, name);
  try {
    const s = await stat(path);
    if (!s.isFile()) return undefined;
    return {
      path,
      name,
      sizeBytes: s.size,
      modifiedAtMs: s.mtimeMs,
      createdAtMs: s.birthtimeMs > 0 ? s.birthtimeMs : undefined,
      inode: `${s.dev}:${s.ino}`,
    };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function folderError(error: unknown, directory: string): TargetError {
  if (error instanceof TargetError) return error;
  const code = codeOf(error);
  const what = `${directory} cannot be read: ${messageOf(error)}`;
  if (code === 'EACCES' || code === 'EPERM') return new TargetError('denied', what, { cause: error });
  if (code === 'ENOENT' || code === 'ENOTDIR') return new TargetError('failed', what, { cause: error });
  return asTargetError(error, `looking at ${directory}`);
}
