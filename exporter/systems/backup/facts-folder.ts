// A backup that is a folder: its files, by name, with bounded depth and number; and reading them one after the other.
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { codeOf } from '../../runtime/errors.ts';
import { readContent, type Content, type Inspector } from './facts-content.ts';
import { Fault, type Reading, type Told, type Rung } from './facts-verdict.ts';

/** Tables times files of each, and some. */
const filesAtMost = 200_000;
const textAtMost = 4 * 1_048_576;

export interface Folder {
  readonly path: string;
  /** Relative to it, with `/`, sorted. */
  readonly files: readonly string[];
}

export interface FolderSeen {
  readonly told: Told;
  readonly why: string;
}

/** What one tool's folder answers. */
export interface FolderFormat {
  readonly what: string;
  /** By the names in it. */
  readonly isLike: (folder: Folder) => boolean;
  /** Climbs the whole ladder; `rungs` is where each step is noted. @throws Fault */
  readonly judge: (folder: Folder, reading: Reading, progress: Progress) => Promise<FolderSeen>;
}

/** What has been done so far, also when a fault ends it. */
export interface Progress {
  readonly rungs: Rung[];
  readBytes: number;
  contentBytes: number;
}

export async function folderOf(path: string): Promise<Folder> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  if (entries.length > filesAtMost)
    throw new Fault('unreadable', `it has more than ${String(filesAtMost)} files`, 'file');
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)));
  return { path, files: files.map((file) => file.split(sep).join('/')).sort() };
}

/** The text of a small file in the folder; undefined when there is none. */
export async function textIn(folder: Folder, name: string): Promise<string | undefined> {
  return folder.files.includes(name) ? await smallText(join(folder.path, name)) : undefined;
}

/** The whole of a small text, or of a longer one its end. */
export async function smallText(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) return undefined;
    const length = Math.min(stat.size, textAtMost);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, stat.size - length);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const nothing: Inspector = { push: () => undefined };

/** Reads each of the files to its end. @throws Fault with the name of the file in it */
export async function readAll(
  folder: Folder,
  reading: Reading,
  progress: Progress,
  each: {
    readonly only?: (name: string) => boolean;
    readonly begin?: (name: string, head: Buffer) => Inspector;
    readonly end?: (name: string, content: Content) => void;
  } = {},
): Promise<void> {
  const { only = () => true, begin = () => nothing, end = () => undefined } = each;
  for (const name of folder.files.filter(only)) {
    try {
      const content = await readContent(join(folder.path, name), reading, (head) => begin(name, head));
      progress.readBytes += content.readBytes;
      progress.contentBytes += content.contentBytes;
      end(name, content);
    } catch (error) {
      // An empty file may be right (a marker, a table without rows): who knows the tool says so.
      if (error instanceof Fault && error.class === 'empty') {
        end(name, {
          compression: 'none',
          hasUnsummed: false,
          readBytes: 0,
          contentBytes: 0,
          tail: Buffer.alloc(0),
          checksum: undefined,
        });
        continue;
      }
      if (error instanceof Fault) throw new Fault(error.class, `${name}: ${error.message}`, error.rung);
      throw error;
    }
  }
}
