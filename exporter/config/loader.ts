import { ConfigError } from '../runtime/errors.ts';
import type { System } from '../system.ts';
import { kinds } from '../systems/kinds.ts';
import { fieldOf, readFiles } from './files.ts';
import { inventoryOf, type Inventory } from './inventory.ts';
import { merge } from './merge.ts';

export { readPlacedYaml, readYaml } from './yaml.ts';

/**
 * Reads and checks pipemedic.yml and what it includes: `include: [team-a.yml, conf.d, 'teams/*.yml']`, relative to the
 * file that names it, with targets and pipelines that are added to its own.
 *
 * @throws ConfigError
 */
export async function loadInventory(file: string, systems?: readonly System[]): Promise<Inventory> {
  const { files, leftOut } = await readFiles(file);
  const { document, places, problems } = merge(files);
  if (problems.length > 0) throw new ConfigError(file, problems);
  const inventory = inventoryOf(document, file, systems ?? (await systemsFor(document)), places);
  return {
    ...inventory,
    files: files.map(({ name, linkTo, document: part }) => ({
      name,
      linkTo,
      targets: countOf(part, 'targets'),
      pipelines: countOf(part, 'pipelines'),
    })),
    leftOut,
  };
}

/** Those of its targets; all, when it names none or one that is not there, so that the mistake is told with all that there are. */
async function systemsFor(document: unknown): Promise<readonly System[]> {
  const targets = fieldOf(document, 'targets');
  const wanted = new Set(Array.isArray(targets) ? targets.map((target) => fieldOf(target, 'kind')) : []);
  const isKnown = (kind: unknown): boolean => typeof kind === 'string' && Object.hasOwn(kinds, kind);
  const isAll = wanted.size === 0 || ![...wanted].every(isKnown);
  const loads = Object.entries(kinds).filter(([kind]) => isAll || wanted.has(kind));
  return await Promise.all(loads.map(([, load]) => load()));
}

function countOf(document: unknown, list: string): number {
  const written = fieldOf(document, list);
  return Array.isArray(written) ? written.length : 0;
}
