import type { Family, OpenFamily, PassedFamilies } from './families.ts';
import { pipelineFamilies } from './systems/pipeline/families.ts';
import { graphFamilies, selfFamilies } from './graph.ts';
import { systems } from './systems/index.ts';

/** Every family that is served, by name (but for prom-client's own process_* and nodejs_*). Rules, dashboards and docs are checked against it. */
export const catalogue: ReadonlyMap<string, Family> = catalogueOf([
  ...systems.flatMap((s) => [
    ...(s.up === undefined ? [] : [s.up]),
    ...s.collectors.flatMap((c) => Object.values(c.families)),
  ]),
  ...Object.values(pipelineFamilies),
  ...Object.values(graphFamilies),
  ...Object.values(selfFamilies),
]);

/** What is served besides, under names that only the target knows. */
export const openCatalogue: readonly (OpenFamily | PassedFamilies)[] = systems.flatMap((s) =>
  s.collectors.flatMap((c) => Object.values(c.open)),
);

/** A family may be shared by systems (jvm_* of Maxwell and of any JVM), but then it must be the same object. */
function catalogueOf(families: readonly Family[]): ReadonlyMap<string, Family> {
  const found = new Map<string, Family>();
  for (const family of families) {
    const before = found.get(family.name);
    if (before !== undefined && before !== family) throw new Error(`family ${family.name} is declared twice`);
    found.set(family.name, family);
  }
  return found;
}
