// The files of the inventory as one document, with the way back from its places to theirs.
import { fieldOf, placesIn, type ReadFile } from './files.ts';
import { nowhere, placeText, type Path, type Places, type Problem } from './places.ts';

export interface Merged {
  readonly document: unknown;
  readonly places: Places;
  readonly problems: readonly string[];
}

interface Origin {
  readonly file: ReadFile;
  readonly path: Path;
}

const lists = ['targets', 'pipelines'] as const;
const blocks = ['auth', 'supervisors'] as const;

/** Lists follow one another; of `remediation`, what stands under the name of a target comes from whichever file has it. */
export function merge(files: readonly ReadFile[]): Merged {
  const [first, ...others] = files;
  if (first === undefined || !isMapping(first.document)) {
    return { document: first?.document, places: first === undefined ? nowhere : placesIn(first), problems: [] };
  }
  const document = { ...first.document };
  delete document['include'];
  const origins = new Map<string, Origin>();
  for (const list of lists) {
    const parts = files.flatMap((file) => partsOf(file, list));
    // Left out everywhere, it is missing; empty in one file, it is empty.
    if (files.some((file) => Array.isArray(fieldOf(file.document, list)))) document[list] = parts.map((p) => p.value);
    for (const [i, { file, path }] of parts.entries()) origins.set(keyOf([list, i]), { file, path });
  }
  const problems = joinRemediation(document, first, others, origins);
  return { document, places: placesOf(first, origins), problems };
}

function partsOf(file: ReadFile, list: string): readonly (Origin & { readonly value: unknown })[] {
  const written = fieldOf(file.document, list);
  if (!Array.isArray(written)) return [];
  return written.map((value: unknown, i) => ({ file, path: [list, i], value }));
}

function joinRemediation(
  document: Record<string, unknown>,
  first: ReadFile,
  others: readonly ReadFile[],
  origins: Map<string, Origin>,
): string[] {
  const problems: string[] = [];
  for (const file of others) {
    for (const block of blocks) {
      for (const [name, value] of Object.entries(asMapping(fieldOf(fieldOf(file.document, 'remediation'), block)))) {
        const path = ['remediation', block, name];
        const all = asMapping(document['remediation']);
        const before = asMapping(all[block]);
        if (Object.hasOwn(before, name)) {
          const { file: where, path: there } = origins.get(keyOf(path)) ?? { file: first, path };
          const other = placesIn(where).at(there) ?? where.name;
          const reason = `it is in ${other} too. Keep one of them`;
          problems.push(told(file, { path, reason }));
          continue;
        }
        document['remediation'] = { ...all, [block]: { ...before, [name]: value } };
        origins.set(keyOf(path), { file, path });
      }
    }
  }
  return problems;
}

function told(file: ReadFile, { path, reason }: Problem): string {
  return `${placeText(path, file.document, placesIn(file))}: ${reason}`;
}

function placesOf(first: ReadFile, origins: ReadonlyMap<string, Origin>): Places {
  const originOf = (path: Path): Origin => {
    for (const length of [2, 3]) {
      const origin = origins.get(keyOf(path.slice(0, length)));
      if (origin !== undefined) return { ...origin, path: [...origin.path, ...path.slice(length)] };
    }
    return { file: first, path };
  };
  return {
    at: (path) => {
      const { file, path: there } = originOf(path);
      return placesIn(file).at(there);
    },
    within: (path) => originOf(path).path,
  };
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asMapping(value: unknown): Readonly<Record<string, unknown>> {
  return isMapping(value) ? value : {};
}
