import type { Family, Sample } from '../families.ts';
import { escapeLabel, planOf, type ConstantLabels, type FamilyPlan } from './family-plan.ts';
import type { LineRecorder } from './known-lines.ts';
import { mostNumberChars, writeNumber } from './number-text.ts';
import { hashOf, noSeries, oneSeries, SeriesIndex } from './series-index.ts';
import { slab, slabLineBytes } from './slab.ts';

/** What the exposition needs to know of a family; the program's own metrics have histograms too. */
export interface Header {
  readonly name: string;
  readonly type: Family['type'] | 'histogram';
  readonly help: string;
}

/** The lines of one family from one source (a collector of a target, the inventory, the program itself). */
export interface Block {
  readonly header: Header;
  readonly bytes: Buffer;
  /** What tells the lines apart, to find a series that two sources of one target emit. */
  readonly series: SeriesIndex;
}

/** Of two blocks of the same name and target. */
export function shareSeries(a: Block, b: Block): boolean {
  return a.series.overlaps(a.bytes, b.series, b.bytes);
}

const none = Buffer.alloc(0);
const [newline, quote, backslash] = [0x0a, 0x22, 0x5c];

/** TypedArray.set costs more than the few bytes themselves. @returns where they end */
function copy(from: Uint8Array, to: Uint8Array, at: number): number {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i] ?? 0;
  return at + from.length;
}

/** From here on the bytes of a line tell it apart from others of its family: those of a summary have parts. */
export function keyFromOf({ type, name }: Family, plan: FamilyPlan, constant: ConstantLabels): number {
  return type === 'summary' ? Buffer.byteLength(name) : plan.beginBytes.length + constant.bytes.length;
}

/** Has it one series, which nothing tells apart from others? */
export function isOne({ type, labels }: Family): boolean {
  return labels.length === 0 && type !== 'summary';
}

/** Lines that somebody else has begun to write. */
export interface BegunRoom {
  /** From its first line to its end. */
  readonly room: Buffer;
  readonly used: number;
  readonly lines: number;
}

/** Writes the lines of one family from one source. */
export class FamilyWriter {
  readonly #family: Family;
  readonly #plan: FamilyPlan;
  readonly #constant: ConstantLabels;
  /** From here on the bytes of a line tell it apart from others. */
  readonly #keyFrom: number;
  /** Undefined for a family without labels: it has one series. */
  readonly #series: SeriesIndex | undefined;
  readonly #check: boolean;
  /** Expected of all lines. */
  readonly #expectedBytes: number;
  #buffer: Buffer = none;
  /** In the slab, until others have written behind these lines. */
  #inSlab = true;
  #slabMark = 0;
  #at = 0;
  #count = 0;
  /** Of the line that was written last. */
  #lineFrom = 0;
  #numberFrom = 0;
  /** Label values of the sample that was checked last. */
  readonly #values: string[] = [];
  /** Of the series before: all label values but the last, and where they stand in the buffer, with the name before them. */
  readonly #leading: string[] = [];
  #leadingFrom = -1;
  #leadingTo = 0;
  /** Over its bytes from `#keyFrom` on. */
  #leadingHash = 0;

  /** @throws when the family cannot be written */
  constructor(family: Family, constant: ConstantLabels, check: boolean, sizeBefore: number) {
    this.#family = family;
    this.#plan = planOf(family, constant);
    this.#constant = constant;
    this.#check = check;
    this.#series = isOne(family) ? undefined : new SeriesIndex();
    this.#keyFrom = keyFromOf(family, this.#plan, constant);
    this.#expectedBytes = Math.ceil(sizeBefore * 1.02); // values become longer
  }

  /** @throws when the labels are not those that were declared */
  check({ labels }: Sample): void {
    const declared = this.#family.labels;
    for (let i = 0; i < declared.length; i++) {
      const name = declared[i] ?? '';
      const value: unknown = labels[name];
      if (typeof value !== 'string') throw new Error(`${this.#family.name}: label ${name} is ${typeof value}`);
      this.#values[i] = value;
    }
    // An object that came by way of a variable may have more than the type says.
    let count = 0;
    for (const _name in labels) count += 1;
    if (count !== declared.length) {
      const undeclared = Object.keys(labels).filter((name) => !declared.includes(name));
      throw new Error(`${this.#family.name}: label ${undeclared.join()} is not declared`);
    }
  }

  /** Of a sample that has been checked. */
  add(sample: Sample): void {
    const { name, type, quantiles } = this.#family;
    const { quantile } = sample;
    const part: string = sample.part ?? '';
    if (quantile !== undefined && (quantiles !== true || part !== '')) throw new Error(`${name} has no such quantile`);
    if ((type === 'summary') !== (part !== '' || quantile !== undefined)) {
      throw new Error(`${name}: ${part} is no part of a ${type}`);
    }
    const begin = this.#at;
    const isWritten = type !== 'summary' && this.#writePlain(mostNumberChars + 1);
    if (!isWritten) this.#writeAny(part, quantile, mostNumberChars + 1);
    if (this.#check && !this.#addSeries(begin, isWritten)) {
      const series = this.#buffer.toString('utf8', begin, this.#at);
      this.#at = begin;
      this.#leadingFrom = -1;
      throw new Error(`emitted twice: ${series}`.slice(0, 300));
    }
    const buffer = this.#buffer;
    this.#lineFrom = begin;
    this.#numberFrom = this.#at;
    let at = writeNumber(sample.value, buffer, this.#at);
    buffer[at++] = newline;
    this.#at = at;
    this.#count += 1;
    if (!this.#inSlab) return;
    slab.take(at - begin);
    this.#slabMark = slab.mark;
  }

  /** Goes on behind lines that are there, all of them different. */
  resume({ room, used, lines }: BegunRoom): void {
    this.#inSlab = false;
    this.#buffer = room;
    this.#at = used;
    this.#count = lines;
    this.#series?.addLines(room.subarray(0, used), this.#keyFrom);
  }

  /** The line that was written last, without its number. */
  record(sample: Sample, recorder: LineRecorder): void {
    recorder.add(sample, this.#buffer, this.#lineFrom, this.#numberFrom);
  }

  /** What was written. */
  block(): Block {
    const series = this.#series ?? (this.#count > 0 ? oneSeries : noSeries);
    return { header: this.#family, bytes: this.#buffer.subarray(0, this.#at), series };
  }

  /** False when the same series is there already. */
  #addSeries(begin: number, isPlain: boolean): boolean {
    if (this.#series === undefined) return this.#count === 0;
    const from = begin + this.#keyFrom;
    if (!isPlain || this.#leadingFrom < 0) return this.#series.add(this.#buffer, from, this.#at);
    const leadingTo = begin + this.#leadingTo - this.#leadingFrom;
    const hash = hashOf(this.#buffer, leadingTo, this.#at, this.#leadingHash);
    return this.#series.add(this.#buffer, from, this.#at, hash);
  }

  /** A part of a summary, or label values that are not plain ASCII. */
  #writeAny(part: string, quantile: string | undefined, more: number): void {
    const { begin, opens, tail } = this.#plan;
    const { name } = this.#family;
    const key = opens.map((open, i) => `${open}${escapeLabel(this.#values[i] ?? '')}`).join('');
    const end = quantile === undefined ? tail : this.#quantileTail(quantile);
    const series = `${name}${part}${begin.slice(name.length)}${this.#constant.text}${key}${end}`;
    this.#reserve(series.length * 3 + more); // UTF-8 takes at most 3 bytes per UTF-16 unit
    this.#at += this.#buffer.write(series, this.#at);
  }

  /**
   * Nearly all label values are plain ASCII: copied byte by byte they take a third of the time of a string made, flattened
   * and encoded. And nearly all series differ from the one before in the last label only. False when one is not plain: then
   * nothing is written.
   */
  #writePlain(more: number): boolean {
    const { beginBytes, openBytes, tailBytes } = this.#plan;
    const values = this.#values;
    const last = values.length - 1;
    let length = beginBytes.length + this.#constant.bytes.length + tailBytes.length + more;
    let isLed = last > 0 && this.#leadingFrom >= 0;
    for (let i = 0; i <= last; i++) {
      const text = values[i] ?? '';
      length += (openBytes[i]?.length ?? 0) + text.length;
      if (i < last && isLed) isLed = text === this.#leading[i];
    }
    this.#reserve(length);
    const begin = this.#at;
    if (isLed) {
      this.#buffer.copyWithin(begin, this.#leadingFrom, this.#leadingTo);
      return this.#writeFrom(last, begin + this.#leadingTo - this.#leadingFrom);
    }
    this.#leadingFrom = -1;
    return this.#writeFrom(0, copy(this.#constant.bytes, this.#buffer, copy(beginBytes, this.#buffer, begin)));
  }

  /** The values from `first` on, and the tail. */
  #writeFrom(first: number, from: number): boolean {
    const { openBytes, tailBytes } = this.#plan;
    const values = this.#values;
    const last = values.length - 1;
    const buffer = this.#buffer;
    const begin = this.#at;
    let at = from;
    for (let i = first; i <= last; i++) {
      if (i === last && first < last) this.#lead(begin, at);
      at = copy(openBytes[i] ?? none, buffer, at);
      const text = values[i] ?? '';
      for (let j = 0; j < text.length; j++) {
        const code = text.charCodeAt(j);
        if (code >= 0x80 || code === backslash || code === quote || code === newline) {
          this.#leadingFrom = -1;
          return false;
        }
        buffer[at++] = code;
      }
    }
    this.#at = copy(tailBytes, buffer, at);
    return true;
  }

  #lead(from: number, to: number): void {
    this.#leadingFrom = from;
    this.#leadingTo = to;
    for (let i = 0; i < this.#values.length - 1; i++) this.#leading[i] = this.#values[i] ?? '';
    if (this.#check) this.#leadingHash = hashOf(this.#buffer, from + this.#keyFrom, to);
  }

  /** `quantile` is the last label. */
  #quantileTail(quantile: string): string {
    const before = { ' ': '{', '} ': ',' }[this.#plan.tail] ?? '",';
    return `${before}quantile="${escapeLabel(quantile)}"} `;
  }

  #reserve(length: number): void {
    const atMost = this.#at + length;
    if (!this.#inSlab) {
      if (atMost > this.#buffer.length) this.#move(Math.max(this.#buffer.length * 2, atMost));
    } else if (this.#at === 0 && this.#expectedBytes === 0 && length <= slabLineBytes) {
      this.#buffer = slab.rest(length);
    } else if (atMost > this.#buffer.length || slab.mark !== this.#slabMark) {
      this.#inSlab = false;
      this.#move(Math.max(atMost * 2, this.#expectedBytes));
    }
  }

  #move(size: number): void {
    const larger = Buffer.allocUnsafe(size);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
