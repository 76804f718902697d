import { z } from 'zod';
import { ConfigError } from '../runtime/errors.ts';
import type { BoundTarget, Referenced, System } from '../system.ts';
import type { Auth, Tls } from '../fields.ts';
import { configSchemaOf, type PipelineConfig } from './schema.ts';
import { closureOf, dependenciesOf, type Member } from './graph.ts';

/** One target, as written and as parsed. */
export interface Target {
  readonly name: string;
  readonly kind: string;
  readonly instance: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly thresholds: readonly Threshold[];
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
  readonly thresholds: Readonly<
    Record<string, Readonly<Record<'warning' | 'critical', number | 'off' | undefined>> | undefined>
  >;
}

/**
 * @param document what the YAML holds
 * @param source names the file in errors
 * @throws ConfigError with every problem found: path, reason, fix
 */
export function inventoryOf(document: unknown, source: string, systems: readonly System[]): Inventory {
  const parsed = configSchemaOf(systems).safeParse(document);
  if (!parsed.success) throw new ConfigError(source, problemsOf(parsed.error));
  const written = (document as { targets: readonly { name: string; address: unknown }[] }).targets;
  const problems: string[] = [];
  const targets = new Map<string, Target>();
  const resolve = (name: string): Referenced => {
    const target = targets.get(name);
    if (target === undefined) throw new Error(`no target ${name}`); // references are checked below
    return target;
  };
  for (const [i, raw] of written.entries()) {
    // The schema above has accepted exactly this shape; the union's output type forgets all but `kind`.
    const target = parsed.data.targets[i] as unknown as ParsedTarget;
    const system = systems.find((s) => s.kind === target.kind);
    if (system === undefined) continue;
    if (targets.has(target.name)) {
      problems.push(`targets[${String(i)}].name: ${target.name} is there twice. Give each target its own name`);
      continue;
    }
    targets.set(target.name, {
      name: target.name,
      kind: target.kind,
      instance: target.instance,
      labels: target.labels,
      thresholds: thresholdsOf(target.thresholds),
      address: raw.address,
      auth: target.auth,
      tls: target.tls,
      system,
      bind: () => system.bind(raw, resolve),
    });
  }
  const at = new Map(written.map((raw, i) => [raw.name, i]));
  for (const target of targets.values()) {
    for (const reference of target.system.references(written[at.get(target.name) ?? 0])) {
      problems.push(
        ...wrongReference(
          `targets[${String(at.get(target.name) ?? 0)}].address.${reference.path}`,
          reference.target,
          [reference.kind],
          targets,
        ),
      );
    }
  }
  const references = new Map(
    [...targets.values()].map((t) => [t.name, t.system.references(written[at.get(t.name) ?? 0]).map((r) => r.target)]),
  );
  const pipelines = parsed.data.pipelines;
  const { members, edges, roles } = dependenciesOf(pipelines, references);
  for (const { path, target, kinds } of roles) problems.push(...wrongReference(path, target, kinds, targets));
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
  }
  if (problems.length > 0 || 'cycle' in closure) throw new ConfigError(source, problems);
  return { targets, pipelines, members, upstreams: closure.upstreams, remediation: parsed.data.remediation };
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

/** zod's issues, one line each, with the path as it stands in the file. */
function problemsOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => `${z.core.toDotPath(issue.path) || 'the file'}: ${issue.message}`);
}
