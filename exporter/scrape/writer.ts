import { TargetError } from '../runtime/errors.ts';
import type { Family, Level, Put, Sample } from '../families.ts';
import { hashOf, SeriesIndex } from './series-index.ts';

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

export function shareSeries(a: Block, b: Block): boolean {
  return a.series.overlaps(a.bytes, b.series, b.bytes);
}

/** Series that one target may still emit in one sweep, shared by its collectors. */
export interface SeriesRoom {
  left: number;
  /** So that one family that runs away leaves some room to the others. */
  readonly perFamily: number;
}

/** Below it growing costs nothing, and names that a target invents are not remembered. */
const largeBytes = 64 * 1024;

export const defaultSeriesLimit = 10_000;

export function seriesRoom(limit = defaultSeriesLimit): SeriesRoom {
  return { left: limit, perFamily: Math.ceil(limit / 2) };
}

export const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
export const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

interface WriterOptions {
  readonly level: Level;
  /** In front of the labels of every series. */
  readonly constant?: Readonly<Record<string, string>>;
  readonly room?: SeriesRoom;
  /** Bytes of each family in the sweep before: room is made for as many at once, not by growing again and again. */
  readonly sizes?: Map<string, number>;
  /** Off only to measure what it costs. */
  readonly checkDuplicates?: boolean;
}

/**
 * Writes samples as lines of the text format at the moment they are emitted: one Buffer per family, no sample objects
 * kept. A NaN, a label that was not declared and a series that is there already throw, and `finish` throws again, should
 * the collector have caught it.
 */
export class SampleWriter {
  readonly put: Put = (sample) => {
    this.#write(sample);
  };
  readonly #families = new Map<Family, FamilyWriter>();
  readonly #names = new Set<string>();
  readonly #level: Level;
  readonly #constant: Readonly<Record<string, string>>;
  readonly #room: SeriesRoom;
  readonly #check: boolean;
  readonly #sizes: Map<string, number>;
  #taken = 0;
  #dropped = 0;
  #closed = false;
  #fault: Error | undefined;

  constructor({ level, constant = {}, room, sizes = new Map(), checkDuplicates = true }: WriterOptions) {
    this.#sizes = sizes;
    this.#level = level;
    this.#constant = constant;
    this.#room = room ?? { left: Infinity, perFamily: Infinity };
    this.#check = checkDuplicates;
  }

  /** Series left out because the room was used up. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The first thing that was emitted wrongly. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** No more samples are taken; what was written. @throws the first fault */
  finish(): Block[] {
    this.#closed = true;
    if (this.#fault !== undefined) throw this.#fault;
    const blocks = [...this.#families.values()].map((f) => f.block());
    for (const { header, bytes } of blocks) {
      if (bytes.length >= largeBytes) this.#sizes.set(header.name, bytes.length);
    }
    return blocks;
  }

  /** No more samples are taken and those written do not count. */
  discard(): void {
    this.#closed = true;
    this.#room.left += this.#taken;
    this.#taken = 0;
    this.#families.clear();
  }

  #write(sample: Sample): void {
    if (this.#closed) throw new TargetError('deadline', 'emitted after the sweep had ended');
    try {
      const family = this.#families.get(sample.family) ?? this.#open(sample.family);
      family.check(sample);
      const value = formatValue(sample);
      if (this.#room.left <= 0 || family.size >= this.#room.perFamily) {
        this.#dropped += 1;
        return;
      }
      family.add(sample, value);
      this.#room.left -= 1;
      this.#taken += 1;
    } catch (error) {
      this.#fault ??= error instanceof Error ? error : new Error('emit failed', { cause: error });
      throw error;
    }
  }

  #open(family: Family): FamilyWriter {
    if (this.#names.has(family.name)) throw new Error(`${family.name} is declared by two families`);
    if (family.level !== this.#level) {
      throw new Error(`${family.name} is of level ${family.level}, it cannot be emitted at level ${this.#level}`);
    }
    const opened = new FamilyWriter(family, this.#constant, this.#check, this.#sizes.get(family.name) ?? 0);
    this.#names.add(family.name);
    this.#families.set(family, opened);
    return opened;
  }
}

const none = Buffer.alloc(0);
const [newline, quote, backslash] = [0x0a, 0x22, 0x5c];

/** TypedArray.set costs more than the few bytes themselves. @returns where they end */
function copy(from: Uint8Array, to: Uint8Array, at: number): number {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i] ?? 0;
  return at + from.length;
}

class FamilyWriter {
  readonly #family: Family;
  readonly #labels: readonly string[];
  /** Before each label value: closes the one before. */
  readonly #opens: readonly string[];
  readonly #head: string;
  readonly #tail: string;
  readonly #headBytes: Uint8Array;
  readonly #openBytes: readonly Uint8Array[];
  readonly #tailBytes: Uint8Array;
  /** From here on the bytes of a line tell it apart from others. */
  readonly #keyFrom: number;
  readonly #check: boolean;
  readonly #series = new SeriesIndex();
  #buffer: Buffer;
  #at = 0;
  #count = 0;
  /** Label values of the sample that was checked last. */
  readonly #values: string[];
  /** Of the series before: all label values but the last, and where they stand in the buffer, with the name before them. */
  readonly #leading: string[] = [];
  #leadingFrom = -1;
  #leadingTo = 0;
  /** Over its bytes from `#keyFrom` on. */
  #leadingHash = 0;

  constructor(family: Family, constant: Readonly<Record<string, string>>, check: boolean, sizeBefore: number) {
    this.#buffer = Buffer.allocUnsafe(256 + Math.ceil(sizeBefore * 1.02)); // values become longer
    if (!metricName.test(family.name)) throw new Error(`${family.name} is not a metric name`);
    const labels = family.passed === true ? exported(family.labels, Object.keys(constant)) : family.labels;
    const names = [...Object.keys(constant), ...labels];
    for (const name of names) {
      if (!labelName.test(name)) throw new Error(`${family.name}: ${name} is not a label name`);
    }
    if (family.quantiles === true && names.includes('quantile')) throw new Error(`${family.name}: quantile is taken`);
    if (new Set(names).size < names.length) throw new Error(`${family.name}: a label is there twice: ${names.join()}`);
    const prefix = Object.entries(constant).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
    this.#family = family;
    this.#labels = family.labels;
    this.#values = family.labels.map(() => '');
    this.#check = check;
    this.#head = names.length === 0 ? family.name : `${family.name}{${prefix.join(',')}`;
    this.#keyFrom = Buffer.byteLength(family.type === 'summary' ? family.name : this.#head);
    this.#opens = labels.map((name, i) => `${i > 0 ? '",' : prefix.length > 0 ? ',' : ''}${name}="`);
    this.#tail = names.length === 0 ? ' ' : family.labels.length === 0 ? '} ' : '"} ';
    this.#headBytes = Buffer.from(this.#head);
    this.#openBytes = this.#opens.map((text) => Buffer.from(text));
    this.#tailBytes = Buffer.from(this.#tail);
  }

  get size(): number {
    return this.#count;
  }

  /** @throws when the labels are not those that were declared */
  check({ labels }: Sample): void {
    for (let i = 0; i < this.#labels.length; i++) {
      const name = this.#labels[i] ?? '';
      const value: unknown = labels[name];
      if (typeof value !== 'string') throw new Error(`${this.#family.name}: label ${name} is ${typeof value}`);
      this.#values[i] = value;
    }
    // An object that came by way of a variable may have more than the type says.
    let count = 0;
    for (const _name in labels) count += 1;
    if (count !== this.#labels.length) {
      const undeclared = Object.keys(labels).filter((name) => !this.#labels.includes(name));
      throw new Error(`${this.#family.name}: label ${undeclared.join()} is not declared`);
    }
  }

  /** Of a sample that has been checked. */
  add(sample: Sample, value: string): void {
    const { name, type, quantiles } = this.#family;
    const { quantile } = sample;
    const part: string = sample.part ?? '';
    if (quantile !== undefined && (quantiles !== true || part !== '')) throw new Error(`${name} has no such quantile`);
    if ((type === 'summary') !== (part !== '' || quantile !== undefined)) {
      throw new Error(`${name}: ${part} is no part of a ${type}`);
    }
    const begin = this.#at;
    const isWritten = type !== 'summary' && this.#writePlain(value.length + 1);
    if (!isWritten) {
      const head = part === '' ? this.#head : `${name}${part}${this.#head.slice(name.length)}`;
      const key = this.#values.map((text, i) => `${this.#opens[i] ?? ''}${escapeLabel(text)}`).join('');
      const series = `${head}${key}${quantile === undefined ? this.#tail : this.#quantileTail(quantile)}`;
      this.#reserve(series.length * 3 + value.length + 1); // UTF-8 takes at most 3 bytes per UTF-16 unit
      this.#at += this.#buffer.write(series, begin);
    }
    if (this.#check && !this.#addSeries(begin, isWritten)) {
      const series = this.#buffer.toString('utf8', begin, this.#at);
      this.#at = begin;
      this.#leadingFrom = -1;
      throw new Error(`emitted twice: ${series}`.slice(0, 300));
    }
    for (let i = 0; i < value.length; i++) this.#buffer[this.#at++] = value.charCodeAt(i);
    this.#buffer[this.#at++] = newline;
    this.#count += 1;
  }

  /** False when the same series is there already. */
  #addSeries(begin: number, isPlain: boolean): boolean {
    const from = begin + this.#keyFrom;
    if (!isPlain || this.#leadingFrom < 0) return this.#series.add(this.#buffer, from, this.#at);
    const leadingTo = begin + this.#leadingTo - this.#leadingFrom;
    const hash = hashOf(this.#buffer, leadingTo, this.#at, this.#leadingHash);
    return this.#series.add(this.#buffer, from, this.#at, hash);
  }

  /**
   * Nearly all label values are plain ASCII: copied byte by byte they take a third of the time of a string made, flattened
   * and encoded. And nearly all series differ from the one before in the last label only. False when one is not plain: then
   * nothing is written.
   */
  #writePlain(more: number): boolean {
    const values = this.#values;
    const last = values.length - 1;
    let length = this.#headBytes.length + this.#tailBytes.length + more;
    let isLed = last > 0 && this.#leadingFrom >= 0;
    for (let i = 0; i <= last; i++) {
      const text = values[i] ?? '';
      length += (this.#openBytes[i]?.length ?? 0) + text.length;
      if (i < last && isLed) isLed = text === this.#leading[i];
    }
    this.#reserve(length);
    const begin = this.#at;
    if (isLed) {
      this.#buffer.copyWithin(begin, this.#leadingFrom, this.#leadingTo);
      return this.#writeFrom(last, begin + this.#leadingTo - this.#leadingFrom);
    }
    this.#leadingFrom = -1;
    return this.#writeFrom(0, copy(this.#headBytes, this.#buffer, begin));
  }

  /** The values from `first` on, and the tail. */
  #writeFrom(first: number, from: number): boolean {
    const values = this.#values;
    const last = values.length - 1;
    const buffer = this.#buffer;
    const begin = this.#at;
    let at = from;
    for (let i = first; i <= last; i++) {
      if (i === last && first < last) this.#lead(begin, at);
      at = copy(this.#openBytes[i] ?? none, buffer, at);
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
    this.#at = copy(this.#tailBytes, buffer, at);
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
    const before = { ' ': '{', '} ': ',' }[this.#tail] ?? '",';
    return `${before}quantile="${escapeLabel(quantile)}"} `;
  }

  #reserve(length: number): void {
    const atMost = this.#at + length;
    if (atMost <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, atMost));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }

  block(): Block {
    return { header: this.#family, bytes: this.#buffer.subarray(0, this.#at), series: this.#series };
  }
}

/** On no family of a target but those of the encoder, whether they stand there in this exposition or not. */
const ours = ['target', 'pipeline'];

/** Labels of a target's own page that are taken here, renamed as Prometheus does it without honor_labels. */
function exported(labels: readonly string[], taken: readonly string[]): string[] {
  const names = new Set(labels);
  return labels.map((label) => {
    if (!taken.includes(label) && !ours.includes(label)) return label;
    let name = label;
    do name = `exported_${name}`;
    while (names.has(name) || taken.includes(name));
    names.add(name);
    return name;
  });
}

// The text formats escape \ " and newline, and nothing else: other control characters, NUL too, pass as they are (seen
// on Prometheus 2.42, in both formats). Lone surrogates (Cs) have no UTF-8.
const special = /[\\"\n\p{Cs}]/u;

export function escapeLabel(value: string): string {
  if (!special.test(value)) return value;
  return Buffer.from(value).toString().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function formatValue({ family, value }: { family: { readonly name: string }; value: unknown }): string {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new Error(`${family.name}: ${String(value)} is not a value: leave the sample out when it is unknown`);
  }
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
