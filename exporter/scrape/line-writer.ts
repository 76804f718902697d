import type { Family, Sample } from '../families.ts';
import { escapeLabel, type ConstantLabels, type FamilyPlan } from './family-plan.ts';
import { isOne, keyFromOf, type BegunRoom, type Block } from './family-writer.ts';
import { extraOf, isSameFamily, type KnownLines } from './known-lines.ts';
import { mostNumberChars, writeNumber } from './number-text.ts';
import { oneSeries, SeriesIndex } from './series-index.ts';
import { slab, slabLineBytes } from './slab.ts';

/** Lines that were there the last time and are not there now, one after another. */
const mostPassedOver = 32;

const [newline, quote] = [0x0a, 0x22];

/** What one family has of lines that were begun. */
interface BegunFamily extends BegunRoom {
  readonly family: Family;
  readonly plan: FamilyPlan;
}

/**
 * Writes lines that are known, each with a new number. All are known to differ, so none is looked up among the others, and
 * how much room each family needs is known too.
 */
export class LineWriter {
  readonly #known: KnownLines;
  readonly #constant: ConstantLabels;
  /** Which family it is in this sweep, where it is another object than the one that is known. */
  #families: Family[] | undefined;
  /** By family: how many lines it has, and how far its room is written. */
  readonly #lines: Int32Array;
  readonly #ends: Int32Array;
  /** Beside what is known of it. */
  readonly #bytesOfLine: number;
  #room: Buffer | undefined;
  #next = 0;

  constructor(known: KnownLines, constant: ConstantLabels) {
    this.#known = known;
    this.#constant = constant;
    const count = known.families.length;
    this.#lines = new Int32Array(count);
    this.#ends = new Int32Array(count);
    this.#bytesOfLine = constant.bytes.length + mostNumberChars + 1;
  }

  /** False, and nothing is written, when it is none of the lines that may come next. */
  put(sample: Sample): boolean {
    const { familyOf } = this.#known;
    const last = Math.min(this.#next + mostPassedOver, familyOf.length);
    let line = this.#next;
    while (line < last && !this.#is(line, sample)) line += 1;
    if (line === last) return false;
    this.#next = line + 1;
    const number = familyOf[line] ?? 0;
    const { family } = sample;
    if (family !== this.#family(number)) (this.#families ??= this.#known.families.slice())[number] = family;
    const lines = this.#lines[number] ?? 0;
    const start = this.#start(number);
    const first = lines > 0 && family.type !== 'summary' ? start : -1;
    this.#ends[number] = this.#write(line, sample.value, lines > 0 ? (this.#ends[number] ?? 0) : start, first);
    this.#lines[number] = lines + 1;
    return true;
  }

  /** Was most of what is known not there? Room for all of it is made in each sweep. */
  get isSparse(): boolean {
    const { length } = this.#known.familyOf;
    return length > mostPassedOver && this.#lines.reduce((sum, lines) => sum + lines, 0) * 2 < length;
  }

  /** What was written. No more is taken after that: others write in the same room. */
  blocks(): Block[] {
    const blocks: Block[] = [];
    const begun = this.#begun();
    const to = this.#isLarge ? undefined : roomInSlab(begun.reduce((sum, { used }) => sum + used, 0));
    let at = 0;
    for (const { family, plan, room, used, lines } of begun) {
      const bytes = to?.subarray(at, at + used) ?? room.subarray(0, used);
      if (to !== undefined) room.copy(to, at, 0, used);
      const series = isOne(family) ? oneSeries : SeriesIndex.ofLines(lines, keyFromOf(family, plan, this.#constant));
      blocks.push({ header: family, bytes, series });
      at += used;
    }
    if (this.#room !== undefined && !this.#isLarge) giveBack(this.#room);
    this.#room = undefined;
    return blocks;
  }

  /** What was written, for whoever goes on with it. A room for all that may come is not kept with the few lines in it. */
  leave(): BegunFamily[] {
    const begun = this.#begun();
    if (this.#room === undefined || this.#isLarge) return begun;
    const copies = begun.map((one) => ({ ...one, room: Buffer.from(one.room.subarray(0, one.used)) }));
    giveBack(this.#room);
    this.#room = undefined;
    return copies;
  }

  #begun(): BegunFamily[] {
    const begun: BegunFamily[] = [];
    if (this.#room === undefined) return begun;
    const { plans } = this.#known;
    for (let i = 0; i < plans.length; i++) {
      const lines = this.#lines[i] ?? 0;
      const family = this.#family(i);
      const plan = plans[i];
      if (lines === 0 || family === undefined || plan === undefined) continue;
      const start = this.#start(i);
      const room = this.#room.subarray(start, this.#start(i + 1));
      begun.push({ family, plan, room, used: (this.#ends[i] ?? 0) - start, lines });
    }
    return begun;
  }

  /** It has a room of its own, which is not worth to be copied. */
  get #isLarge(): boolean {
    return this.#room === undefined || this.#room.length > roomBytes;
  }

  #family(number: number): Family | undefined {
    return (this.#families ?? this.#known.families)[number];
  }

  /** Where the room of a family begins. */
  #start(number: number): number {
    const { bytesBefore, linesBefore } = this.#known;
    return (bytesBefore[number] ?? 0) + (linesBefore[number] ?? 0) * this.#bytesOfLine;
  }

  #is(line: number, sample: Sample): boolean {
    const { familyOf, isPlain, extras } = this.#known;
    const number = familyOf[line] ?? 0;
    const { family } = sample;
    const expected = this.#family(number);
    if (family !== expected) {
      // Two families of one name are a fault, which is found where lines are not known.
      if (expected === undefined || this.#lines[number] !== 0 || !isSameFamily(family, expected)) return false;
      if (family.passed === true) return false;
    }
    const extra = extraOf(sample);
    if (family.type === 'summary') {
      if (extra === undefined || extras.get(line) !== extra) return false;
      if (sample.part !== undefined && sample.quantile !== undefined) return false;
    } else if (extra !== undefined) return false;
    return isPlain[line] === 1 ? this.#isPlain(line, number, sample) : this.#isEscaped(line, number, sample);
  }

  /** No value of the line has a quote: one without, behind which a quote stands, is the whole value. */
  #isPlain(line: number, number: number, { family, labels }: Sample): boolean {
    const { bytes, plans, splits } = this.#known;
    const opens = plans[number]?.openBytes ?? [];
    const names = family.labels;
    let at = splits[line] ?? 0;
    for (let i = 0; i < names.length; i++) {
      const text: unknown = labels[names[i] ?? ''];
      if (typeof text !== 'string') return false;
      at += opens[i]?.length ?? 0;
      if (bytes[at + text.length] !== quote) return false;
      for (let j = 0; j < text.length; j++) {
        const code = text.charCodeAt(j);
        if (code !== bytes[at + j] || code === quote) return false;
      }
      at += text.length;
    }
    return hasOnly(labels, names.length);
  }

  #isEscaped(line: number, number: number, { family, labels }: Sample): boolean {
    const { bytes, plans, splits } = this.#known;
    const opens = plans[number]?.opens ?? [];
    const values: readonly unknown[] = family.labels.map((name) => labels[name]);
    if (!values.every((value) => typeof value === 'string') || !hasOnly(labels, values.length)) return false;
    const text = Buffer.from(`${values.map((value, i) => `${opens[i] ?? ''}${escapeLabel(value)}`).join('')}"`);
    const from = splits[line] ?? 0;
    return bytes.subarray(from, from + text.length).equals(text);
  }

  /** @param first where a line of the same name stands; -1 for none. @returns where it ends */
  #write(line: number, value: number, from: number, first: number): number {
    const { begins, splits, bytes } = this.#known;
    const buffer = (this.#room ??= roomFor(this.#start(this.#known.families.length)));
    const split = splits[line] ?? 0;
    const begin = begins[line] ?? 0;
    const constant = this.#constant.bytes;
    let at = from;
    if (first >= 0) {
      at += split - begin + constant.length;
      buffer.copyWithin(from, first, first + at - from);
    } else at = copy(constant, 0, constant.length, buffer, copy(bytes, begin, split, buffer, at));
    at = copy(bytes, split, begins[line + 1] ?? 0, buffer, at);
    at = writeNumber(value, buffer, at);
    buffer[at++] = newline;
    return at;
  }
}

/** A call of copy() takes as long as some thirty bytes. @returns where they end */
function copy(from: Buffer, begin: number, end: number, to: Buffer, at: number): number {
  if (end - begin > 32) return at + from.copy(to, at, begin, end);
  for (let i = begin; i < end; i++) to[at + i - begin] = from[i] ?? 0;
  return at + end - begin;
}

/**
 * Lines are written where there is room for the longest numbers, and then put together: the room is used again. As many are
 * kept as sweeps run at the same time.
 */
const rooms: Buffer[] = [];
const mostRooms = 64;
const roomBytes = 64 * 1024;

function roomFor(bytes: number): Buffer {
  if (bytes > roomBytes) return Buffer.allocUnsafeSlow(bytes);
  return rooms.pop() ?? Buffer.allocUnsafeSlow(roomBytes);
}

function giveBack(room: Buffer): void {
  if (rooms.length < mostRooms) rooms.push(room);
}

function roomInSlab(bytes: number): Buffer {
  if (bytes > slabLineBytes) return Buffer.allocUnsafeSlow(bytes);
  const room = slab.rest(bytes);
  slab.take(bytes);
  return room;
}

function hasOnly(labels: Sample['labels'], wanted: number): boolean {
  let count = 0;
  for (const _name in labels) count += 1;
  return count === wanted;
}
