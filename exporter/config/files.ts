// The files of the inventory: pipemedic.yml and what it includes, read as one state of the disk.
import { basename, dirname, join } from 'node:path';
import { ConfigError, messageOf } from '../runtime/errors.ts';
import { included, realOf, type Included, type LeftOut } from './include.ts';
import { placeText, type Path, type Places, type Problem } from './places.ts';
import { issuesOf } from './problems.ts';
import { firstFile, includedFile, includeField } from './schema.ts';
import { linesOf, parseYaml, readText } from './yaml.ts';

/** One file, as it was read. */
export interface ReadFile {
  /** As people name it: beside the name that they gave to pipemedic.yml. */
  readonly name: string;
  /** Set where `name` is, or leads through, a link. */
  readonly linkTo: string | undefined;
  readonly document: unknown;
  /** From 1. */
  readonly lineOf: (path: Path) => number;
}

export interface ReadSet {
  /** In the order in which they count: pipemedic.yml, then what it includes, each followed by what it includes itself. */
  readonly files: readonly ReadFile[];
  readonly leftOut: readonly LeftOut[];
}

/** What was seen of the disk, to be compared with what is there after all was read. */
type Seen = { readonly entry: string; readonly base: string; readonly was: string } | { readonly path: string; readonly was: string }; // prettier-ignore

interface Walk {
  readonly files: ReadFile[];
  readonly leftOut: LeftOut[];
  readonly problems: string[];
  readonly seen: Seen[];
  /** Real path -> who named it. */
  readonly readBy: Map<string, string>;
}

/** How often all is read again when files have changed meanwhile. */
const attempts = 5;

/**
 * Kubernetes swaps all files of a folder at once, others copy them one by one: what was read is taken only when nothing
 * had changed after the last of them.
 *
 * @throws ConfigError with every problem of every file
 */
export async function readFiles(file: string): Promise<ReadSet> {
  for (let attempt = 1; ; attempt++) {
    const walk: Walk = { files: [], leftOut: [], problems: [], seen: [], readBy: new Map() };
    await readOne(walk, file, { by: file, chain: [] });
    if (await isStill(walk.seen)) {
      if (walk.problems.length > 0) throw new ConfigError(file, walk.problems);
      return walk;
    }
    if (attempt === attempts) {
      throw new ConfigError(file, [
        `its files changed while they were read, ${String(attempts)} times. Try again when nobody writes them`,
      ]);
    }
  }
}

interface Way {
  /** The place that names this file; pipemedic.yml itself at the beginning. */
  readonly by: string;
  /** Real paths of the files that include one another down to here. */
  readonly chain: readonly { readonly real: string; readonly name: string }[];
}

async function readOne(walk: Walk, name: string, { by, chain }: Way): Promise<void> {
  const isFirst = chain.length === 0;
  const fail = (reason: string): void => void walk.problems.push(isFirst ? reason : `${by}: ${reason}`);
  const real = (await realOf(name)) ?? name;
  const circle = chain.findIndex((above) => above.real === real);
  if (circle >= 0) {
    const names = [...chain.slice(circle).map((above) => above.name), name];
    fail(`${names.join(' -> ')} is a circle. Take it out, or put the parts into a folder of their own`);
    return;
  }
  const before = walk.readBy.get(real);
  if (before !== undefined) {
    fail(`${name} was read for ${before} already. Take one of them out`);
    return;
  }
  walk.readBy.set(real, by);
  let text: string;
  try {
    text = await readText(name);
  } catch (error) {
    walk.seen.push({ path: name, was: messageOf(error) });
    fail(isFirst ? `it cannot be read: ${messageOf(error)}. Name a readable file` : `${name} cannot be read: ${messageOf(error)}. Let this user read it, or take it out`); // prettier-ignore
    return;
  }
  walk.seen.push({ path: name, was: `${real}\n${text}` });
  let document: unknown;
  try {
    document = parseYaml(text, name);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    walk.problems.push(...error.problems);
    return;
  }
  const lineOf = linesOf(text);
  const file: ReadFile = { name, linkTo: (await isLink(name, real)) ? real : undefined, document, lineOf };
  walk.files.push(file);
  const problems = wrongParts(document, isFirst);
  const places = placesIn(file);
  walk.problems.push(...problems.map(({ path, reason }) => `${placeText(path, document, places)}: ${reason}`));
  const entries = includeField.safeParse(fieldOf(document, 'include'));
  if (!entries.success) return; // told among the problems
  for (const [i, entry] of (entries.data ?? []).entries()) {
    const place = placeText(['include', i], document, places);
    const found = await included(entry, dirname(name));
    walk.seen.push({ entry, base: dirname(name), was: JSON.stringify(found) });
    if ('problem' in found) {
      walk.problems.push(`${place}: ${found.problem}`);
      continue;
    }
    const shown = (one: string): string => (one.startsWith('/') ? one : join(dirname(name), one));
    walk.leftOut.push(...found.leftOut.map((one) => ({ ...one, name: shown(one.name) })));
    for (const one of found.names) await readOne(walk, shown(one), { by: place, chain: [...chain, { real, name }] });
  }
}

/** The link may be a folder on the way. A name below a folder that is itself reached by a link is as good as any. */
async function isLink(name: string, real: string): Promise<boolean> {
  const folder = (await realOf(dirname(name))) ?? dirname(name);
  return join(folder, basename(name)) !== real;
}

export function placesIn(file: ReadFile): Places {
  return { at: (path) => `${file.name}:${String(file.lineOf(path))}`, within: (path) => path };
}

/** What a single file may hold; the whole is looked at when all of them are put together. */
function wrongParts(document: unknown, isFirst: boolean): readonly Problem[] {
  const schema = isFirst ? firstFile : includedFile;
  const parsed = schema.safeParse(document);
  if (parsed.success) return [];
  return issuesOf(parsed.error, schema, document).map(({ path, reason }) =>
    path[0] === 'remediation' && path.length === 2
      ? { path, reason: 'only auth and supervisors of it may stand in an included file. Put it where the rest is' }
      : { path, reason },
  );
}

export function fieldOf(document: unknown, key: string): unknown {
  if (typeof document !== 'object' || document === null || !Object.hasOwn(document, key)) return undefined;
  return (document as Readonly<Record<string, unknown>>)[key];
}

async function isStill(seen: readonly Seen[]): Promise<boolean> {
  for (const one of seen) {
    if ('entry' in one) {
      const now: Included = await included(one.entry, one.base);
      if (JSON.stringify(now) !== one.was) return false;
      continue;
    }
    const real = (await realOf(one.path)) ?? one.path;
    const now = await readText(one.path).then((text) => `${real}\n${text}`, messageOf);
    if (now !== one.was) return false;
  }
  return true;
}
