import { graphFamilies } from '../graph.ts';
import { ConfigError } from '../runtime/errors.ts';
import type { BoundTarget, Referenced, System } from '../system.ts';
import type { Auth, Tls } from '../fields.ts';
import { configSchemaOf, type PipelineConfig } from './schema.ts';
import { closureOf, dependenciesOf, wrongCanaries, type Member, type Named } from './graph.ts';
import type { LeftOut } from './include.ts';
import { nowhere, pathOf, placeText, type Path, type Places, type Problem } from './places.ts';
import { issuesOf } from './problems.ts';
import { listed } from './suggest.ts';
import { sharedFiles } from './written-files.ts';

/** One target, as written and as parsed. */
export interface Target {
  readonly name: string;
  readonly kind: string;
  readonly instance: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly thresholds: readonly Threshold[];
  readonly seriesLimit: number | undefined;
  /** All that its connection and its collectors are made of: two targets of the same text can take each other's place. */
  readonly source: string;
  readonly address: unknown;
  readonly auth: Auth | undefined;
  readonly tls: Tls | undefined;
  readonly system: System;
  /** `conf.d/db.yml:12`; undefined when the inventory was made by a program. */
  readonly readFrom: () => string | undefined;
  /** A place below it, for people: `conf.d/db.yml:12: targets[2] (db1).auth.password_file`. */
  readonly placeOf: (...below: Path) => string;
  readonly bind: () => BoundTarget;
}

export interface Threshold {
  readonly threshold: string;
  readonly severity: 'warning' | 'critical';
  /** +Inf when switched off. */
  readonly value: number;
}

export interface Inventory {
  readonly targets: ReadonlyMap<string, Target>;
  readonly pipelines: readonly PipelineConfig[];
  readonly members: readonly Member[];
  /** Transitive: target -> all targets that it cannot work without. */
  readonly upstreams: ReadonlyMap<string, ReadonlySet<string>>;
  /** The remediator's block, not looked at here. */
  readonly remediation: unknown;
  /** `remediation.store: …` with the file and the line in front, where they are known. */
  readonly located: (problem: string) => string;
  /** In the order in which they count; none when the document was made by a program. */
  readonly files: readonly InventoryFile[];
  /** What folders and globs hold besides. */
  readonly leftOut: readonly LeftOut[];
}

export interface InventoryFile {
  readonly name: string;
  /** Where it really lies, when its name is a link. */
  readonly linkTo: string | undefined;
  /** How many it adds. */
  readonly targets: number;
  readonly pipelines: number;
}

interface ParsedTarget {
  readonly name: string;
  readonly kind: string;
  readonly instance?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly auth?: Auth;
  readonly tls?: Tls;
  readonly series_limit?: number;
  readonly thresholds: Readonly<
    Record<string, Readonly<Record<'warning' | 'critical', number | 'off' | undefined>> | undefined>
  >;
}

interface WrittenTarget {
  readonly name: string;
  readonly kind: string;
  readonly address: unknown;
  readonly auth?: unknown;
  readonly tls?: unknown;
  readonly collectors?: unknown;
}

/**
 * @param document what the YAML holds
 * @param source names the file in errors
 * @param places where in which file the parts of the document stand
 * @throws ConfigError with every problem found: place, path, reason, fix
 */
export function inventoryOf(
  document: unknown,
  source: string,
  systems: readonly System[],
  places: Places = nowhere,
): Inventory {
  const schema = configSchemaOf(systems);
  const parsed = schema.safeParse(document);
  const refuse = (problems: readonly Problem[]): never => {
    const lines = problems.map(({ path, reason }) => `${placeText(path, document, places)}: ${reason}`);
    throw new ConfigError(source, [...new Set(lines)]);
  };
  if (!parsed.success) return refuse(issuesOf(parsed.error, schema, document));
  const { targets: written } = document as { targets: readonly WrittenTarget[] };
  // The schema has accepted exactly this shape; the union's output type forgets all but `kind`.
  const read = parsed.data.targets as unknown as readonly ParsedTarget[];
  const placeOf = (path: Path): string => placeText(path, document, places);
  const { targets, references, problems } = targetsOf(read, written, systems, { placeOf, at: places.at });
  const { pipelines, remediation } = parsed.data;
  const { members, edges, roles } = dependenciesOf(pipelines, references);
  for (const { path, target, kinds } of roles) problems.push(...wrongReference(path, target, kinds, targets));
  problems.push(...wrongCanaries(pipelines, references), ...wrongWriters(targets, references));
  problems.push(...sharedFiles(written, placeOf));
  const seen = new Map<string, Path>();
  for (const [i, { name }] of pipelines.entries()) {
    const path = ['pipelines', i, 'name'];
    problems.push(...twice(path, name, seen.get(name), 'pipeline', placeOf));
    if (!seen.has(name)) seen.set(name, path);
  }
  const closure = closureOf(edges);
  if ('cycle' in closure) {
    const [from = '', to = ''] = closure.cycle;
    const reason = `${closure.cycle.join(' -> ')} is a circle: each would wait for the other. Take one role out`;
    return refuse([...problems, { path: edges.get(from)?.get(to) ?? ['pipelines'], reason }]);
  }
  if (problems.length > 0) return refuse(problems);
  const located = (problem: string): string => {
    const [path = ''] = problem.split(': ', 1);
    const at = places.at(pathOf(path));
    return at === undefined ? problem : `${at}: ${problem}`;
  };
  return { targets, pipelines, members, upstreams: closure.upstreams, remediation, located, files: [], leftOut: [] };
}

function twice(
  path: Path,
  name: string,
  before: Path | undefined,
  what: string,
  placeOf: (path: Path) => string,
): Problem[] {
  if (before === undefined) return [];
  return [
    { path, reason: `${name} is the name of ${placeOf(before.slice(0, 2))} too. Give each ${what} its own name` },
  ];
}

function targetsOf(
  parsed: readonly ParsedTarget[],
  written: readonly WrittenTarget[],
  systems: readonly System[],
  { placeOf, at }: Pick<Places, 'at'> & { readonly placeOf: (path: Path) => string },
): { targets: ReadonlyMap<string, Target>; references: ReadonlyMap<string, readonly Named[]>; problems: Problem[] } {
  const problems: Problem[] = [];
  const targets = new Map<string, Target>();
  const references = new Map<string, readonly Named[]>();
  const paths = new Map<string, Path>();
  const checks: (() => readonly Problem[])[] = [];
  const takenBy = new Map<System, ReadonlyMap<string, string>>();
  const resolve = (name: string): Referenced => {
    const target = targets.get(name);
    if (target === undefined) throw new Error(`no target ${name}`); // references are checked before anything is opened
    return target;
  };
  const texts = new Map(written.map((raw) => [raw.name, sourceText(raw)]));
  for (const [i, target] of parsed.entries()) {
    const raw = written[i];
    const system = systems.find((s) => s.kind === target.kind);
    if (raw === undefined || system === undefined) throw new Error(`target ${target.name} was not parsed`);
    const path = ['targets', i];
    const before = paths.get(target.name);
    problems.push(...twice([...path, 'name'], target.name, before, 'target', placeOf));
    if (before !== undefined) continue;
    paths.set(target.name, path);
    const taken = takenBy.get(system) ?? labelsOf(system);
    takenBy.set(system, taken);
    problems.push(...takenLabels([...path, 'labels'], target.labels, taken));
    const named = system
      .references(raw)
      .map((r) => ({ ...r, declared: r.path, path: [...path, 'address', ...pathOf(r.path)] }));
    for (const r of named) checks.push(() => wrongReference(r.path, r.target, [r.kind], targets));
    references.set(target.name, named);
    targets.set(target.name, {
      name: target.name,
      kind: target.kind,
      instance: target.instance,
      labels: target.labels,
      thresholds: thresholdsOf(target.thresholds),
      seriesLimit: target.series_limit,
      source: [raw.name, ...named.map((r) => r.target)].map((name) => texts.get(name) ?? '').join('\n'),
      address: raw.address,
      auth: target.auth,
      tls: target.tls,
      system,
      readFrom: () => at(path),
      placeOf: (...below) => placeOf([...path, ...below]),
      bind: () => system.bind(raw, resolve),
    });
  }
  return { targets, references, problems: [...problems, ...checks.flatMap((check) => check())] };
}

/** Secrets are named here (file, variable), never held. */
function sourceText({ name, kind, address, auth, tls, collectors }: WrittenTarget): string {
  return JSON.stringify([name, kind, address, auth, tls, collectors]);
}

/** A label of the inventory stands on every series of the target: one that a family has itself would be there twice. */
function takenLabels(
  path: Path,
  labels: Readonly<Record<string, string>>,
  familyWith: ReadonlyMap<string, string>,
): Problem[] {
  return Object.keys(labels).flatMap((label) => {
    const family = familyWith.get(label);
    if (family === undefined) return [];
    return [{ path: [...path, label], reason: `${family} has a label of this name. Choose another name` }];
  });
}

/** Label -> the first family of this kind of target that has it. */
function labelsOf(system: System): ReadonlyMap<string, string> {
  const open = system.collectors.flatMap((c) => Object.values(c.open));
  const families = [
    ...system.collectors
      .flatMap((c) => Object.values(c.families))
      .map(({ quantiles, ...family }) =>
        quantiles === true ? { ...family, labels: [...family.labels, 'quantile'] } : family,
      ),
    ...open.map(({ prefix, labels: names }) => ({ name: `${prefix}*`, labels: names, level: 'target' })),
    ...Object.values(graphFamilies),
  ].filter(({ level }) => level === 'target');
  return new Map(families.toReversed().flatMap(({ name, labels }) => labels.map((label) => [label, name] as const)));
}

/**
 * Who writes comes in with an account of its own, never with that of the target: without one, MySQL would be asked as
 * nobody, and a Redis that wants a password would refuse.
 */
function wrongWriters(
  targets: ReadonlyMap<string, Target>,
  references: ReadonlyMap<string, readonly Named[]>,
): Problem[] {
  return [...references].flatMap(([name, named]) => {
    const writer = targets.get(name);
    return named.flatMap(({ declared, path, target }) => {
      const written = targets.get(target);
      if (writer === undefined || written === undefined || declared !== 'write.target') return [];
      const isWanted = written.kind === 'mysql' ? writer.auth?.user === undefined : written.auth !== undefined && writer.auth === undefined; // prettier-ignore
      if (!isWanted) return [];
      const reason = `${name} writes to ${target} with an account of its own, and has none. Write auth: {user: …, password_file: …}`;
      return [{ path: [...path.slice(0, 2), 'auth'], reason }];
    });
  });
}

function thresholdsOf(written: ParsedTarget['thresholds']): Threshold[] {
  return Object.entries(written).flatMap(([threshold, limits]) =>
    (['warning', 'critical'] as const).flatMap((severity) => {
      const limit = limits?.[severity];
      if (limit === undefined) return [];
      return [{ threshold, severity, value: limit === 'off' ? Infinity : limit }];
    }),
  );
}

function wrongReference(
  path: Path,
  name: string,
  kinds: readonly string[],
  targets: ReadonlyMap<string, Target>,
): Problem[] {
  const target = targets.get(name);
  const wanted = kinds.join(' or ');
  if (target !== undefined) {
    if (kinds.includes(target.kind)) return [];
    const reason = `${name} is of kind ${target.kind}, wanted is ${wanted}. Name a target of that kind`;
    return [{ path, reason }];
  }
  const fitting = [...targets.values()].filter(({ kind }) => kinds.includes(kind)).map((t) => t.name);
  const others = fitting.length === 0 ? '' : `, or name one of kind ${wanted}: ${listed(fitting, name)}`;
  return [{ path, reason: `there is no target ${name}. Add it under targets${others}` }];
}
