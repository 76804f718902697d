// Files that the exporter writes: two that write the same one would each lose what the other keeps.
import { normalize } from 'node:path';
import type { Path, Problem } from './places.ts';

interface Mention {
  readonly path: Path;
  readonly file: string;
  readonly isWritten: boolean;
}

/** By their keys: `state_file`, `log_state_file`. Everything else that begins with a slash is read, or is a folder. */
const writtenKeys = /(^|_)state_file$/;

/**
 * @param targets as written
 * @param placeOf names a place in a reason
 */
export function sharedFiles(targets: readonly unknown[], placeOf: (path: Path) => string): Problem[] {
  const mentions = targets.flatMap((target, i) => mentionsIn(target, ['targets', i]));
  const byFile = new Map<string, Mention[]>();
  for (const mention of mentions) byFile.set(mention.file, [...(byFile.get(mention.file) ?? []), mention]);
  return [...byFile.values()].flatMap((same) => {
    const written = same.find(({ isWritten }) => isWritten);
    if (written === undefined) return [];
    // Of two writers the later one is told, of a writer and a reader the writer.
    return same
      .filter((one) => one !== written)
      .map((one): Problem => {
        const [path, other] = one.isWritten ? [one.path, written.path] : [written.path, one.path];
        return { path, reason: `${written.file} is named by ${placeOf(other)} too. Give each its own file` };
      });
  });
}

function mentionsIn(value: unknown, path: Path): Mention[] {
  if (typeof value === 'string') {
    if (!value.startsWith('/')) return [];
    return [{ path, file: normalize(value), isWritten: writtenKeys.test(String(path.at(-1))) }];
  }
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((one, i) => mentionsIn(one, [...path, i]));
  return Object.entries(value).flatMap(([key, one]) => mentionsIn(one, [...path, key]));
}
