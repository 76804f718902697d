// Which server is the source of which CDC process: by the pipelines, and by what a CDC process says of itself.
import type { Inventory, Target } from '../config/inventory.ts';
import type { Place } from '../system.ts';

type Listed = Pick<Inventory, 'targets' | 'pipelines'>;

export function placesOf({ targets, pipelines }: Listed): ReadonlyMap<string, Place> {
  const readers = new Map<string, Set<string>>();
  const reads = (cdc: string, source: string): void => {
    readers.set(source, (readers.get(source) ?? new Set()).add(cdc));
  };
  for (const { source, cdc } of pipelines) if (cdc !== undefined) reads(cdc, source);
  for (const target of targets.values()) for (const source of sourcesOf(target)) reads(target.name, source);
  const sources = new Set(pipelines.map(({ source }) => source));
  return new Map(
    [...targets.keys()].map((name) => [
      name,
      { isSource: sources.has(name), readers: [...(readers.get(name) ?? [])].sort() },
    ]),
  );
}

/** Kinds that read a binary log. Maxwell's source is the server that has its tables, unless it names another. */
const readerKinds = new Set(['maxwell', 'cdc-service', 'debezium']);

function sourcesOf({ kind, address, system }: Target): readonly string[] {
  if (!readerKinds.has(kind)) return [];
  const references = system.references({ address });
  const named = references.filter(({ path }) => path === 'source');
  return (named.length > 0 || kind !== 'maxwell' ? named : references).map(({ target }) => target);
}
