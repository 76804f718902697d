import type { Family, Sample } from '../families.ts';
import { planOf, type ConstantLabels, type FamilyPlan } from './family-plan.ts';

/**
 * The lines that a collector has written, in their order, without the labels of the target and the numbers. Nearly always
 * it writes the same series again. Never changed: targets that write the same lines share them.
 */
export interface KnownLines {
  /** Names of the constant labels: labels of a family may be named otherwise because of them. */
  readonly constantKey: string;
  readonly families: readonly Family[];
  readonly plans: readonly FamilyPlan[];
  /** By family, and behind the last: how many lines the families before it have, and how many bytes. */
  readonly linesBefore: Int32Array;
  readonly bytesBefore: Int32Array;
  /** By line: which family. */
  readonly familyOf: Int32Array;
  /** By line, and behind the last: where it begins. It ends with the space before the number. */
  readonly begins: Int32Array;
  /** By line: where the constant labels go, and the line's own go on. */
  readonly splits: Int32Array;
  /** By line: 1 where every label value stands there as it is, without an escape and in ASCII. */
  readonly isPlain: Uint8Array;
  /** By line of a summary; see extraOf. */
  readonly extras: ReadonlyMap<number, string>;
  readonly bytes: Buffer;
}

/** V8 keeps the whole text from which a longer one was cut. */
const mostExtraChars = 12;

const [openBrace, backslash] = [0x7b, 0x5c];

/** What tells the lines of a summary apart beside labels; undefined for any other. */
export function extraOf({ part, quantile }: Sample): string | undefined {
  return quantile === undefined ? part : `=${quantile}`;
}

/** Is what is written of both the same, but for values? Families with names of the target's own are made anew for each sweep. */
export function isSameFamily(a: Family, b: Family): boolean {
  if (a === b) return true;
  return (
    a.name === b.name &&
    a.type === b.type &&
    a.help === b.help &&
    a.level === b.level &&
    a.quantiles === b.quantiles &&
    a.labels.length === b.labels.length &&
    a.labels.every((label, i) => label === b.labels[i])
  );
}

/** Takes down what is written. */
export class LineRecorder {
  readonly #constant: ConstantLabels;
  readonly #mostBytes: number;
  readonly #families = new Map<Family, number>();
  readonly #plans: FamilyPlan[] = [];
  readonly #counts: number[] = [];
  readonly #sizes: number[] = [];
  readonly #familyOf: number[] = [];
  readonly #begins: number[] = [0];
  readonly #splits: number[] = [];
  readonly #isPlain: number[] = [];
  readonly #extras = new Map<number, string>();
  #bytes = Buffer.allocUnsafe(4096);
  #at = 0;
  #isOver = false;

  constructor(constant: ConstantLabels, mostBytes: number) {
    this.#constant = constant;
    this.#mostBytes = mostBytes;
  }

  /** @param from where its line begins in `written`, which ends before the number at `to` */
  add(sample: Sample, written: Uint8Array, from: number, to: number): void {
    if (this.#isOver) return;
    const extra = extraOf(sample);
    // The help of what is passed on is part of a page that the target has made.
    const isKept = sample.family.passed !== true && (extra?.length ?? 0) <= mostExtraChars;
    if (!isKept || this.#at + to - from > this.#mostBytes) {
      this.#isOver = true;
      return;
    }
    const line = this.#familyOf.length;
    if (extra !== undefined) this.#extras.set(line, extra);
    const begin = this.#at;
    this.#copy(written, from, to);
    const family = this.#familyNumber(sample.family);
    this.#familyOf.push(family);
    this.#begins.push(this.#at);
    this.#counts[family] = (this.#counts[family] ?? 0) + 1;
    this.#sizes[family] = (this.#sizes[family] ?? 0) + this.#at - begin;
  }

  /** Undefined when it is too much to be kept. */
  known(): KnownLines | undefined {
    if (this.#isOver || this.#familyOf.length === 0) return undefined;
    return {
      constantKey: this.#constant.key,
      families: [...this.#families.keys()],
      plans: this.#plans,
      linesBefore: sumsOf(this.#counts),
      bytesBefore: sumsOf(this.#sizes),
      familyOf: new Int32Array(this.#familyOf),
      begins: new Int32Array(this.#begins),
      splits: new Int32Array(this.#splits),
      isPlain: new Uint8Array(this.#isPlain),
      extras: this.#extras,
      bytes: Buffer.from(this.#bytes.subarray(0, this.#at)),
    };
  }

  #familyNumber(family: Family): number {
    const before = this.#families.get(family);
    if (before !== undefined) return before;
    const number = this.#families.size;
    this.#families.set(family, number);
    this.#plans.push(planOf(family, this.#constant));
    return number;
  }

  /** Without the constant labels. */
  #copy(written: Uint8Array, from: number, to: number): void {
    if (this.#at + to - from > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + to - from));
      this.#bytes.copy(larger, 0, 0, this.#at);
      this.#bytes = larger;
    }
    const bytes = this.#bytes;
    const constant = this.#constant.bytes.length;
    let at = this.#at;
    let split = -1;
    let isPlain = 1;
    for (let i = from; i < to; i++) {
      const byte = written[i] ?? 0;
      bytes[at++] = byte;
      if (split < 0) {
        // A name has no brace.
        if (byte !== openBrace) continue;
        split = at;
        i += constant;
      } else if (byte >= 0x80 || byte === backslash) isPlain = 0;
    }
    this.#splits.push(split < 0 ? at : split);
    this.#isPlain.push(isPlain);
    this.#at = at;
  }
}

function sumsOf(numbers: readonly number[]): Int32Array {
  const sums = new Int32Array(numbers.length + 1);
  for (let i = 0; i < numbers.length; i++) sums[i + 1] = (sums[i] ?? 0) + (numbers[i] ?? 0);
  return sums;
}

const shared = new Map<number, WeakRef<KnownLines>>();
let mostShared = 64;

/** The ones that are there already, if others have the same. */
export function share(lines: KnownLines): KnownLines {
  const hash = hashOfLines(lines);
  const before = shared.get(hash)?.deref();
  if (before !== undefined && areSame(before, lines)) return before;
  if (shared.size >= mostShared) {
    for (const [key, ref] of shared) if (ref.deref() === undefined) shared.delete(key);
    mostShared = 64 + shared.size * 2;
  }
  shared.set(hash, new WeakRef(lines));
  return lines;
}

/** Of some thousand bytes of them: those with the same one are compared. */
function hashOfLines({ bytes }: KnownLines): number {
  const step = 1 + (bytes.length >> 12);
  let hash = bytes.length;
  for (let i = 0; i < bytes.length; i += step) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  return hash;
}

function areSame(a: KnownLines, b: KnownLines): boolean {
  return (
    a.constantKey === b.constantKey &&
    a.bytes.equals(b.bytes) &&
    areSameNumbers(a.begins, b.begins) &&
    areSameNumbers(a.splits, b.splits) &&
    areSameNumbers(a.familyOf, b.familyOf) &&
    a.families.length === b.families.length &&
    a.families.every((family, i) => {
      const other = b.families[i];
      return other !== undefined && isSameFamily(family, other);
    }) &&
    a.extras.size === b.extras.size &&
    [...a.extras].every(([line, extra]) => b.extras.get(line) === extra)
  );
}

function areSameNumbers(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
