// Open transactions, by the last stable offset: consumers that read only what is committed come no further than it.
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { Offsets } from './facts-cluster.ts';
import type { Moment, PartitionOffsets } from './facts-partition.ts';

export interface StableOffset {
  readonly offset: Known<number>;
  /** Offsets between it and the end: 0 without an open transaction. */
  readonly gap: Known<number>;
  /** For how long it has stood still before the end, as seen by us; 0 without a gap. */
  readonly openSeconds: Known<number>;
}

/** topic -> partition */
export type StableOffsets = ReadonlyMap<string, ReadonlyMap<number, StableOffset>>;

interface Open {
  readonly offset: number;
  readonly sinceMs: number;
}

/** Kept from sweep to sweep. */
export class OpenTransactions {
  /** topic -> partition; only where there is a gap */
  #open = new Map<string, Map<number, Open>>();

  /** @param stable read after the ends: what was written meanwhile can hide a gap, but never makes one. */
  stableOf(
    stable: Offsets,
    offsets: ReadonlyMap<string, ReadonlyMap<number, PartitionOffsets>>,
    now: Moment,
  ): StableOffsets {
    const open = new Map<string, Map<number, Open>>();
    const found = new Map<string, Map<number, StableOffset>>();
    for (const [topic, partitions] of stable) {
      const of = new Map<number, StableOffset>();
      const openOf = new Map<number, Open>();
      for (const [partition, offset] of partitions) {
        const end = offsets.get(topic)?.get(partition)?.end ?? unknown('the end was not asked for');
        const before = this.#open.get(topic)?.get(partition);
        if (!offset.known || !end.known) {
          const not = unknown(offset.known ? 'the end of the log is not known' : offset.why);
          of.set(partition, { offset, gap: not, openSeconds: not });
          if (before !== undefined) openOf.set(partition, before);
          continue;
        }
        const gap = Math.max(0, end.value - offset.value);
        const since = before?.offset === offset.value ? before : { offset: offset.value, sinceMs: now.monoMs };
        if (gap > 0) openOf.set(partition, since);
        const openSeconds = gap === 0 ? 0 : Math.max(0, now.monoMs - since.sinceMs) / 1000;
        of.set(partition, { offset, gap: known(gap, now.wallMs), openSeconds: known(openSeconds, now.wallMs) });
      }
      found.set(topic, of);
      if (openOf.size > 0) open.set(topic, openOf);
    }
    this.#open = open;
    return found;
  }
}
