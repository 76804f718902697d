// The cardinality guard: how many series one target may yield, and which stay when there are more.
//
// What stays does not depend on the order in which a target tells of its objects, nor on chance or on an earlier sweep: a
// series is known by a hash of its label values, and those with the smallest hashes stay. So the same ones stay from scrape
// to scrape, after a restart, and in a second exporter; and families with the same labels keep the same objects. The label
// `state` is left out of the hash: the states of one object stay, or go, together.
import type { Family, Put, Sample } from '../families.ts';
import { escapeLabel } from './family-plan.ts';

const [newline, quote, backslash] = [0x0a, 0x22, 0x5c];

/** Of a target whose inventory has no `series_limit`. */
export const defaultSeriesLimit = 10_000;
/** A hash, and how many of its highest bits are zero: the more, the sooner it stays. */
const bits = 32;
/**
 * Longer values are left out with their series: nothing that we read has them, and a server may send megabytes. The name of
 * a family and those of its labels, which stand on each line, are together no longer either.
 */
const longestChars = 4096;
/** Of a name that is told of. */
const shownChars = 200;
/** Lines that a collector may write, in limits of its target: what lies between is sorted out afterwards. */
const mostLimits = 32;
/** A family of so few is written all the same, whatever the others have: they are told by what is said of one object. */
const fewSamples = 100;

/** Of a family, so that one that runs away leaves room to the others. */
export function familyLimit(limit: number): number {
  return Math.ceil(limit / 2);
}

/** How many each may have at most, so that all together have no more than `limit`: the largest are cut first. */
export function capOf(sizes: readonly number[], limit: number): number {
  const sorted = sizes.toSorted((a, b) => a - b);
  let left = limit;
  for (const [i, size] of sorted.entries()) {
    const share = Math.floor(left / (sorted.length - i));
    if (size > share) return share;
    left -= size;
  }
  return Infinity;
}

/** Part of the hash of a series; see `objectHash`. */
export function hashValue(bytes: Uint8Array, begin: number, end: number, before: number): number {
  let hash = before;
  for (let i = begin; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return Math.imul(hash ^ 0xff, 0x01000193); // no UTF-8 has this byte: where a value ends counts
}

export const hashBegin = 0x811c9dc5 | 0;

/** FNV-1a alone has poor high bits, and it is by them that we choose. @returns 0 to 2^32 - 1 */
export function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** It says why numbers are absent, so it goes before them. */
export function isState(header: object): boolean {
  return 'labels' in header && Array.isArray(header.labels) && header.labels.includes('state');
}

/** Not hashed: what tells the samples of one object apart, not the objects. */
export function isOfObject(label: string): boolean {
  return label !== 'state' && label !== 'quantile';
}

/** Over the label values as they are written. */
export function objectHash({ labels }: Sample, names: readonly string[]): number {
  let hash = hashBegin;
  for (const name of names) if (isOfObject(name)) hash = hashText(labels[name] ?? '', hash);
  return mixed(hash);
}

/** As `hashValue` of what is written, which is the text itself where it is plain. */
function hashText(text: string, before: number): number {
  let hash = before;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80 || code === backslash || code === quote || code === newline) {
      const bytes = Buffer.from(escapeLabel(text));
      return hashValue(bytes, 0, bytes.length, before);
    }
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return Math.imul(hash ^ 0xff, 0x01000193);
}

/** One family of one collector in one sweep. */
interface Seen {
  readonly name: string;
  readonly isState: boolean;
  /** Its names. */
  readonly isTooLong: boolean;
  count: number;
  /** From now on only objects whose hash begins with so many zeros are written. */
  level: number;
  /** Since it is too large: how many hashes have begun with exactly so many zeros. */
  byZeros: Int32Array | undefined;
  /** Those of them with more zeros than the level. */
  beyond: number;
}

/**
 * Stands before the writer and keeps its memory bounded: once a collector has told of more series than its target may have,
 * it takes no more of those that are sure not to stay. What is too much all the same is sorted out by `cut`.
 */
export class SeriesGuard {
  readonly put: Put = (sample) => {
    this.#put(sample);
  };
  readonly #limit: number;
  readonly #ofFamily: number;
  /** How many of a family are sure not to be too many, as far as is known: it can only become less. */
  #cap: number;
  readonly #next: Put;
  readonly #families = new Map<Family, Seen>();
  readonly #refused = new Map<string, number>();
  #total = 0;
  #written = 0;
  #nextLook: number;

  constructor(limit: number | undefined, next: Put) {
    this.#limit = limit ?? defaultSeriesLimit;
    this.#nextLook = this.#limit;
    this.#ofFamily = familyLimit(this.#limit);
    this.#cap = this.#ofFamily;
    this.#next = next;
  }

  /** Series that were not written, by family. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  #put(sample: Sample): void {
    const { family } = sample;
    const seen = this.#families.get(family) ?? this.#begin(family);
    seen.count += 1;
    this.#total += 1;
    if (this.#total > this.#nextLook) this.#look();
    if (seen.isTooLong || isTooLong(sample) || this.#isTooMany(seen, sample)) {
      this.#refused.set(seen.name, (this.#refused.get(seen.name) ?? 0) + 1);
      return;
    }
    this.#written += 1;
    this.#next(sample);
  }

  #begin(family: Family): Seen {
    const { name, labels } = family;
    const chars = labels.reduce((sum, label) => sum + label.length, name.length);
    const seen: Seen = {
      name: name.slice(0, shownChars),
      isState: isState(family),
      isTooLong: chars > longestChars,
      count: 0,
      level: 0,
      byZeros: undefined,
      beyond: 0,
    };
    this.#families.set(family, seen);
    return seen;
  }

  /** Each time there are twice as many as at the look before. */
  #look(): void {
    this.#nextLook = this.#total * 2;
    const sizes = [...this.#families.values()].map(({ count }) => count);
    this.#cap = Math.min(this.#cap, capOf(sizes, this.#limit));
  }

  #isTooMany(seen: Seen, sample: Sample): boolean {
    if (this.#written >= this.#limit * mostLimits) {
      if (seen.count > fewSamples || this.#families.size > this.#limit) return true;
    }
    const cap = seen.isState ? this.#ofFamily : this.#cap;
    if (seen.count <= cap) return false;
    const zeros = Math.clz32(objectHash(sample, sample.family.labels));
    const byZeros = (seen.byZeros ??= new Int32Array(bits + 1));
    byZeros[zeros] = (byZeros[zeros] ?? 0) + 1;
    if (zeros > seen.level) seen.beyond += 1;
    while (seen.level < bits && seen.beyond > cap) {
      seen.level += 1;
      seen.beyond -= byZeros[seen.level] ?? 0;
    }
    return zeros < seen.level;
  }
}

function isTooLong({ family, labels }: Sample): boolean {
  for (const name of family.labels) if ((labels[name]?.length ?? 0) > longestChars) return true;
  return false;
}
