// Lags of one group in all partitions of one topic, as columns of numbers. A large cluster has 100,000 of them in each
// sweep: as objects they would be most of the memory of the process. Pure, apart from the memory it is given.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetHistory } from '../../runtime/offset-history.ts';
import type { Commits } from './facts-cluster.ts';
import type { TopicCommits } from './facts-commit.ts';
import {
  ageOf,
  lagOf,
  lagOfNumbers,
  lostOfNumbers,
  type LagAge,
  type LagRow,
  type Moment,
  type PartitionLag,
  type PartitionOffsets,
} from './facts-partition.ts';

/** The logs of a topic, shared by the tables of all groups that read it. */
export class TopicLogs {
  readonly offsets: ReadonlyMap<number, PartitionOffsets>;
  /** Numbers of the partitions, in their order; what is at the same place in the others is of the same partition. */
  readonly numbers: readonly number[];
  /** NaN: unknown. */
  readonly ends: Float64Array;
  readonly begins: Float64Array;
  readonly histories: readonly (OffsetHistory | undefined)[];

  constructor(
    offsets: ReadonlyMap<number, PartitionOffsets>,
    histories: ReadonlyMap<number, OffsetHistory> | undefined,
  ) {
    this.offsets = offsets;
    this.numbers = [...offsets.keys()];
    this.ends = Float64Array.from(offsets.values(), ({ end }) => (end.known ? end.value : NaN));
    this.begins = Float64Array.from(offsets.values(), ({ begin }) => (begin.known ? begin.value : NaN));
    this.histories = this.numbers.map((number) => histories?.get(number));
  }

  /** -1: there is no such partition. Nearly always they are numbered without gaps. */
  placeOf(partition: number): number {
    return this.numbers[partition] === partition ? partition : this.numbers.indexOf(partition);
  }
}

const noCommit = -1;
/** Of an age. */
const [isExact, isAtLeast, hasNoHistory, isTooNew, isUnasked] = [0, 1, 2, 3, 4];

/** Facts by partition; each is made when it is asked for. */
export class LagTable implements ReadonlyMap<number, PartitionLag> {
  readonly #logs: TopicLogs;
  readonly #now: Moment;
  readonly #committedAtMs: number;
  /** NaN: unknown. */
  readonly #committed: Float64Array;
  readonly #ageSeconds: Float64Array;
  readonly #ageKinds: Uint8Array;
  readonly #unmovedSeconds: Float64Array;
  /** Why a commit is unknown, by place. */
  readonly #whys = new Map<number, string>();

  /** @param commits of the topic; undefined: the group has committed nothing in it */
  constructor(
    logs: TopicLogs,
    commits: Known<ReturnType<Commits['get']>> & { readonly known: true },
    memory: TopicCommits,
    now: Moment,
  ) {
    const size = logs.numbers.length;
    this.#logs = logs;
    this.#now = now;
    this.#committedAtMs = commits.observedAtMs;
    this.#committed = new Float64Array(size);
    this.#ageSeconds = new Float64Array(size);
    this.#ageKinds = new Uint8Array(size);
    this.#unmovedSeconds = new Float64Array(size);
    memory.align(logs.numbers);
    for (const [place, number] of logs.numbers.entries()) {
      const commit = commits.value?.get(number);
      if (commit?.known === false) this.#whys.set(place, commit.why);
      const committed = commit === undefined ? noCommit : !commit.known ? NaN : commit.value === 'none' ? noCommit : commit.value; // prettier-ignore
      this.#committed[place] = committed;
      const [begin = NaN, end = NaN] = [logs.begins[place], logs.ends[place]];
      // Also false when one of them is unknown
      if (committed >= 0 && lagOfNumbers(committed, begin, end) > 0) this.#waits(place, memory, committed, begin);
    }
  }

  get size(): number {
    return this.#logs.numbers.length;
  }

  /** The same object again and again: a row is read before the next one is asked for. */
  *rows(): Generator<LagRow, void> {
    const row: LagRow = { partition: 0, committed: undefined, lag: undefined, lost: undefined, truncated: false, lagAgeSeconds: undefined, unmovedSeconds: undefined }; // prettier-ignore
    for (let place = 0; place < this.size; place++) {
      this.#read(place, row);
      yield row;
    }
  }

  has(partition: number): boolean {
    return this.#logs.placeOf(partition) >= 0;
  }

  get(partition: number): PartitionLag | undefined {
    const place = this.#logs.placeOf(partition);
    return place < 0 ? undefined : this.#at(place);
  }

  keys(): MapIterator<number> {
    return this.#logs.offsets.keys();
  }

  *values(): MapIterator<PartitionLag> {
    for (let place = 0; place < this.size; place++) yield this.#at(place);
  }

  *entries(): MapIterator<[number, PartitionLag]> {
    for (const [place, number] of this.#logs.numbers.entries()) yield [number, this.#at(place)];
  }

  [Symbol.iterator](): MapIterator<[number, PartitionLag]> {
    return this.entries();
  }

  forEach(
    call: (value: PartitionLag, key: number, map: ReadonlyMap<number, PartitionLag>) => void,
    self?: unknown,
  ): void {
    for (const [number, lag] of this) call.call(self, lag, number, this);
  }

  #waits(place: number, memory: TopicCommits, committed: number, begin: number): void {
    const { monoMs } = this.#now;
    const age = this.#logs.histories[place]?.ageAt(Math.max(committed, begin), monoMs);
    if (age === undefined) this.#ageKinds[place] = hasNoHistory;
    else if (age.atLeast) {
      // Until the brokers have told of the time before our first look, it is only for how long we have looked: no age
      const isAsked = this.#logs.histories[place]?.backfilled === true;
      this.#ageKinds[place] = age.seconds === 0 ? isTooNew : isAsked ? isAtLeast : isUnasked;
    }
    this.#ageSeconds[place] = age?.seconds ?? 0;
    const sinceMs = memory.stuckSinceMs(place, committed);
    if (sinceMs !== undefined) this.#unmovedSeconds[place] = Math.max(0, monoMs - sinceMs) / 1000;
  }

  #read(place: number, row: LagRow): void {
    const { numbers, ends, begins } = this.#logs;
    const [committed = NaN, begin = NaN, end = NaN] = [this.#committed[place], begins[place], ends[place]];
    row.partition = numbers[place] ?? -1;
    row.committed = committed === noCommit ? 'none' : Number.isNaN(committed) ? undefined : committed;
    const isLost = typeof row.committed === 'number' && !Number.isNaN(begin) && !Number.isNaN(end);
    row.truncated = isLost && committed > end;
    const isKnown = isLost && !row.truncated;
    row.lost = isLost ? lostOfNumbers(committed, begin) : undefined;
    row.lag = isKnown ? lagOfNumbers(committed, begin, end) : undefined;
    const kind = this.#ageKinds[place];
    const isAged = isKnown && (kind === isExact || kind === isAtLeast);
    row.lagAgeSeconds = isAged ? this.#ageSeconds[place] : undefined;
    row.unmovedSeconds = isKnown ? this.#unmovedSeconds[place] : undefined;
  }

  #at(place: number): PartitionLag {
    const offsets = this.#logs.offsets.get(this.#logs.numbers[place] ?? -1);
    if (offsets === undefined) throw new RangeError(`there is no partition at ${place}`);
    const why = this.#whys.get(place);
    const number = this.#committed[place] ?? NaN;
    const committed = why === undefined ? known(number === noCommit ? ('none' as const) : number, this.#committedAtMs) : unknown(why); // prettier-ignore
    const unmovedSeconds = this.#unmovedSeconds[place] ?? 0;
    return lagOf(committed, offsets, { age: () => this.#ageAt(place), unmovedSeconds }, this.#now);
  }

  #ageAt(place: number): Known<LagAge> {
    const kind = this.#ageKinds[place];
    const seconds = this.#ageSeconds[place] ?? 0;
    return ageOf(kind === hasNoHistory ? undefined : { seconds, atLeast: kind !== isExact }, this.#now);
  }
}
