import { capOf, defaultSeriesLimit, familyLimit, hashBegin, hashValue, isOfObject, isState, mixed } from './guard.ts';
import type { Outcome } from './outcome.ts';
import type { Block } from './writer.ts';

type Yield = Pick<Outcome, 'collector' | 'blocks' | 'refused'>;

/** What is left of a block. */
interface Part extends Block {
  readonly lines: number;
}

/** What is served of some collectors of one target, and what is left out. */
export interface Cut {
  readonly blocks: readonly (Block | Part)[];
  readonly samples: number;
  /** Series left out, by collector and family; those without any are not named. */
  readonly dropped: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

const nothing: Cut['dropped'] = new Map();

/** How many lines a block has. */
export function sizeOf({ series }: Block): number {
  return series.size;
}

/** Nearly always. */
function isWithin(outcomes: readonly Yield[], limit: number): boolean {
  const ofFamily = familyLimit(limit);
  let written = 0;
  for (const { blocks, refused } of outcomes) {
    if (refused.size > 0) return false;
    for (const block of blocks) {
      const size = sizeOf(block);
      written += size;
      if (size > ofFamily || written > limit) return false;
    }
  }
  return true;
}

/**
 * Leaves out what is more than the target's limit. The largest families are cut, all of them to the same size; what says
 * why a number is absent (a family with the label `state`) goes before the numbers.
 *
 * @param prefixBytes length of `{` and the labels that stand in front on every series of the target; rarely asked for
 */
export function cut(outcomes: readonly Yield[], limit: number | undefined, prefixBytes: () => number): Cut {
  return cutTo(outcomes, limit ?? defaultSeriesLimit, prefixBytes);
}

function cutTo(outcomes: readonly Yield[], limit: number, prefixBytes: () => number): Cut {
  if (isWithin(outcomes, limit)) {
    const blocks = outcomes.flatMap((outcome) => outcome.blocks);
    return { blocks, samples: blocks.reduce((sum, block) => sum + sizeOf(block), 0), dropped: nothing };
  }
  const all = outcomes.flatMap(({ collector, blocks }) => blocks.map((block) => ({ collector, block })));
  const dropped = new Map<string, Map<string, number>>();
  for (const { collector, refused } of outcomes) if (refused.size > 0) dropped.set(collector, new Map(refused));
  const ofFamily = familyLimit(limit);
  const { stateCap, cap } = capsOf(
    all.map(({ block }) => block),
    limit,
  );
  const kept = keptNames(
    all.map(({ block }) => block.header.name),
    limit,
  );
  let samples = 0;
  const blocks = all.flatMap(({ collector, block }) => {
    const { name } = block.header;
    const most = isState(block.header) ? stateCap : kept === undefined ? cap : kept.has(name) ? 1 : 0;
    const { bytes, lines } = smallest(block, Math.min(most, ofFamily), prefixBytes);
    samples += lines;
    const gone = sizeOf(block) - lines;
    if (gone > 0) {
      const ofCollector = dropped.get(collector) ?? new Map<string, number>();
      dropped.set(collector, ofCollector.set(name, (ofCollector.get(name) ?? 0) + gone));
    }
    return lines === 0 ? [] : [{ ...block, bytes, lines }];
  });
  return { blocks, samples, dropped };
}

function capsOf(blocks: readonly Block[], limit: number): { readonly stateCap: number; readonly cap: number } {
  const ofFamily = familyLimit(limit);
  const sizes = (of: readonly Block[]): number[] => of.map((block) => Math.min(sizeOf(block), ofFamily));
  const states = sizes(blocks.filter(({ header }) => isState(header)));
  const others = sizes(blocks.filter(({ header }) => !isState(header)));
  const stateCap = capOf(states, limit);
  const taken = states.reduce((sum, size) => sum + Math.min(size, stateCap), 0);
  return { stateCap, cap: capOf(others, Math.max(0, limit - taken)) };
}

/** Only where a target has more families than series are allowed: those whose names have the smallest hashes. */
function keptNames(names: readonly string[], limit: number): ReadonlySet<string> | undefined {
  if (names.length <= limit) return undefined;
  const hashed = names.map((name) => {
    const bytes = Buffer.from(name);
    return { name, hash: mixed(hashValue(bytes, 0, bytes.length, hashBegin)) };
  });
  return new Set(
    hashed
      .toSorted((a, b) => a.hash - b.hash)
      .slice(0, limit)
      .map(({ name }) => name),
  );
}

interface Lines {
  readonly bytes: Buffer;
  readonly lines: number;
}

/** The same block is asked for by every scrape that shares its sweep. */
const cutBefore = new WeakMap<Block, Lines & { readonly most: number }>();

/** The lines of the objects with the smallest hashes, no more than `most`; the lines of an object stay together. */
function smallest(block: Block, most: number, prefixBytes: () => number): Lines {
  const size = sizeOf(block);
  if (size <= most) return { bytes: block.bytes, lines: size };
  const before = cutBefore.get(block);
  if (before?.most === most) return before;
  const lines = linesOf(block, prefixBytes());
  const hashes = Float64Array.from(lines, ({ hash }) => hash).sort();
  const tooLarge = hashes[most] ?? Infinity;
  const kept = lines.filter(({ hash }) => hash < tooLarge);
  const found = {
    bytes: Buffer.concat(kept.map(({ begin, end }) => block.bytes.subarray(begin, end))),
    lines: kept.length,
    most,
  };
  cutBefore.set(block, found);
  return found;
}

interface Line {
  readonly begin: number;
  /** Behind its newline. */
  readonly end: number;
  readonly hash: number;
}

const [newline, open, close, quote, backslash, equals, comma] = [0x0a, 0x7b, 0x7d, 0x22, 0x5c, 0x3d, 0x2c];

/** As the encoder wrote them: `name{labels} value`, always with the labels of the target in front. */
function linesOf({ bytes }: Block, prefixBytes: number): Line[] {
  const lines: Line[] = [];
  for (let begin = 0; begin < bytes.length;) {
    let hash = hashBegin;
    let at = bytes.indexOf(open, begin) + prefixBytes;
    while (bytes[at] !== close) {
      if (bytes[at] === comma) at += 1;
      const nameEnd = bytes.indexOf(equals, at);
      const label = bytes.toString('latin1', at, nameEnd);
      const from = nameEnd + 2;
      at = from;
      while (bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
      if (isOfObject(label)) hash = hashValue(bytes, from, at, hash);
      at += 1;
    }
    const end = bytes.indexOf(newline, at) + 1;
    lines.push({ begin, end, hash: mixed(hash) });
    begin = end;
  }
  return lines;
}
