// What an expression is judged against: the other files given, and the inventory if there is one.
import type { Inventory } from '../config/inventory.ts';
import { isObject, listOf, type Json } from './found.ts';
import type { Peer } from './peers.ts';
import type { Door } from './scrape-configs.ts';
import type { Reason } from './verdict.ts';

export interface InventoryTarget {
  readonly name: string;
  readonly kind: string;
  readonly instance: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of those that are on. */
  readonly collectors: readonly string[];
  /** Whether the options of a collector ask for a name beyond the catalogue. */
  readonly hasOption: (collector: string, metric: string) => boolean;
}

export interface Setting {
  readonly inventory: readonly InventoryTarget[] | undefined;
  /** The reasons of a recording rule of the given files; undefined when there is none of that name. */
  readonly recorded: (name: string) => Reason[] | undefined;
  /** The names that a recorded name is made of in the end; the name itself when no file records it. */
  readonly sourcesOf: (name: string) => readonly string[];
  readonly peersOfJob: (job: string) => readonly Peer[];
  /** Jobs, by the scrape configurations given, that series of pipemedic have. */
  readonly ownJobs: readonly string[];
  /** … and that `up` of its targets has: by /probe each is scraped by itself. */
  readonly ownUpJobs: readonly string[];
  /** Doors through which the scrape configurations given scrape pipemedic. */
  readonly doors: readonly Door[];
}

/** What the inventory says of each target. */
export function targetsOf(inventory: Pick<Inventory, 'targets'>): readonly InventoryTarget[] {
  return [...inventory.targets.values()].map((target) => {
    const written = collectorsIn(target.source);
    return {
      name: target.name,
      kind: target.kind,
      instance: target.instance,
      labels: target.labels,
      collectors: target.bind().collectors.map(({ name }) => name),
      hasOption: (collector, metric) => hasOption(written[collector], metric),
    };
  });
}

/** The text that a target is compared by when the inventory is read again: the first line is its own, collectors last. */
function collectorsIn(source: string): Json {
  const own: unknown = JSON.parse(source.split('\n', 1)[0] ?? '[]');
  const collectors = listOf(own).at(-1);
  return isObject(collectors) ? collectors : {};
}

function hasOption(options: unknown, metric: string): boolean {
  if (!isObject(options)) return false;
  if (options['all'] === true || options['own_names'] === true) return true;
  return listOf(options['also']).some((name) => typeof name === 'string' && metric.endsWith(`_${name.toLowerCase()}`));
}
