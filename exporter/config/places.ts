// Where something stands in the inventory, for people: the file, the line, and the path with the name of the target.

/** Keys and indexes from the root of a document. */
export type Path = readonly (string | number)[];

/** What is wrong, with what mends it. */
export interface Problem {
  readonly path: Path;
  readonly reason: string;
}

/** Which file a part of a document was read from. */
export interface Places {
  /** `conf.d/redis.yml:12`; undefined for a document that was not read from a file. */
  readonly at: (path: Path) => string | undefined;
  /** The path in that file: its second target may be the seventh of them all. */
  readonly within: (path: Path) => Path;
}

export const nowhere: Places = { at: () => undefined, within: (path) => path };

/** `conf.d/redis.yml:12: targets[2] (redis-cache).address.host`. */
export function placeText(path: Path, document: unknown, places: Places): string {
  const at = places.at(path);
  const text = pathText(places.within(path), nameAt(document, path));
  if (at === undefined) return text === '' ? 'the file' : text;
  return text === '' ? at : `${at}: ${text}`;
}

/** @param name of the target or pipeline that the path goes through: an index alone says little to people */
export function pathText(path: Path, name?: string): string {
  return path
    .map((key, i) => {
      const text = keyText(key, i === 0);
      return i === 1 && name !== undefined ? `${text} (${name})` : text;
    })
    .join('');
}

function keyText(key: string | number, isFirst: boolean): string {
  if (typeof key === 'number') return `[${String(key)}]`;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return `[${JSON.stringify(key)}]`;
  return isFirst ? key : `.${key}`;
}

/** `seen_at[0].target` as a path. */
export function pathOf(text: string): Path {
  return [...text.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([whole, index]) =>
    index === undefined ? whole : Number(index),
  );
}

const named: ReadonlySet<unknown> = new Set(['targets', 'pipelines']);

/** Only what can be a name: anything else may be a secret in the wrong place. */
function nameAt(document: unknown, path: Path): string | undefined {
  if (path.length < 2 || !named.has(path[0])) return undefined;
  const name = valueAt(document, [...path.slice(0, 2), 'name']);
  return typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}$/.test(name) ? name : undefined;
}

export function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null && Object.hasOwn(at, key)
        ? (at as Readonly<Record<PropertyKey, unknown>>)[key]
        : undefined,
    document,
  );
}
