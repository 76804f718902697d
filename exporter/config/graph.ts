import type { Path, Problem } from './places.ts';
import type { PipelineConfig } from './schema.ts';

export interface Member {
  readonly pipeline: string;
  readonly target: string;
  readonly role: 'source' | 'replica' | 'cdc' | 'bus' | 'cache_primary' | 'cache_replica' | 'backup' | 'canary';
}

/** A place in the file that names a target, with the kinds that may stand there. */
export interface Role {
  readonly path: Path;
  readonly target: string;
  readonly kinds: readonly string[];
}

/** A target that another one names in its address. */
export interface Named {
  readonly path: Path;
  /** As the system that declares it says it: `write.target`. */
  readonly declared: string;
  readonly target: string;
}

/** Target -> what it cannot work without -> the place that says so. */
export type Edges = ReadonlyMap<string, ReadonlyMap<string, Path>>;

/**
 * Who cannot work while whom is down. This is availability, not the way of the data: the CDC process needs the source
 * and the bus, so it depends on both; the bus does not depend on the CDC process. Were it so, a broker outage while
 * Maxwell is stopped would be inhibited, and the two would wait for each other.
 */
export function dependenciesOf(
  pipelines: readonly PipelineConfig[],
  references: ReadonlyMap<string, readonly Named[]>,
): { members: Member[]; edges: Edges; roles: Role[] } {
  const members: Member[] = [];
  const roles: Role[] = [];
  const edges = new Map<string, Map<string, Path>>();
  const depends = (target: string, upstream: string, path: Path): void => {
    const needs = edges.get(target) ?? new Map<string, Path>();
    edges.set(target, needs);
    if (!needs.has(upstream)) needs.set(upstream, path);
  };
  // A Maxwell whose tables lie on another server cannot work without that one either.
  for (const [target, named] of references) for (const { target: upstream, path } of named) depends(target, upstream, path); // prettier-ignore
  for (const [i, p] of pipelines.entries()) {
    const take = (role: Member['role'], target: string, where: Path, kinds: readonly string[]): Path => {
      if (!members.some((m) => m.pipeline === p.name && m.target === target && m.role === role)) {
        members.push({ pipeline: p.name, target, role });
      }
      const path = ['pipelines', i, ...where];
      roles.push({ path, target, kinds });
      return path;
    };
    take('source', p.source, ['source'], ['mysql']);
    for (const [j, replica] of p.replicas.entries()) {
      depends(replica, p.source, take('replica', replica, ['replicas', j], ['mysql']));
    }
    if (p.cdc !== undefined) {
      depends(p.cdc, p.source, take('cdc', p.cdc, ['cdc'], ['maxwell', 'cdc-service', 'debezium']));
    }
    if (p.bus !== undefined) {
      const path = take('bus', p.bus.target, ['bus', 'target'], ['kafka']);
      if (p.cdc !== undefined) depends(p.cdc, p.bus.target, path);
    }
    if (p.cache !== undefined) {
      take('cache_primary', p.cache.primary, ['cache', 'primary'], ['redis']);
      for (const [j, replica] of p.cache.replicas.entries()) {
        depends(replica, p.cache.primary, take('cache_replica', replica, ['cache', 'replicas', j], ['redis']));
      }
    }
    if (p.canary !== undefined) take('canary', p.canary, ['canary'], ['canary']);
    for (const [j, backup] of p.backups.entries()) {
      depends(backup, p.source, take('backup', backup, ['backups', j], ['backup']));
    }
  }
  return { members, edges, roles };
}

/** A canary measures its pipeline only when it goes in at the source and is looked for where the pipeline ends. */
export function wrongCanaries(
  pipelines: readonly PipelineConfig[],
  references: ReadonlyMap<string, readonly Named[]>,
): Problem[] {
  return pipelines.flatMap(({ canary, source, cache }, i): Problem[] => {
    const named = canary === undefined ? undefined : references.get(canary);
    if (canary === undefined || named === undefined) return [];
    const path = ['pipelines', i, 'canary'];
    const written = named.find(({ declared }) => declared === 'write.target')?.target;
    if (written === undefined) return []; // of another kind, which is told elsewhere
    if (written !== source) {
      const reason = `${canary} is written to ${written}, not to the source. Name one that is written to ${source}`;
      return [{ path, reason }];
    }
    if (cache === undefined) return [];
    const ends = [cache.primary, ...cache.replicas];
    if (named.some(({ declared, target }) => declared !== 'write.target' && ends.includes(target))) return [];
    const reason = `${canary} is looked for at no end of the pipeline. Add to its seen_at one of ${ends.join(', ')}`;
    return [{ path, reason }];
  });
}

/** Transitive closure, or the first circle found. */
export function closureOf(
  edges: Edges,
): { upstreams: ReadonlyMap<string, ReadonlySet<string>> } | { cycle: readonly string[] } {
  const closure = new Map<string, ReadonlySet<string>>();
  const walk = (node: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (closure.has(node)) return undefined;
    const all = new Set<string>();
    for (const next of edges.get(node)?.keys() ?? []) {
      const cycle = walk(next, [...path, node]);
      if (cycle !== undefined) return cycle;
      all.add(next);
      for (const far of closure.get(next) ?? []) all.add(far);
    }
    closure.set(node, all);
    return undefined;
  };
  for (const node of edges.keys()) {
    const cycle = walk(node, []);
    if (cycle !== undefined) return { cycle };
  }
  return { upstreams: closure };
}
