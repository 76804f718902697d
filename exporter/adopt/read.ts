// Files, folders and patterns, as documents. Whatever is wrong with one is told with its place, and the others are read.
import { glob, open, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { CORE_SCHEMA, defineScalarTag, defineSequenceTag, loadAll, mergeTag, YAMLException } from 'js-yaml';
import { messageOf } from '../runtime/errors.ts';

/** More is no rule file and no dashboard that a person keeps. */
export const maxBytes = 32 * 1024 * 1024;
const maxFiles = 5_000;
/** Rule files share labels by them; a bomb needs few, and what it unfolds to is bounded where it is walked. */
const maxAliases = 20_000;

/** Tags of the programs around it (`!vault`, `!secret`, `!Ref`, `!reference [a, b]`): what they stand for is not asked. */
const localScalar = defineScalarTag('!', {
  matchByTagPrefix: true,
  resolve: (text) => text,
  identify: () => false,
});
const localList = defineSequenceTag<unknown[]>('!', {
  matchByTagPrefix: true,
  create: () => [],
  addItem: (list, item) => void list.push(item),
  identify: () => false,
});
const schema = CORE_SCHEMA.withTags(mergeTag, localScalar, localList);

export interface Input {
  readonly file: string;
  /** Named by the user, not met in a folder: it must be something that can be read. */
  readonly isNamed: boolean;
}

export interface Opened {
  readonly text: string;
  readonly documents: readonly unknown[];
}

/** @returns the files of all names, and the names that stand for nothing */
export async function inputsOf(
  names: readonly string[],
): Promise<{ readonly inputs: readonly Input[]; readonly problems: readonly { file: string; text: string }[] }> {
  const inputs = new Map<string, Input>();
  const problems: { file: string; text: string }[] = [];
  const add = (file: string, isNamed: boolean): void => {
    if (inputs.size < maxFiles) inputs.set(file, { file, isNamed: isNamed || (inputs.get(file)?.isNamed ?? false) });
  };
  for (const name of names) {
    try {
      const found = await stat(name).catch(() => undefined);
      if (found?.isDirectory() === true) for (const file of await filesIn(name)) add(file, false);
      else if (found?.isFile() === true) add(name, true);
      else if (found !== undefined) problems.push({ file: name, text: 'neither a file nor a folder' });
      else {
        const matches: string[] = [];
        for await (const file of glob(name)) matches.push(file);
        if (matches.length === 0) problems.push({ file: name, text: 'there is no such file, and no file that fits' });
        for (const file of matches.sort()) {
          if ((await stat(file)).isFile()) add(file, true);
          else for (const inner of await filesIn(file)) add(inner, false);
        }
      }
    } catch (error) {
      problems.push({ file: name, text: messageOf(error) });
    }
  }
  if (inputs.size >= maxFiles) problems.push({ file: names.join(' '), text: `more than ${maxFiles} files` });
  return { inputs: [...inputs.values()], problems };
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of glob('**/*.{yml,yaml,json,rules}', { cwd: folder, withFileTypes: true })) {
    const file = join(folder, relative(resolve(folder), join(entry.parentPath, entry.name)));
    if (entry.isFile() && !file.includes('node_modules/') && files.push(file) >= maxFiles) break;
  }
  return files.sort();
}

/** @returns what is wrong, as text with the place */
export async function openFile(file: string): Promise<Opened | string> {
  let bytes: Uint8Array;
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    if (size > maxBytes) return `${size} bytes; more than ${maxBytes} are not read`;
    bytes = await handle.readFile();
  } catch (error) {
    return `cannot be read: ${messageOf(error)}`;
  }
  if (/\.(lib|j)sonnet$/.test(file)) return 'Jsonnet: render it first (jsonnet, mixtool) and name the result';
  if (/\.(alloy|river)$/.test(file)) return 'a configuration of Grafana Alloy, which is not read';
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    return isUtf16 ? 'UTF-16: save it as UTF-8' : `not UTF-8${placeOfBadByte(bytes)}`;
  }
  return parse(text);
}

export function parse(text: string): Opened | string {
  if (/^\s*(\/\/|\/\*)/.test(text)) return 'begins with a comment, which JSON does not have';
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return 'a page for a browser, perhaps one that wants a login';
  if (/^\s*[[{]/.test(text.slice(0, 1000))) {
    try {
      return { text, documents: [JSON.parse(text) as unknown] };
    } catch (error) {
      // YAML may begin so too
      const asYaml = parseYaml(text);
      if (typeof asYaml !== 'string' || asYaml.startsWith(aTemplate)) return asYaml;
      return `neither JSON (${jsonReason(error)}) nor YAML (${asYaml})`;
    }
  }
  return parseYaml(text);
}

/** V8 repeats a piece of the text, which may be long. */
function jsonReason(error: unknown): string {
  return messageOf(error).replaceAll(/\s+/g, ' ').slice(0, 150);
}

function parseYaml(text: string): Opened | string {
  try {
    return { text, documents: loadAll(text, { schema, maxAliases }) };
  } catch (error) {
    if (error instanceof YAMLException) {
      const place = error.mark === undefined ? '' : ` in line ${error.mark.line + 1}`;
      return templateIn(text, error.mark?.line) ?? `not YAML${place}: ${error.reason}`;
    }
    return `not YAML: ${messageOf(error)}`;
  }
}

const aTemplate = 'a template';

/**
 * Helm, Jinja, ERB, Terraform. Annotations of rules hold `{{ $labels.x }}` too, so only what no annotation has tells it, or a value that
 * begins so, unquoted, in the line that YAML stumbles over.
 */
function templateIn(text: string, badLine: number | undefined): string | undefined {
  const lines = text.split('\n');
  const sure =
    /\{\{-?\s*(\.Values|\.Release|\.Chart|\.Files|include\s+"|toYaml|define\s+"|`)|^\s*\{\{-?\s*(if|range|with|end|\$\w+\s*:?=)(?=\W)|^\s*\{#|\{%|%\{|<%/;
  const isBare = badLine !== undefined && /^\s*\{\{|(:|-)\s+\{\{/.test(lines[badLine] ?? '');
  const found = lines.findIndex((line) => sure.test(line));
  const at = found >= 0 ? found : isBare ? badLine : undefined;
  if (at === undefined) return undefined;
  const line = (lines[at] ?? '').trim();
  return `${aTemplate}, no YAML yet: line ${at + 1} is ${line.length > 60 ? `${line.slice(0, 60)}…` : line}; render it first (helm template, ansible, terraform) and name the result`;
}

function placeOfBadByte(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  let from = 0;
  for (let i = 0; i <= bytes.length; i += 1) {
    if (i < bytes.length && bytes[i] !== 10) continue;
    try {
      decoder.decode(bytes.subarray(from, i));
    } catch {
      return ` in line ${line}`;
    }
    from = i + 1;
    line += 1;
  }
  return '';
}
