import type { PipelineConfig } from './schema.ts';

export interface Member {
  readonly pipeline: string;
  readonly target: string;
  readonly role: 'source' | 'replica' | 'cdc' | 'bus' | 'cache_primary' | 'cache_replica' | 'backup' | 'canary';
}

/** A place in the file that names a target, with the kinds that may stand there. */
interface Role {
  readonly path: string;
  readonly target: string;
  readonly kinds: readonly string[];
}

/**
 * Who cannot work while whom is down. This is availability, not the way of the data: the CDC process needs the source
 * and the bus, so it depends on both; the bus does not depend on the CDC process. Were it so, a broker outage while
 * Maxwell is stopped would be inhibited, and the two would wait for each other.
 */
export function dependenciesOf(
  pipelines: readonly PipelineConfig[],
  references: ReadonlyMap<string, readonly string[]>,
): { members: Member[]; edges: ReadonlyMap<string, ReadonlySet<string>>; roles: Role[] } {
  const members: Member[] = [];
  const roles: Role[] = [];
  const edges = new Map<string, Set<string>>();
  const depends = (target: string, upstream: string): void => {
    const set = edges.get(target) ?? new Set();
    edges.set(target, set.add(upstream));
  };
  // A Maxwell whose tables lie on another server cannot work without that one either.
  for (const [target, upstreams] of references) for (const upstream of upstreams) depends(target, upstream);
  for (const [i, p] of pipelines.entries()) {
    const take = (role: Member['role'], target: string, path: string, kinds: readonly string[]): void => {
      if (!members.some((m) => m.pipeline === p.name && m.target === target && m.role === role)) {
        members.push({ pipeline: p.name, target, role });
      }
      roles.push({ path: `pipelines[${String(i)}].${path}`, target, kinds });
    };
    take('source', p.source, 'source', ['mysql']);
    for (const [j, replica] of p.replicas.entries()) {
      take('replica', replica, `replicas[${String(j)}]`, ['mysql']);
      depends(replica, p.source);
    }
    if (p.cdc !== undefined) {
      take('cdc', p.cdc, 'cdc', ['maxwell', 'cdc-service', 'debezium']);
      depends(p.cdc, p.source);
    }
    if (p.bus !== undefined) {
      take('bus', p.bus.target, 'bus.target', ['kafka']);
      if (p.cdc !== undefined) depends(p.cdc, p.bus.target);
    }
    if (p.cache !== undefined) {
      take('cache_primary', p.cache.primary, 'cache.primary', ['redis']);
      for (const [j, replica] of p.cache.replicas.entries()) {
        take('cache_replica', replica, `cache.replicas[${String(j)}]`, ['redis']);
        depends(replica, p.cache.primary);
      }
    }
    if (p.canary !== undefined) take('canary', p.canary, 'canary', ['canary']);
    for (const [j, backup] of p.backups.entries()) {
      take('backup', backup, `backups[${String(j)}]`, ['backup']);
      depends(backup, p.source);
    }
  }
  return { members, edges, roles };
}

/** A canary measures its pipeline only when it goes in at the source and is looked for where the pipeline ends. */
export function wrongCanaries(
  pipelines: readonly PipelineConfig[],
  references: ReadonlyMap<string, readonly { readonly path: string; readonly target: string }[]>,
): string[] {
  return pipelines.flatMap(({ canary, source, cache }, i) => {
    const named = canary === undefined ? undefined : references.get(canary);
    if (canary === undefined || named === undefined) return [];
    const path = `pipelines[${String(i)}].canary`;
    const written = named.find((reference) => reference.path === 'write.target')?.target;
    if (written === undefined) return []; // of another kind, which is told elsewhere
    if (written !== source) {
      return [`${path}: ${canary} is written to ${written}, not to the source. Name one that is written to ${source}`];
    }
    if (cache === undefined) return [];
    const ends = [cache.primary, ...cache.replicas];
    const isSeen = named.some((reference) => reference.path !== 'write.target' && ends.includes(reference.target));
    if (isSeen) return [];
    return [`${path}: ${canary} is looked for at no end of the pipeline. Add to its seen_at one of ${ends.join(', ')}`];
  });
}

/** Transitive closure, or the first circle found. */
export function closureOf(
  edges: ReadonlyMap<string, ReadonlySet<string>>,
): { upstreams: ReadonlyMap<string, ReadonlySet<string>> } | { cycle: readonly string[] } {
  const closure = new Map<string, ReadonlySet<string>>();
  const walk = (node: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (closure.has(node)) return undefined;
    const all = new Set<string>();
    for (const next of edges.get(node) ?? []) {
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
