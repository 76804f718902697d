import { TargetError } from '../runtime/errors.ts';
import type { Family, Level, Put, Sample } from '../families.ts';
import { constantLabels, type ConstantLabels } from './family-plan.ts';
import { FamilyWriter, type Block } from './family-writer.ts';
import type { LineRecorder } from './known-lines.ts';
import type { LineMemory } from './line-memory.ts';
import type { LineWriter } from './line-writer.ts';

export { escapeLabel } from './family-plan.ts';
export { shareSeries, type Block, type Header } from './family-writer.ts';

/** Below it growing costs nothing, and names that a target invents are not remembered. */
const largeBytes = 64 * 1024;
const mostSizes = 500;

interface WriterOptions {
  readonly level: Level;
  /** In front of the labels of every series. */
  readonly constant?: Readonly<Record<string, string>>;
  /** Bytes of each family in the sweep before: room is made for as many at once, not by growing again and again. */
  readonly sizes?: Map<string, number>;
  /** What was written the last time, and will be the next time. */
  readonly memory?: LineMemory | undefined;
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
  readonly #constant: ConstantLabels;
  readonly #check: boolean;
  readonly #sizes: Map<string, number>;
  readonly #memory: LineMemory | undefined;
  /** As long as all that is emitted has been known. */
  #lines: LineWriter | undefined;
  readonly #recorder: LineRecorder | undefined;
  #closed = false;
  #fault: Error | undefined;

  constructor({ level, constant = {}, sizes = new Map(), memory, checkDuplicates = true }: WriterOptions) {
    this.#sizes = sizes;
    this.#level = level;
    this.#constant = constantLabels(constant);
    this.#check = checkDuplicates;
    this.#memory = memory;
    this.#lines = memory?.writer(this.#constant);
    this.#recorder = this.#lines === undefined ? memory?.recorder(this.#constant) : undefined;
  }

  /** The first thing that was emitted wrongly. */
  get fault(): Error | undefined {
    return this.#fault;
  }

  /** No more samples are taken; what was written. @throws the first fault */
  finish(): Block[] {
    this.#closed = true;
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#lines !== undefined) {
      if (this.#lines.isSparse) this.#memory?.broke();
      else this.#memory?.held();
      return this.#lines.blocks();
    }
    if (this.#recorder !== undefined) this.#memory?.learn(this.#recorder);
    const blocks = [...this.#families.values()].map((f) => f.block());
    for (const { header, bytes } of blocks) {
      if (bytes.length < largeBytes) continue;
      if (this.#sizes.size >= mostSizes) this.#sizes.clear(); // a target may invent large ones too
      this.#sizes.set(header.name, bytes.length);
    }
    return blocks;
  }

  /** No more samples are taken and those written do not count. */
  discard(): void {
    this.#closed = true;
    this.#lines = undefined;
    this.#families.clear();
  }

  #write(sample: Sample): void {
    if (this.#closed) throw new TargetError('deadline', 'emitted after the sweep had ended');
    try {
      checkValue(sample);
      if (this.#lines !== undefined) {
        if (this.#lines.put(sample)) return;
        this.#leave(this.#lines);
      }
      const family = this.#families.get(sample.family) ?? this.#open(sample.family);
      family.check(sample);
      family.add(sample);
      if (this.#recorder !== undefined) family.record(sample, this.#recorder);
    } catch (error) {
      this.#fault ??= error instanceof Error ? error : new Error('emit failed', { cause: error });
      throw error;
    }
  }

  /** Something that is not known was emitted: from here on it is written as if nothing were. */
  #leave(lines: LineWriter): void {
    this.#lines = undefined;
    this.#memory?.broke();
    for (const begun of lines.leave()) this.#open(begun.family).resume(begun);
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

function checkValue({ family, value }: { family: { readonly name: string }; value: unknown }): void {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new Error(`${family.name}: ${String(value)} is not a value: leave the sample out when it is unknown`);
  }
}
