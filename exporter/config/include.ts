// What an entry of `include:` stands for: a file, a folder, or a glob of files.
import { glob, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, messageOf } from '../runtime/errors.ts';

/** A file that was passed over, and why. */
export interface LeftOut {
  /** As the entry names it. */
  readonly name: string;
  readonly why: string;
}

/** Files by name, below the folder of the file that includes them; or why there are none. */
export type Included =
  { readonly names: readonly string[]; readonly leftOut: readonly LeftOut[] } | { readonly problem: string };

const endings = /\.ya?ml$/;

/**
 * A folder stands for the files in it, not for those in its folders. Names that begin with a dot are passed over in
 * folders and globs: editors keep their copies under them, and Kubernetes the folders that it swaps (..data). Links are
 * followed, to files as to folders. In the order of their names, byte by byte, so that no locale changes it.
 *
 * @param base the folder of the file that includes
 */
export async function included(entry: string, base: string): Promise<Included> {
  const path = entry.startsWith('/') ? entry : join(base, entry);
  const isFolder = await stat(path).then(
    (info) => info.isDirectory(),
    (error: unknown) => error,
  );
  if (isFolder === true) return inFolder(entry, path);
  if (isFolder !== false && /[*?[{]/.test(entry)) return fitting(entry, base);
  if (isFolder !== false)
    return { problem: `${entry} cannot be read: ${messageOf(isFolder)}. Name a file that is there` };
  if (endings.test(entry)) return { names: [entry], leftOut: [] };
  return { problem: `the name of ${entry} does not end in .yml or .yaml. Give it another name` };
}

async function inFolder(entry: string, path: string): Promise<Included> {
  const folder = entry.replace(/\/+$/, '');
  let all: string[];
  try {
    all = await readdir(path);
  } catch (error) {
    return { problem: `${folder} cannot be read: ${messageOf(error)}. Let this user read it` };
  }
  return chosen(`in ${folder}`, all.map((name) => `${folder}/${name}`), () => false); // prettier-ignore
}

async function fitting(pattern: string, base: string): Promise<Included> {
  const all: string[] = [];
  try {
    for await (const name of glob(pattern, { cwd: base })) all.push(name);
  } catch (error) {
    // A pattern of 64 KiB, for one
    const shown = pattern.length > 100 ? `${pattern.slice(0, 100)}…` : pattern;
    return { problem: `${shown} cannot be looked for: ${messageOf(error)}. Name a folder or a file` };
  }
  const written = pattern.split('/');
  return chosen(`that fits ${pattern}`, all, (part) => written.includes(part));
}

function chosen(where: string, all: readonly string[], isWanted: (part: string) => boolean): Included {
  const names: string[] = [];
  const leftOut: LeftOut[] = [];
  for (const name of [...all].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const isHidden = name.split('/').some((part) => /^\.(?!\.?$)/.test(part) && !isWanted(part));
    if (isHidden) leftOut.push({ name, why: 'hidden' });
    else if (!endings.test(name)) leftOut.push({ name, why: 'its name does not end in .yml or .yaml' });
    else names.push(name);
  }
  if (names.length > 0) return { names, leftOut };
  const passed = leftOut.length === 0 ? '' : `, only ${leftOut.map(({ name }) => name).slice(0, 5).join(', ')}`; // prettier-ignore
  return { problem: `there is no file ending in .yml or .yaml ${where}${passed}. Put one there, or take the line out` };
}

/** Where a file lies when all links are followed; undefined when it is not there. */
export async function realOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}
