import { ConfigError } from '../runtime/errors.ts';
import type { System } from '../system.ts';
import { systems as registered } from '../systems/index.ts';
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
export async function loadInventory(file: string, systems: readonly System[] = registered): Promise<Inventory> {
  const { files, leftOut } = await readFiles(file);
  const { document, places, problems } = merge(files);
  if (problems.length > 0) throw new ConfigError(file, problems);
  const inventory = inventoryOf(document, file, systems, places);
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

function countOf(document: unknown, list: string): number {
  const written = fieldOf(document, list);
  return Array.isArray(written) ? written.length : 0;
}
