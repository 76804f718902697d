// Who may import whom. First match names the room of a file; a file without a room is an error.
import { readFileSync, globSync } from 'node:fs';
import { posix } from 'node:path';

const rooms: readonly (readonly [room: string, files: RegExp, mayImport: readonly string[]])[] = [
  // The tagged union of facts: the one thing that even the pure parts share.
  ['exporter/known', /^exporter\/runtime\/known\.ts$/, []],
  ['exporter/runtime', /^exporter\/runtime\//, ['exporter/known']],
  [
    'exporter/contract',
    /^exporter\/(families|collector|system|fields|facts|findings|graph)\.ts$/,
    ['exporter/known', 'exporter/runtime'],
  ],
  // A system sees other systems' clients and facts (Maxwell's tables live in MySQL), never their collectors.
  [
    'exporter/facts',
    /^exporter\/systems\/[^/]+\/(client(-[^/]+)?|address|families(-[^/]+)?|state|facts-[^/]+)\.ts$/,
    ['exporter/known', 'exporter/runtime', 'exporter/contract'],
  ],
  [
    'exporter/collectors',
    /^exporter\/systems\/[^/]+\/collector-[^/]+\.ts$/,
    ['exporter/known', 'exporter/runtime', 'exporter/contract', 'exporter/facts', 'exporter/background'],
  ],
  // Work beside the sweeps: the only part of a system that may write to what it watches (a canary) or read it whole.
  [
    'exporter/background',
    /^exporter\/systems\/[^/]+\/background-[^/]+\.ts$/,
    ['exporter/known', 'exporter/runtime', 'exporter/contract', 'exporter/facts'],
  ],
  [
    'exporter/registry',
    /^exporter\/systems\/(([^/]+\/)?index|kinds)\.ts$/,
    ['exporter/contract', 'exporter/facts', 'exporter/collectors'],
  ],
  ['exporter/catalogue', /^exporter\/catalogue\.ts$/, ['exporter/contract', 'exporter/registry', 'exporter/facts']],
  [
    'exporter/config',
    /^exporter\/config\//,
    ['exporter/known', 'exporter/runtime', 'exporter/contract', 'exporter/registry'],
  ],
  [
    'exporter/scrape',
    /^exporter\/scrape\//,
    ['exporter/known', 'exporter/runtime', 'exporter/contract', 'exporter/config'],
  ],
  ['exporter/promql', /^exporter\/promql\.ts$/, []],
  // What people bring with them, read and judged by the catalogue: it connects to nothing.
  [
    'exporter/adopt',
    /^exporter\/adopt\//,
    [
      'exporter/promql',
      'exporter/runtime',
      'exporter/contract',
      'exporter/catalogue',
      'exporter/registry',
      'exporter/config',
      'exporter/facts',
    ],
  ],
  // Looks at everything from outside, as a person would, and reads only.
  [
    'exporter/doctor',
    /^exporter\/doctor\//,
    ['exporter/known', 'exporter/runtime', 'exporter/contract', 'exporter/config', 'exporter/scrape', 'exporter/facts'],
  ],
  ['exporter', /^exporter\/[^/]+\.ts$/, ['exporter/*']],
  // Planner and guards see types and data only: no store, no client, no clock.
  ['remediator/policy', /^remediator\/(planner|guard|model)\.ts$|^remediator\/guards\//, ['exporter/known']],
  ['remediator/catalogue', /^remediator\/catalogue\.ts$/, ['exporter/contract']],
  // The parent of services is a program of its own: it shares nothing with the remediator but the wire types.
  [
    'remediator/supervisor-program',
    /^remediator\/supervisors\/(process-(supervisor|wire)\.ts$|process\/)/,
    ['exporter/runtime'],
  ],
  [
    'remediator',
    /^remediator\//,
    [
      'remediator/policy',
      'remediator/catalogue',
      'remediator/supervisor-program',
      'exporter/facts',
      'exporter/contract',
      'exporter/config',
      'exporter/known',
      'exporter/runtime',
    ],
  ],
  [
    'checks',
    /^(rules|dashboards)\//,
    ['exporter/catalogue', 'exporter/contract', 'exporter/promql', 'remediator/catalogue'],
  ],
  ['lab', /^deploy\/lab\//, ['exporter/runtime', 'remediator/supervisor-program']],
  // The demo drives the lab from outside, as a person would: by HTTP, SQL and the programs' own commands.
  ['demo', /^deploy\/demo\//, ['lab', 'exporter/runtime']],
  ['test', /^test\//, ['*']],
];

const specifier = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)'(\.[^']+)'/g;

function roomOf(file: string): readonly [string, RegExp, readonly string[]] {
  const room = rooms.find(([, files]) => files.test(file));
  if (room === undefined) throw new Error(`${file} is in no room: add it to test/support/rooms.ts`);
  return room;
}

/** One line per import that the table does not allow. */
export function wrongImports(file: string, text: string): string[] {
  const [room, , may] = roomOf(file);
  return [...text.matchAll(specifier)].flatMap(([, path = '']) => {
    const [wanted] = roomOf(posix.normalize(posix.join(posix.dirname(file), path)));
    const allowed =
      wanted === room ||
      may.some((m) => m === '*' || m === wanted || (m.endsWith('/*') && wanted.startsWith(m.slice(0, -1))));
    return allowed ? [] : [`${file}: ${room} must not import ${wanted} (${path})`];
  });
}

/** Folders whose imports form a cycle, as paths. */
export function cycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const state = new Map<string, 'open' | 'done'>();
  const walk = (node: string, path: string[]): string[] | undefined => {
    if (state.get(node) === 'done') return undefined;
    if (state.get(node) === 'open') return [...path, node];
    state.set(node, 'open');
    for (const next of graph.get(node) ?? []) {
      const found = walk(next, [...path, node]);
      if (found) return found;
    }
    state.set(node, 'done');
    return undefined;
  };
  for (const node of graph.keys()) {
    const found = walk(node, []);
    if (found) return found;
  }
  return undefined;
}

export function sources(): ReadonlyMap<string, string> {
  const files = globSync('{exporter,remediator,rules,dashboards,deploy,test}/**/*.ts');
  return new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));
}

export function graphOf(files: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...files].map(([file, text]) => [
      file,
      [...text.matchAll(specifier)].map(([, p = '']) => posix.normalize(posix.join(posix.dirname(file), p))),
    ]),
  );
}
