// What is known of a JVM from outside.
import { factKey } from '../../facts.ts';
import type { Known } from '../../runtime/known.ts';

export type JvmSource = 'hsperfdata' | 'maxwell_http';

export const jvmStates = ['visible', 'gone', 'unknown'] as const;
export type JvmState = (typeof jvmStates)[number];

export interface JvmArea {
  readonly area: 'heap' | 'nonheap';
  readonly usedBytes: number | undefined;
  readonly committedBytes: number | undefined;
  /** -1: without limit, as the JVM says it. */
  readonly maxBytes: number | undefined;
}

export interface JvmPool {
  /** As the JVM's memory beans name it: `G1 Old Gen`. */
  readonly pool: string;
  readonly usedBytes: number;
  readonly maxBytes?: number;
  /** After the last collection of this pool. */
  readonly collectionUsedBytes?: number;
}

export interface JvmHeap {
  readonly areas: readonly JvmArea[];
  readonly pools: readonly JvmPool[];
  /** `gc` as the JVM's collector beans name it. */
  readonly gcs: readonly { readonly gc: string; readonly count: number; readonly seconds: number }[];
  /** What the last collection left, as a share of the largest heap: 0..1. */
  readonly afterGcRatio: Known<number>;
}

/** One look at a JVM from outside. */
export interface JvmLook {
  readonly source: JvmSource;
  readonly state: JvmState;
  /** Why it is in this state, for people. */
  readonly why: string;
  /** The process itself; known also where its memory cannot be seen. */
  readonly process: Known<'alive' | 'gone'>;
  readonly pid: number | undefined;
  readonly heap: Known<JvmHeap>;
}

export const jvmFact = factKey<JvmLook>('jvm.look');
