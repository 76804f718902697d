import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { load, YAMLException } from 'js-yaml';
import { z } from 'zod';
import { ConfigError, messageOf } from '../runtime/errors.ts';
import type { System } from '../system.ts';
import { systems as registered } from '../systems/index.ts';
import { inventoryOf, type Inventory } from './inventory.ts';
import { problemsOf } from './problems.ts';

/** Where a list of the merged document comes from: `from` is the first index of this file's part. */
interface Part {
  readonly file: string;
  readonly list: 'targets' | 'pipelines';
  readonly from: number;
}

const included = z.strictObject({
  targets: z.array(z.unknown()).optional(),
  pipelines: z.array(z.unknown()).optional(),
});

/**
 * Reads and checks pipemedic.yml and the files that it includes: `include: [team-a.yml]`, relative to it, each with
 * targets and pipelines that are added to its own. Includes do not include.
 * @throws ConfigError
 */
export async function loadInventory(file: string, systems: readonly System[] = registered): Promise<Inventory> {
  const document = await readYaml(file);
  if (!hasIncludes(document)) return inventoryOf(document, file, systems);
  const { include, ...own } = document;
  const names = z.array(z.string().min(1)).safeParse(include);
  if (!names.success) throw new ConfigError(file, ['include: cannot stand so. Write a list of file names']);
  const parts: Part[] = [];
  const targets = listOf(own['targets']);
  const pipelines = listOf(own['pipelines']);
  for (const name of names.data) {
    const path = resolve(dirname(file), name);
    const more = await readYaml(path);
    const read = included.safeParse(more);
    if (!read.success) throw new ConfigError(path, problemsOf(read.error, included, more));
    parts.push({ file: path, list: 'targets', from: targets.length });
    parts.push({ file: path, list: 'pipelines', from: pipelines.length });
    targets.push(...(read.data.targets ?? []));
    pipelines.push(...(read.data.pipelines ?? []));
  }
  try {
    return inventoryOf({ ...own, targets, pipelines }, file, systems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      file,
      error.problems.map((problem) => inItsFile(problem, parts)),
    );
  }
}

function hasIncludes(document: unknown): document is Readonly<Record<string, unknown>> {
  return typeof document === 'object' && document !== null && 'include' in document;
}

/** Anything but a list is left for the schema to refuse. */
function listOf(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? [...(value as unknown[])] : [value];
}

/** `targets[7].name: …` of the merged document as `team-a.yml: targets[2].name: …`. */
function inItsFile(problem: string, parts: readonly Part[]): string {
  const match = /^(targets|pipelines)\[(\d+)\](.*)$/s.exec(problem);
  if (match === null) return problem;
  const [, list = '', digits = '', rest = ''] = match;
  const part = parts.findLast((p) => p.list === list && p.from <= Number(digits));
  return part === undefined ? problem : `${part.file}: ${list}[${String(Number(digits) - part.from)}]${rest}`;
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
