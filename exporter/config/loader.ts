import { readFile } from 'node:fs/promises';
import { load, YAMLException } from 'js-yaml';
import { ConfigError, messageOf } from '../runtime/errors.ts';
import { systems } from '../systems/index.ts';
import { inventoryOf, type Inventory } from './inventory.ts';

/** Reads and checks pipemedic.yml. @throws ConfigError */
export async function loadInventory(file: string): Promise<Inventory> {
  return inventoryOf(await readYaml(file), file, systems);
}

/** @throws ConfigError naming the file, and for a syntax error the line */
export async function readYaml(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, [`it cannot be read: ${messageOf(error)}. Name a readable file`]);
  }
  try {
    return load(text, { filename: file });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // The whole message would show some lines of the file.
    const { mark, reason } = error;
    const place = mark === undefined ? '' : ` in line ${String(mark.line + 1)}`;
    throw new ConfigError(file, [`not YAML${place}: ${reason}. Mend it there`]);
  }
}
