// What /sd answers: every target and every pipeline of the inventory, for Prometheus' http_sd.
import type { Inventory } from '../config/inventory.ts';

/** One entry of http_sd. Source: Prometheus' documentation, "HTTP SD". */
export interface DiscoveryGroup {
  readonly targets: readonly [string];
  readonly labels: Readonly<Record<string, string>>;
}

type Listed = Pick<Inventory, 'targets' | 'members' | 'upstreams'> & {
  readonly pipelines: readonly { readonly name: string }[];
};

/**
 * @param address of this exporter as Prometheus reaches it
 * Whoever shards must do it by `__meta_pipemedic_component`: what is computed from two targets needs both in one process.
 */
export function discoveryOf(inventory: Listed, address: string): readonly DiscoveryGroup[] {
  const componentOf = componentsOf(inventory);
  const entry = (labels: Record<string, string>): DiscoveryGroup => ({
    targets: [address],
    labels: { __metrics_path__: '/probe', ...labels },
  });
  return [
    ...[...inventory.targets.values()].map(({ name, kind, instance, labels }) =>
      entry({
        __param_target: name,
        __meta_pipemedic_kind: kind,
        __meta_pipemedic_component: componentOf(name),
        ...labels,
        instance: instance ?? name,
        target: name,
      }),
    ),
    ...inventory.pipelines.map(({ name }) =>
      entry({
        __param_pipeline: name,
        __meta_pipemedic_kind: 'pipeline',
        __meta_pipemedic_component: componentOf(
          inventory.members.find(({ pipeline }) => pipeline === name)?.target ?? name,
        ),
        instance: `pipeline:${name}`,
      }),
    ),
  ];
}

/** Targets that are joined by a pipeline or by a reference, named by the first of them in the order of names. */
export function componentsOf({ targets, members, upstreams }: Omit<Listed, 'pipelines'>): (target: string) => string {
  const parent = new Map<string, string>();
  const root = (name: string): string => {
    const up = parent.get(name);
    if (up === undefined) return name;
    const top = root(up);
    parent.set(name, top);
    return top;
  };
  const unite = (a: string, b: string): void => {
    const [first, second] = [root(a), root(b)].sort();
    if (first !== undefined && second !== undefined && first !== second) parent.set(second, first);
  };
  for (const [target, ups] of upstreams) for (const up of ups) unite(target, up);
  const byPipeline = new Map<string, string>();
  for (const { pipeline, target } of members) {
    const other = byPipeline.get(pipeline);
    if (other === undefined) byPipeline.set(pipeline, target);
    else unite(other, target);
  }
  for (const name of targets.keys()) root(name);
  return root;
}
