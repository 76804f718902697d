// A YAML file, and in which line of it something stands.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { EVENT_ID, getScalarValue, load, parseEvents, YAMLException } from 'js-yaml';
import { ConfigError, messageOf } from '../runtime/errors.ts';
import type { Path, Places } from './places.ts';

/** A file that is larger is no inventory. */
const mostBytes = 32 * 1024 * 1024;

/** @throws Error that says why not: what the system says, no regular file, too large, not UTF-8 */
export async function readText(file: string): Promise<string> {
  // Without O_NONBLOCK a pipe that nobody writes to would be waited for
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const info = await handle.stat();
  if (info.isDirectory()) throw new Error('it is a folder');
  if (!info.isFile()) throw new Error('it is no regular file');
  if (info.size > mostBytes) throw new Error(`it has more than ${String(mostBytes / 1024 / 1024)} MiB`);
  const bytes = await handle.readFile();
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error('it is not UTF-8 text', { cause });
  }
}

/** @param shown how the file is named in errors. @throws ConfigError with the line */
export function parseYaml(text: string, shown: string): unknown {
  try {
    return load(text, { filename: shown });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // The whole message would show some lines of the file.
    const { mark, reason } = error;
    const place = mark === undefined ? shown : `${shown}:${String(mark.line + 1)}`;
    throw new ConfigError(shown, [`${place}: ${explained(reason, text, mark?.position)}`]);
  }
}

/** @throws ConfigError naming the file, and for a syntax error the line */
export async function readYaml(file: string): Promise<unknown> {
  return (await readPlacedYaml(file)).document;
}

/** With the way from its paths to its lines. @throws ConfigError naming the file, and for a syntax error the line */
export async function readPlacedYaml(file: string): Promise<{ readonly document: unknown; readonly places: Places }> {
  let text: string;
  try {
    text = await readText(file);
  } catch (error) {
    throw new ConfigError(file, [`it cannot be read: ${messageOf(error)}. Name a readable file`]);
  }
  const document = parseYaml(text, file);
  const lineOf = linesOf(text);
  return { document, places: { at: (path) => `${file}:${String(lineOf(path))}`, within: (path) => path } };
}

/** js-yaml's own reasons (5.5), where they do not tell people what to do; never a part of the text that may be a secret. */
function explained(reason: string, text: string, position: number | undefined): string {
  if (reason.includes('input is empty')) return 'there is nothing in it. Write a mapping, or take the file away';
  if (reason.includes('single document')) return 'there are several documents in it. Take out the line ---';
  return `not YAML: ${mended(reason, text, position)}`;
}

function mended(reason: string, text: string, position: number | undefined): string {
  if (reason.startsWith('duplicated mapping key')) return `${duplicate(text, position)}. Take one out`;
  if (reason.startsWith('unidentified alias')) return 'no anchor has this name. Put text that begins with * in quotes';
  if (/^(unknown \w+ tag|undeclared tag|tag (name|suffix)|cannot resolve a node)/.test(reason)) {
    return 'there are no such tags here. Put text that begins with ! in quotes';
  }
  if (reason.startsWith('tab characters')) return 'a tab cannot indent. Write spaces';
  if (reason === 'deficient indentation') return `${reason}. Close the bracket that is open, or indent what is in it`;
  if (reason.startsWith('bad indentation')) {
    return `${reason}. Write it below its neighbours, and text with ": " in it in quotes`;
  }
  return `${reason}. Mend it there`;
}

function duplicate(text: string, position: number | undefined): string {
  const [, key] = /^["']?([A-Za-z_][A-Za-z0-9_]{0,60})["']?\s*:/.exec(text.slice(position ?? text.length)) ?? [];
  return key === undefined ? 'a key is there twice' : `the key ${key} is there twice`;
}

interface Node {
  /** Offset into the text; negative for an empty value. */
  readonly at: number;
  readonly children: ReadonlyMap<string, { readonly at: number; readonly node: Node }>;
}

/**
 * The line (from 1) of a path, or of the part of it that is there. The text must be one document that can be parsed.
 * Nothing is done before the first question: mostly nobody asks.
 */
export function linesOf(text: string): (path: Path) => number {
  let known: { readonly root: Node; readonly starts: readonly number[] } | undefined;
  return (path) => {
    known ??= { root: nodeOf(text), starts: [...text.matchAll(/\r\n|\r|\n/g)].map((end) => end.index + end[0].length) };
    const { root, starts } = known;
    let [at, node] = [Math.max(0, root.at), root];
    for (const key of path) {
      const child = node.children.get(String(key));
      if (child === undefined) break;
      if (child.at >= 0) at = child.at;
      node = child.node;
    }
    const later = starts.findIndex((start) => start > at);
    return later < 0 ? starts.length + 1 : later + 1;
  };
}

function nodeOf(text: string): Node {
  const events = parseEvents(text, {});
  const anchors = new Map<string, Node>();
  let next = events[0]?.type === EVENT_ID.DOCUMENT ? 1 : 0;
  const read = (): Node => {
    const event = events[next];
    next += 1;
    const children = new Map<string, { readonly at: number; readonly node: Node }>();
    if (event === undefined || event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) {
      return { at: -1, children };
    }
    const anchor = text.slice(Math.max(0, event.anchorStart), Math.max(0, event.anchorEnd));
    if (event.type === EVENT_ID.ALIAS) {
      return { at: event.anchorStart, children: anchors.get(anchor)?.children ?? children };
    }
    const node = { at: event.type === EVENT_ID.SCALAR ? event.valueStart : event.start, children };
    if (anchor !== '') anchors.set(anchor, node);
    if (event.type === EVENT_ID.SCALAR) return node;
    for (let i = 0; next < events.length && events[next]?.type !== EVENT_ID.POP; i++) {
      const key = event.type === EVENT_ID.MAPPING ? events[next] : undefined;
      const before = event.type === EVENT_ID.MAPPING ? read() : undefined;
      const value = read();
      const name = key?.type === EVENT_ID.SCALAR ? getScalarValue(text, key) : String(i);
      children.set(name, { at: before?.at ?? value.at, node: value });
    }
    next += 1; // its end
    return node;
  };
  return read();
}
