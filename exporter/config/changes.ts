import type { Inventory } from './inventory.ts';

/** What a reload did, for the log: names, no more of each than can be read. */
export interface Changes {
  readonly targets: number;
  readonly added?: readonly string[];
  /** A file that was read half-written may have lost some. */
  readonly removed?: readonly string[];
  /** Their connection and what they remember begin anew. */
  readonly changed?: readonly string[];
}

const shown = 20;

/** What is empty is left out. */
export function changesBetween(
  { targets: before }: Pick<Inventory, 'targets'>,
  { targets: after }: Pick<Inventory, 'targets'>,
): Changes {
  const names = [...after.keys()];
  const added = names.filter((name) => !before.has(name));
  const removed = [...before.keys()].filter((name) => !after.has(name));
  const changed = names.filter((name) => before.has(name) && before.get(name)?.source !== after.get(name)?.source);
  return {
    targets: after.size,
    ...(added.length === 0 ? {} : { added: few(added) }),
    ...(removed.length === 0 ? {} : { removed: few(removed) }),
    ...(changed.length === 0 ? {} : { changed: few(changed) }),
  };
}

function few(names: readonly string[]): readonly string[] {
  if (names.length <= shown) return names;
  return [...names.slice(0, shown), `and ${String(names.length - shown)} more`];
}
