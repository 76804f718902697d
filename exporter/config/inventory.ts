import { graphFamilies } from '../graph.ts';
import { ConfigError } from '../runtime/errors.ts';
import type { BoundTarget, Reference, Referenced, System } from '../system.ts';
import type { Auth, Tls } from '../fields.ts';
import { configSchemaOf, type PipelineConfig } from './schema.ts';
import { closureOf, dependenciesOf, wrongCanaries, type Member } from './graph.ts';
import { problemsOf } from './problems.ts';

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
 * @throws ConfigError with every problem found: path, reason, fix
 */
export function inventoryOf(document: unknown, source: string, systems: readonly System[]): Inventory {
  const schema = configSchemaOf(systems);
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw new ConfigError(source, problemsOf(parsed.error, schema, document));
  const { targets: written } = document as { targets: readonly WrittenTarget[] };
  // The schema has accepted exactly this shape; the union's output type forgets all but `kind`.
  const read = parsed.data.targets as unknown as readonly ParsedTarget[];
  const { targets, references, problems } = targetsOf(read, written, systems);
  const { pipelines, remediation } = parsed.data;
  const names = new Map([...references].map(([target, named]) => [target, named.map((r) => r.target)]));
  const { members, edges, roles } = dependenciesOf(pipelines, names);
  for (const { path, target, kinds } of roles) problems.push(...wrongReference(path, target, kinds, targets));
  problems.push(...wrongCanaries(pipelines, references));
  const seen = new Set<string>();
  for (const [i, { name }] of pipelines.entries()) {
    if (seen.has(name)) problems.push(`pipelines[${String(i)}].name: ${name} is there twice. Give each its own name`);
    seen.add(name);
  }
  const closure = closureOf(edges);
  if ('cycle' in closure) {
    problems.push(
      `pipelines: ${closure.cycle.join(' -> ')} is a circle: each would wait for the other. Take one role out`,
    );
    throw new ConfigError(source, problems);
  }
  if (problems.length > 0) throw new ConfigError(source, problems);
  return { targets, pipelines, members, upstreams: closure.upstreams, remediation };
}

function targetsOf(
  parsed: readonly ParsedTarget[],
  written: readonly WrittenTarget[],
  systems: readonly System[],
): { targets: ReadonlyMap<string, Target>; references: ReadonlyMap<string, readonly Reference[]>; problems: string[] } {
  const problems: string[] = [];
  const targets = new Map<string, Target>();
  const references = new Map<string, readonly Reference[]>();
  const checks: (() => readonly string[])[] = [];
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
    const path = `targets[${String(i)}]`;
    if (targets.has(target.name)) {
      problems.push(`${path}.name: ${target.name} is there twice. Give each target its own name`);
      continue;
    }
    problems.push(...takenLabels(`${path}.labels`, target.labels, system));
    const named = system.references(raw);
    for (const r of named) {
      checks.push(() => wrongReference(`${path}.address.${r.path}`, r.target, [r.kind], targets));
    }
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
function takenLabels(path: string, labels: Readonly<Record<string, string>>, system: System): string[] {
  const open = system.collectors.flatMap((c) => Object.values(c.open));
  const families = [
    ...system.collectors.flatMap((c) => Object.values(c.families)),
    ...open.map(({ prefix, labels: names }) => ({ name: `${prefix}*`, labels: names, level: 'target' })),
    ...Object.values(graphFamilies),
  ];
  return Object.keys(labels).flatMap((label) => {
    const family = families.find((f) => f.level === 'target' && f.labels.includes(label));
    if (family === undefined) return [];
    return [`${path}.${label}: ${family.name} has a label of this name. Choose another name`];
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
  path: string,
  name: string,
  kinds: readonly string[],
  targets: ReadonlyMap<string, Target>,
): string[] {
  const target = targets.get(name);
  if (target === undefined) {
    return [
      `${path}: there is no target ${name}. Add it under targets, or name one of: ${[...targets.keys()].join(', ')}`,
    ];
  }
  if (kinds.includes(target.kind)) return [];
  return [`${path}: ${name} is of kind ${target.kind}, wanted is ${kinds.join(' or ')}. Name a target of that kind`];
}
