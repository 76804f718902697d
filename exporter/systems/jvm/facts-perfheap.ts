// What the counters of a performance file say about the JVM. Pure. Each collector was compared with the memory beans of
// the same JVM on OpenJDK 17.0.15, OpenJDK 21.0.13 and Temurin 25.0.3.
import { known, unknown, type Known } from '../../runtime/known.ts';
import { amount, ratioOf, type JvmArea, type JvmHeap, type JvmPool, type JvmRuntime } from './facts-model.ts';
import type { PerfCounters } from './facts-perfdata.ts';

/** The counters, and how long the JVM has run: several were written some time ago, and say when in its own ticks. */
export interface PerfView {
  readonly counters: PerfCounters;
  readonly elapsedSeconds: number | undefined;
  readonly observedAtMs: number;
}

type Numbers = (name: string) => number | undefined;

interface Layout {
  /** Pool names as the JVM's memory beans have them: eden, survivor, old. */
  readonly pools: readonly [eden: string, survivor: string, old: string];
  /** Names of the collector beans, by the number of the collector. */
  readonly collectors: readonly string[];
}

const layouts: Readonly<Record<string, Layout>> = {
  GarbageFirst: {
    pools: ['G1 Eden Space', 'G1 Survivor Space', 'G1 Old Gen'],
    collectors: ['G1 Young Generation', 'G1 Old Generation', 'G1 Concurrent GC'],
  },
  'Copy:MSC': { pools: ['Eden Space', 'Survivor Space', 'Tenured Gen'], collectors: ['Copy', 'MarkSweepCompact'] },
  'ParScav:MSC': {
    pools: ['PS Eden Space', 'PS Survivor Space', 'PS Old Gen'],
    collectors: ['PS Scavenge', 'PS MarkSweep'],
  },
};

/** ZGC's counters are of its pauses; those of its cycles are in the beans only. Java 17, 21 and 25. */
const zCollectors: Readonly<Record<string, string>> = {
  'Z concurrent cycle pauses': 'ZGC Pauses',
  'ZGC minor collection pauses': 'ZGC Minor Pauses',
  'ZGC major collection pauses': 'ZGC Major Pauses',
};

export function heapOfCounters(view: PerfView): Known<JvmHeap> {
  const { counters, observedAtMs } = view;
  const number: Numbers = (name) => amount(counters.get(name));
  const policy = counters.get('sun.gc.policy.name');
  const layout = typeof policy === 'string' && Object.hasOwn(layouts, policy) ? layouts[policy] : undefined;
  const collections = [0, 1, 2].reduce((n, i) => n + (number(`sun.gc.collector.${i}.invocations`) ?? 0), 0);
  const found =
    layout === undefined ? sizesOnly(number) : usesOf(layout, policy === 'GarbageFirst', number, collections);
  if (found === undefined) return unknown('the performance file has no heap counters that are known here');
  const outside = collections === 0 ? [] : outsidePools(number);
  const ages = agesOf(view, policy === 'GarbageFirst', number);
  return known(
    {
      areas: [found.heap],
      pools: [...found.pools, ...outside],
      gcs: collectionsOf(counters, layout, number),
      afterGcRatio:
        collections === 0
          ? unknown('there was no collection yet')
          : afterGcRatio(found, policy === 'GarbageFirst', isSampled(number), observedAtMs),
      usedAgeSeconds: {
        ...(found.heap.usedBytes === undefined || ages.heap === undefined ? {} : { heap: ages.heap }),
        ...(outside.length === 0 || ages.atCollections === undefined ? {} : { nonheap: ages.atCollections }),
      },
    },
    observedAtMs,
  );
}

interface Found {
  readonly heap: JvmArea;
  readonly pools: readonly JvmPool[];
}

/**
 * Java 17 and 21 write the used bytes of Serial and Parallel every 50 ms, as they do their clock; Java 25 has neither and writes
 * at collections only: 0 before the first one is not what is used. G1 writes eden per region and the rest at collections.
 */
function isSampled(number: Numbers): boolean {
  return number('sun.os.hrt.ticks') !== undefined;
}

/**
 * The counters of G1 are 8 bytes too large per space on Java 17; those of Serial and Parallel count both survivor spaces,
 * of which one is always empty.
 */
function usesOf(layout: Layout, isG1: boolean, number: Numbers, collections: number): Found {
  const counter = (name: string): number => number(`sun.gc.generation.${name}`) ?? 0;
  // G1's regions are whole mebibytes, so that rounding removes what it adds per space
  const size = (name: string): number => (isG1 ? Math.floor(counter(name) / 1024) * 1024 : counter(name));
  const isWritten = isG1 || isSampled(number) || collections > 0;
  const used = (bytes: number): number | undefined => (isWritten ? bytes : undefined);
  const [eden, survivor, old] = [
    counter('0.space.0.used'),
    counter('0.space.1.used') + counter('0.space.2.used'),
    counter('1.space.0.used'),
  ];
  const spareBytes = isG1 ? 0 : size('0.space.1.capacity');
  const oldMaxBytes = size('1.maxCapacity');
  const maxBytes = isG1 ? oldMaxBytes : size('0.maxCapacity') - spareBytes + oldMaxBytes;
  const [edenName, survivorName, oldName] = layout.pools;
  return {
    heap: {
      area: 'heap',
      usedBytes: used(eden + survivor + old),
      committedBytes: size('0.capacity') - spareBytes + size('1.capacity'),
      maxBytes: maxBytes > 0 ? maxBytes : undefined,
    },
    pools: [
      {
        pool: edenName,
        usedBytes: used(eden),
        committedBytes: size('0.space.0.capacity'),
        maxBytes: isG1 ? undefined : size('0.maxCapacity') - 2 * spareBytes,
      },
      {
        pool: survivorName,
        usedBytes: used(survivor),
        committedBytes: isG1 ? size('0.space.1.capacity') + size('0.space.2.capacity') : spareBytes,
        maxBytes: isG1 ? undefined : spareBytes,
      },
      { pool: oldName, usedBytes: used(old), committedBytes: size('1.capacity'), maxBytes: oldMaxBytes },
    ],
  };
}

/**
 * ZGC and those that are not known here: what is used is of some moment of a cycle. Each generation of ZGC may take the
 * whole heap: their limits are not added.
 */
function sizesOnly(number: Numbers): Found | undefined {
  const limits = [0, 1].flatMap((i) => number(`sun.gc.generation.${i}.maxCapacity`) ?? []);
  const committed = [0, 1].flatMap((i) => number(`sun.gc.generation.${i}.capacity`) ?? []);
  if (limits.length === 0 || committed.length === 0) return undefined;
  return {
    heap: {
      area: 'heap',
      committedBytes: committed.reduce((sum, bytes) => sum + bytes, 0),
      maxBytes: Math.max(...limits) > 0 ? Math.max(...limits) : undefined,
    },
    pools: [],
  };
}

/** Written at collections only. What their limits say is reserved, not allowed: the bean has none for the metaspace. */
function outsidePools(number: Numbers): readonly JvmPool[] {
  const pools = [
    ['Metaspace', 'metaspace'],
    ['Compressed Class Space', 'compressedclassspace'],
  ] as const;
  return pools.flatMap(([pool, counter]) => {
    const usedBytes = number(`sun.gc.${counter}.used`);
    if (usedBytes === undefined || usedBytes === 0) return [];
    const maxBytes = counter === 'metaspace' ? undefined : number(`sun.gc.${counter}.maxCapacity`);
    return [{ pool, usedBytes, committedBytes: number(`sun.gc.${counter}.capacity`), maxBytes }];
  });
}

/**
 * G1 writes old and survivor only at the end of a collection (and when a humongous object is made), and empties eden
 * there: both together are what was left. Where Serial and Parallel are written at collections only, all spaces are; where
 * they are sampled, what a collection left cannot be seen.
 */
function afterGcRatio({ heap, pools }: Found, isG1: boolean, sampled: boolean, observedAtMs: number): Known<number> {
  if (heap.maxBytes === undefined) return unknown('the heap has no limit');
  const [eden, survivor, old] = pools.map(({ usedBytes }) => usedBytes);
  if (eden === undefined || survivor === undefined || old === undefined || (!isG1 && sampled)) {
    return unknown('this collector does not tell it by the performance file');
  }
  return ratioOf(survivor + old + (isG1 ? 0 : eden), heap.maxBytes, observedAtMs);
}

function collectionsOf(counters: PerfCounters, layout: Layout | undefined, number: Numbers): JvmHeap['gcs'] {
  const frequency = number('sun.os.hrt.frequency') ?? 0;
  if (frequency <= 0) return [];
  return [0, 1, 2].flatMap((i) => {
    const name = counters.get(`sun.gc.collector.${i}.name`);
    const count = number(`sun.gc.collector.${i}.invocations`);
    const ticks = number(`sun.gc.collector.${i}.time`);
    const gc = layout === undefined ? zCollectors[String(name)] : layout.collectors[i];
    if (typeof name !== 'string' || gc === undefined || count === undefined || ticks === undefined) return [];
    // G1's pauses of concurrent cycles have a bean since Java 20 only (JDK-8297247)
    if (gc === 'G1 Concurrent GC' && javaVersion(counters) < 20) return [];
    return [{ gc, count, seconds: ticks / frequency }];
  });
}

function javaVersion(counters: PerfCounters): number {
  return Number(counters.get('java.property.java.vm.specification.version') ?? 0) || 0;
}

function agesOf(
  { elapsedSeconds }: PerfView,
  isG1: boolean,
  number: Numbers,
): { readonly heap: number | undefined; readonly atCollections: number | undefined } {
  const frequency = number('sun.os.hrt.frequency') ?? 0;
  const since = (ticks: number): number | undefined =>
    elapsedSeconds === undefined || frequency <= 0 ? undefined : Math.max(0, elapsedSeconds - ticks / frequency);
  const exits = [0, 1, 2].map((i) => number(`sun.gc.collector.${i}.lastExitTime`) ?? 0);
  const atCollections = since(Math.max(...exits));
  const ticks = number('sun.os.hrt.ticks');
  return { heap: !isG1 && ticks !== undefined ? since(ticks) : atCollections, atCollections };
}

export function runtimeOfCounters({ counters, elapsedSeconds }: PerfView): JvmRuntime {
  const number: Numbers = (name) => amount(counters.get(name));
  const text = (name: string): string => {
    const value = counters.get(`java.property.java.${name}`);
    return typeof value === 'string' ? value.slice(0, 200) : '';
  };
  const both = (name: string): number | undefined => {
    const [own, shared] = [number(`java.cls.${name}Classes`), number(`java.cls.shared${capital(name)}Classes`)];
    return own === undefined ? undefined : own + (shared ?? 0);
  };
  const [loaded, unloaded] = [both('loaded'), both('unloaded')];
  const [compilation, frequency] = [number('java.ci.totalTime'), number('sun.os.hrt.frequency') ?? 0];
  const began = number('sun.rt.vmInitDoneTime') ?? number('sun.rt.createVmBeginTime'); // the first is what its bean tells
  const info = { runtime: '', vendor: text('vm.vendor'), version: text('vm.version') };
  return {
    numbers: {
      threads: number('java.threads.live'),
      threadsDaemon: number('java.threads.daemon'),
      threadsPeak: number('java.threads.livePeak'),
      threadsStarted: number('java.threads.started'),
      classes: loaded === undefined || unloaded === undefined ? undefined : loaded - unloaded,
      classesLoaded: loaded,
      classesUnloaded: unloaded,
      compilationSeconds: compilation === undefined || frequency <= 0 ? undefined : compilation / frequency,
      startTimeSeconds: began === undefined || began === 0 ? undefined : began / 1000,
      uptimeSeconds: elapsedSeconds,
    },
    info: info.vendor === '' && info.version === '' ? undefined : info,
  };
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/**
 * For how long the JVM has run, by two clocks: the wall clock may have been set since its start, and its process may have
 * been something else before. Both make it too large at most by what the other one does not know.
 */
export function elapsedSeconds(counters: PerfCounters, processAgeSeconds: number, nowMs: number): number | undefined {
  const beganMs = amount(counters.get('sun.rt.createVmBeginTime'));
  if (beganMs === undefined || beganMs === 0) return undefined;
  const byWallClock = (nowMs - beganMs) / 1000;
  return byWallClock < 0 ? processAgeSeconds : Math.min(byWallClock, processAgeSeconds);
}
