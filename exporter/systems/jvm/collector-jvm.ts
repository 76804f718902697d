import { z } from 'zod';
import { collectorOf, type Call, type Collector } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { jvmFamilies } from './families.ts';
import { jvmFact, jvmStates, type JvmHeap, type JvmLook, type JvmSource } from './facts-model.ts';

interface JvmCollectorSpec<Client> {
  /** By which ways this target's JVM is looked at. None: no JVM was configured, and nothing is emitted. */
  readonly sources: (client: Client) => readonly JvmSource[];
  readonly looks: (client: Client, call: Call) => Promise<readonly JvmLook[]>;
  readonly defaultOn?: boolean;
}

/** The same families for a JVM of its own and for one inside another kind of target. */
export function jvmCollectorOf<Client>(spec: JvmCollectorSpec<Client>): Collector<Client> {
  return collectorOf<Client>()({
    name: 'jvm',
    help: 'Heap, memory pools and collections of the JVM.',
    defaultOn: spec.defaultOn ?? true,
    config: z.strictObject({}),
    families: jvmFamilies,
    state: () => ({ sources: new Set<JvmSource>() }),
    async collect({ client, emit, call, state }) {
      for (const source of spec.sources(client)) state.sources.add(source);
      const looks = await spec.looks(client, call);
      for (const look of looks) {
        emitState(
          (value, s) => {
            emit.state(value, { source: look.source, state: s });
          },
          jvmStates,
          look.state,
        );
      }
      // Numbers from one source only: two would be the same series twice.
      const best = looks.find((look) => look.heap.known) ?? looks[0];
      if (best === undefined) return;
      call.board.publish(call.target, jvmFact, { known: true, value: best, observedAtMs: call.clock.wallMs() });
      if (best.heap.known) emitHeap(emit, best.heap.value);
    },
    unknown({ emit, state, call, why }) {
      call.board.publish(call.target, jvmFact, { known: false, why });
      for (const source of state.sources) {
        emitState(
          (value, s) => {
            emit.state(value, { source, state: s });
          },
          jvmStates,
          'unknown',
        );
      }
    },
  });
}

function emitHeap(emit: Emit<typeof jvmFamilies>, heap: JvmHeap): void {
  for (const { area, usedBytes, maxBytes, committedBytes } of heap.areas) {
    const values = [
      [usedBytes, emit.used, emit.oldUsed],
      [maxBytes, emit.max, emit.oldMax],
      [committedBytes, emit.committed, emit.oldCommitted],
    ] as const;
    for (const [value, ...both] of values) {
      if (value !== undefined) for (const put of both) put(value, { area });
    }
  }
  for (const { pool, usedBytes, maxBytes, collectionUsedBytes } of heap.pools) {
    emit.poolUsed(usedBytes, { pool });
    if (maxBytes !== undefined) emit.poolMax(maxBytes, { pool });
    if (collectionUsedBytes !== undefined) emit.poolCollectionUsed(collectionUsedBytes, { pool });
  }
  for (const { gc, count, seconds } of heap.gcs) {
    emit.gc({ count, sum: seconds }, { gc });
  }
  if (heap.afterGcRatio.known) emit.afterGcRatio(heap.afterGcRatio.value);
}
