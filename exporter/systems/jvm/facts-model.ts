// What is known of a JVM from outside.
import { factKey } from '../../facts.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { numberFamilies } from './families.ts';

/** Best first: where several show the same JVM, its numbers are those of the first that has them. */
export const jvmSources = ['jolokia', 'prometheus', 'maxwell_http', 'hsperfdata'] as const;
export type JvmSource = (typeof jvmSources)[number];

export const jvmStates = ['visible', 'gone', 'unknown'] as const;
export type JvmState = (typeof jvmStates)[number];

/** Sizes of a part of the memory; what is not told is undefined, and so is a limit that there is not. */
export interface JvmUse {
  readonly usedBytes?: number | undefined;
  readonly committedBytes?: number | undefined;
  readonly maxBytes?: number | undefined;
  readonly initBytes?: number | undefined;
}

export interface JvmArea extends JvmUse {
  readonly area: 'heap' | 'nonheap';
}

export interface JvmPool extends JvmUse {
  /** As the JVM's memory beans name it: `G1 Old Gen`. */
  readonly pool: string;
  /** After the last collection of this pool. */
  readonly collection?: JvmUse | undefined;
}

/** `gc` as the JVM's collector beans name it. */
export interface JvmCollections {
  readonly gc: string;
  readonly count: number;
  readonly seconds: number;
}

export interface JvmHeap {
  readonly areas: readonly JvmArea[];
  readonly pools: readonly JvmPool[];
  readonly gcs: readonly JvmCollections[];
  /** What the last collection left, as a share of the largest heap: 0..1. */
  readonly afterGcRatio: Known<number>;
  /** For how long at most the used bytes were not written by the JVM; 0 or left out where they are of the moment. */
  readonly usedAgeSeconds?: Readonly<Partial<Record<JvmArea['area'], number>>>;
}

export interface JvmRuntime {
  readonly numbers: Readonly<Partial<Record<keyof typeof numberFamilies, number | undefined>>>;
  /** `state` as Thread.State names it. */
  readonly threadStates?: readonly { readonly state: string; readonly count: number }[];
  readonly buffers?: readonly {
    readonly pool: string;
    readonly usedBytes?: number | undefined;
    readonly capacityBytes?: number | undefined;
    readonly count?: number | undefined;
  }[];
  readonly allocated?: readonly { readonly pool: string; readonly bytes: number }[];
  /** Empty where it is not told. */
  readonly info?: { readonly runtime: string; readonly vendor: string; readonly version: string } | undefined;
}

/** What one look by HTTP told. */
export interface JvmSeen {
  readonly heap: Known<JvmHeap>;
  readonly runtime: JvmRuntime;
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
  readonly runtime?: JvmRuntime | undefined;
}

export const jvmFact = factKey<JvmLook>('jvm.look');

/** A size or count as a JVM tells it: -1 stands for no limit or not supported. */
export function amount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** Far more than any JVM has; what a hostile server tells beyond is not looked at. */
const mostOfAKind = 100;
const longestName = 200;

/** The first of each name. */
export function distinct<T>(items: readonly T[], nameOf: (item: T) => string): readonly T[] {
  const found = new Map<string, T>();
  for (const item of items) {
    const name = nameOf(item);
    if (name === '' || name.length > longestName || found.has(name)) continue;
    found.set(name, item);
    if (found.size === mostOfAKind) break;
  }
  return [...found.values()];
}

/** Pools of the heap whose collections remove what is no longer used: what they hold afterwards is in use. */
const oldPools = /^(G1 Old Gen|PS Old Gen|CMS Old Gen|Tenured Gen|ZHeap|ZGC Old Generation|Shenandoah( Old Gen)?)$/;
const heapPools =
  /^(G1 (Eden Space|Survivor Space|Old Gen)|PS (Eden Space|Survivor Space|Old Gen)|(Par )?(Eden|Survivor) Space|Tenured Gen|CMS Old Gen|ZHeap|ZGC (Young|Old) Generation|Shenandoah.*|Epsilon Heap)$/;

function isHeapPool(pool: string): boolean {
  return heapPools.test(pool);
}

/** The old pool is 0 after a collection only while there was none of it: what the young ones left says little. */
export function ratioAfterCollection(
  pools: readonly JvmPool[],
  maxBytes: number | undefined,
  observedAtMs: number,
): Known<number> {
  if (maxBytes === undefined || maxBytes <= 0) return unknown('the heap has no limit');
  const old = pools.find((p) => oldPools.test(p.pool))?.collection?.usedBytes;
  if (old === undefined) return unknown('the JVM does not tell what a collection left');
  if (old === 0) return unknown('there was no collection of the old generation yet');
  const left = pools.filter((p) => isHeapPool(p.pool)).reduce((sum, p) => sum + (p.collection?.usedBytes ?? 0), 0);
  return ratioOf(left, maxBytes, observedAtMs);
}

/** A share above 1 is of sizes that were not told at one moment. */
export function ratioOf(left: number, maxBytes: number, observedAtMs: number): Known<number> {
  return known(Math.min(1, left / maxBytes), observedAtMs);
}
