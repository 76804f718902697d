import { z } from 'zod';
import { collectorOf, type Call, type Collector } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { ranked } from './facts-heap.ts';
import { jvmFamilies, numberFamilies } from './families.ts';
import {
  jvmFact,
  jvmStates,
  type JvmHeap,
  type JvmLook,
  type JvmRuntime,
  type JvmSource,
  type JvmState,
  type JvmUse,
} from './facts-model.ts';

interface JvmCollectorSpec<Client> {
  /** By which ways this target's JVM is looked at. None: no JVM was configured, and nothing is emitted. */
  readonly sources: (client: Client) => readonly JvmSource[];
  readonly looks: (client: Client, call: Call) => Promise<readonly JvmLook[]>;
  readonly defaultOn?: boolean;
}

type JvmEmit = Emit<typeof jvmFamilies>;

/** The same families for a JVM of its own and for one inside another kind of target. */
export function jvmCollectorOf<Client>(spec: JvmCollectorSpec<Client>): Collector<Client> {
  return collectorOf<Client>()({
    name: 'jvm',
    help: 'Heap, memory pools, collections, threads and classes of the JVM.',
    defaultOn: spec.defaultOn ?? true,
    config: z.strictObject({}),
    families: jvmFamilies,
    state: () => ({ sources: new Set<JvmSource>() }),
    async collect({ client, emit, call, state }) {
      for (const source of spec.sources(client)) state.sources.add(source);
      const given = await spec.looks(client, call);
      for (const look of given) emitStateOf(emit, look.source, look.state);
      const looks = ranked(given);
      const [best] = looks;
      if (best === undefined) return;
      call.board.publish(call.target, jvmFact, { known: true, value: best, observedAtMs: call.clock.wallMs() });
      emitMemory(emit, looks);
      emitRuntime(
        emit,
        looks.flatMap(({ runtime }) => runtime ?? []),
      );
    },
    unknown({ emit, state, call, why }) {
      call.board.publish(call.target, jvmFact, { known: false, why });
      for (const source of state.sources) emitStateOf(emit, source, 'unknown');
    },
  });
}

function emitStateOf(emit: JvmEmit, source: JvmSource, current: JvmState): void {
  emitState(
    (value, state) => {
      emit.state(value, { source, state });
    },
    jvmStates,
    current,
  );
}

type Put<L> = (value: number, labels: L) => void;

function putUse<L>(use: JvmUse, labels: L, ...spellings: readonly (readonly [Put<L>, Put<L>, Put<L>, Put<L>])[]): void {
  const sizes = [use.usedBytes, use.committedBytes, use.maxBytes, use.initBytes];
  for (const puts of spellings) {
    for (const [i, put] of puts.entries()) {
      const bytes = sizes[i];
      if (bytes !== undefined) put(bytes, labels);
    }
  }
}

/** Sizes come from one look only: those of two would be of two moments, and the same series twice. */
function emitMemory(emit: JvmEmit, looks: readonly JvmLook[]): void {
  const heaps = looks.flatMap(({ heap, source }) => (heap.known ? [{ ...heap.value, source }] : []));
  const best = heaps.find(({ areas }) => areas.some(({ usedBytes }) => usedBytes !== undefined)) ?? heaps[0];
  if (best === undefined) return;
  for (const { area, ...use } of best.areas) {
    putUse(
      use,
      { area },
      [emit.areaUsed, emit.areaCommitted, emit.areaMax, emit.areaInit],
      [emit.oldAreaUsed, emit.oldAreaCommitted, emit.oldAreaMax, emit.oldAreaInit],
    );
  }
  for (const [area, seconds] of Object.entries(best.usedAgeSeconds ?? { heap: 0, nonheap: 0 })) {
    emit.observedAge(seconds, { area, source: best.source });
  }
  for (const { pool, collection, ...use } of best.pools) {
    putUse(
      use,
      { pool },
      [emit.poolUsed, emit.poolCommitted, emit.poolMax, emit.poolInit],
      [emit.oldPoolUsed, emit.oldPoolCommitted, emit.oldPoolMax, emit.oldPoolInit],
    );
    putUse(collection ?? {}, { pool }, [
      emit.collectionUsed,
      emit.collectionCommitted,
      emit.collectionMax,
      emit.collectionInit,
    ]);
  }
  const gcs = heaps.find((heap) => heap.gcs.length > 0)?.gcs ?? [];
  for (const { gc, count, seconds } of gcs) emit.gc({ count, sum: seconds }, { gc });
  const ratio = heaps.flatMap(({ afterGcRatio }: JvmHeap) => (afterGcRatio.known ? [afterGcRatio.value] : []))[0];
  if (ratio !== undefined) emit.afterGcRatio(ratio);
}

const numbers = Object.keys(numberFamilies) as readonly (keyof typeof numberFamilies)[];

function emitRuntime(emit: JvmEmit, runtimes: readonly JvmRuntime[]): void {
  for (const key of numbers) {
    const value = runtimes.map((r) => r.numbers[key]).find((v) => v !== undefined);
    if (value === undefined) continue;
    emit[key](value);
    if (key === 'classes') emit.oldClasses(value);
  }
  const first = <T>(of: (runtime: JvmRuntime) => readonly T[] | undefined): readonly T[] =>
    runtimes.map((r) => of(r) ?? []).find((items) => items.length > 0) ?? [];
  for (const { state, count } of first((r) => r.threadStates)) emit.threadState(count, { state });
  for (const { pool, usedBytes, capacityBytes, count } of first((r) => r.buffers)) {
    if (usedBytes !== undefined) emit.bufferUsed(usedBytes, { pool });
    if (capacityBytes !== undefined) emit.bufferCapacity(capacityBytes, { pool });
    if (count !== undefined) emit.bufferCount(count, { pool });
  }
  for (const { pool, bytes } of first((r) => r.allocated)) emit.allocated(bytes, { pool });
  const info = runtimes.find((r) => r.info !== undefined)?.info;
  if (info === undefined) return;
  emit.info(1, info);
  emit.oldInfo(1, info);
}
