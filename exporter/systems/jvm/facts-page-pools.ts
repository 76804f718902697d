// Micrometer and OpenTelemetry: memory by pool only, from which the areas are added up.
import { known } from '../../runtime/known.ts';
import {
  amount,
  distinct,
  ratioAfterCollection,
  ratioOf,
  type JvmArea,
  type JvmCollections,
  type JvmPool,
  type JvmSeen,
} from './facts-model.ts';
import { buffersOf, countsOf, infoOf, processOf } from './facts-page-beans.ts';
import type { JvmPage, PageFormat, Where } from './facts-page-view.ts';

interface Names {
  readonly used: string;
  readonly committed: string;
  readonly max: string;
  readonly init: string;
  readonly afterCollection: string;
  readonly pool: string;
  readonly heap: Where;
  readonly nonheap: Where;
}

interface PoolOfArea extends JvmPool {
  readonly area: JvmArea['area'];
}

function poolsOf(page: JvmPage, names: Names): readonly PoolOfArea[] {
  const pools = (['heap', 'nonheap'] as const).flatMap((area) => {
    const by = (name: string): ReadonlyMap<string, number> => page.by(name, names.pool, names[area]);
    const [committed, max, init, after] = [
      by(names.committed),
      by(names.max),
      by(names.init),
      by(names.afterCollection),
    ];
    return [...by(names.used)].map(([pool, usedBytes]): PoolOfArea => {
      const left = amount(after.get(pool));
      return {
        area,
        pool,
        usedBytes: amount(usedBytes),
        committedBytes: amount(committed.get(pool)),
        maxBytes: amount(max.get(pool)),
        initBytes: amount(init.get(pool)),
        ...(left === undefined ? {} : { collection: { usedBytes: left } }),
      };
    });
  });
  return distinct(pools, ({ pool }) => pool);
}

/** A sum of which a part is missing is unknown. */
function sumOf(values: readonly (number | undefined)[]): number | undefined {
  return values.length === 0 || values.includes(undefined)
    ? undefined
    : values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

/**
 * G1 limits its old generation only, to the whole heap; each generation of ZGC may take the whole heap; the pools of the
 * others add up to it. What is outside of the heap has a limit only when each pool has one.
 */
function limitOf(area: JvmArea['area'], pools: readonly JvmPool[]): number | undefined {
  const limits = pools.map(({ maxBytes }) => maxBytes);
  if (area === 'nonheap') return sumOf(limits);
  const given = limits.filter((limit) => limit !== undefined);
  if (given.length === 0) return undefined;
  return pools.some(({ pool }) => pool.startsWith('ZGC ')) ? Math.max(...given) : sumOf(given);
}

function areasOf(pools: readonly PoolOfArea[]): readonly JvmArea[] {
  return (['heap', 'nonheap'] as const).flatMap((area) => {
    const own = pools.filter((p) => p.area === area);
    if (own.length === 0) return [];
    return [
      {
        area,
        usedBytes: sumOf(own.map((p) => p.usedBytes)),
        committedBytes: sumOf(own.map((p) => p.committedBytes)),
        maxBytes: limitOf(area, own),
        initBytes: sumOf(own.map((p) => p.initBytes)),
      },
    ];
  });
}

/** Collections by the name of the collector, added up over their causes. */
function collectionsOf(page: JvmPage, names: readonly string[], label: string): readonly JvmCollections[] {
  const found = new Map<string, JvmCollections>();
  for (const name of names) {
    const seconds = page.sums(`${name}_sum`, label);
    for (const [gc, count] of page.sums(`${name}_count`, label)) {
      const before = found.get(gc) ?? { gc, count: 0, seconds: 0 };
      found.set(gc, { gc, count: before.count + count, seconds: before.seconds + (seconds.get(gc) ?? NaN) });
    }
  }
  const whole = [...found.values()].filter((c) => amount(c.count) !== undefined && amount(c.seconds) !== undefined);
  return distinct(whole, ({ gc }) => gc);
}

/** Seen on micrometer-registry-prometheus 1.14.5. Before 1.13 a pause was not named by its collector, only by its action. */
export const micrometer: PageFormat = (page, now) => {
  const pools = poolsOf(page, {
    used: 'jvm_memory_used_bytes',
    committed: 'jvm_memory_committed_bytes',
    max: 'jvm_memory_max_bytes',
    init: '',
    afterCollection: '',
    pool: 'id',
    heap: { area: 'heap' },
    nonheap: { area: 'nonheap' },
  });
  if (!pools.some(({ area }) => area === 'heap')) return undefined;
  const areas = areasOf(pools);
  const pauses = ['jvm_gc_pause_seconds', 'jvm_gc_concurrent_phase_time_seconds'];
  const byCollector = collectionsOf(page, pauses, 'gc');
  const ageSeconds = page.ageSeconds('jvm_memory_used_bytes');
  // Of the old generation; 0 until it was collected
  const [live, limit] = [
    amount(page.one('jvm_gc_live_data_size_bytes')) ?? 0,
    amount(page.one('jvm_gc_max_data_size_bytes')) ?? 0,
  ];
  return {
    heap: known(
      {
        areas,
        pools,
        gcs: byCollector.length > 0 ? byCollector : collectionsOf(page, pauses, 'action'),
        afterGcRatio:
          live > 0 && limit > 0 ? ratioOf(live, limit, now) : ratioAfterCollection(pools, areas[0]?.maxBytes, now),
        usedAgeSeconds: { heap: ageSeconds, nonheap: ageSeconds },
      },
      now,
    ),
    runtime: micrometerRuntime(page),
  };
};

function micrometerRuntime(page: JvmPage): JvmSeen['runtime'] {
  const number = (name: string): number | undefined => amount(page.one(name));
  const scaled = (name: string, by: number): number | undefined => {
    const values = [...page.sums(name, 'compiler').values(), page.one(name)].flatMap((value) => amount(value) ?? []);
    return values[0] === undefined ? undefined : values[0] / by;
  };
  const [classes, classesUnloaded] = [
    number('jvm_classes_loaded_classes'),
    number('jvm_classes_unloaded_classes_total'),
  ];
  const states = page.by('jvm_threads_states_threads', 'state');
  return {
    numbers: {
      threads: number('jvm_threads_live_threads'),
      threadsDaemon: number('jvm_threads_daemon_threads'),
      threadsPeak: number('jvm_threads_peak_threads'),
      threadsStarted: number('jvm_threads_started_threads_total'),
      threadsDeadlocked: number('jvm_threads_deadlocked_threads'),
      threadsDeadlockedMonitor: number('jvm_threads_deadlocked_monitor_threads'),
      classes,
      // java.lang.management.ClassLoadingMXBean: what is loaded now and what was unloaded make up the total
      classesLoaded: sumOf([classes, classesUnloaded]),
      classesUnloaded,
      compilationSeconds: scaled('jvm_compilation_time_ms_total', 1000),
      ...processOf(number),
      cpuSeconds: scaled('process_cpu_time_ns_total', 1e9) ?? number('process_cpu_seconds_total'),
      openFds: number('process_files_open_files'),
      maxFds: number('process_files_max_files'),
    },
    threadStates: countsOf(new Map([...states].map(([state, n]) => [state.toUpperCase().replaceAll('-', '_'), n]))),
    buffers: buffersOf(
      page.by('jvm_buffer_memory_used_bytes', 'id'),
      page.by('jvm_buffer_total_capacity_bytes', 'id'),
      page.by('jvm_buffer_count_buffers', 'id'),
    ),
    info: infoOf(page, 'jvm_info'),
  };
}

/** Semantic conventions for JVM metrics, stable since 1.22; seen on opentelemetry-runtime-telemetry-java8 2.10.0. */
export const openTelemetry: PageFormat = (page, now) => {
  const pools = poolsOf(page, {
    used: 'jvm_memory_used_bytes',
    committed: 'jvm_memory_committed_bytes',
    max: 'jvm_memory_limit_bytes',
    init: 'jvm_memory_init_bytes',
    afterCollection: 'jvm_memory_used_after_last_gc_bytes',
    pool: 'jvm_memory_pool_name',
    heap: { jvm_memory_type: 'heap' },
    nonheap: { jvm_memory_type: 'non_heap' },
  });
  if (!pools.some(({ area }) => area === 'heap')) return undefined;
  const areas = areasOf(pools);
  const number = (name: string): number | undefined => amount(page.one(name));
  const states = page.sums('jvm_thread_count', 'jvm_thread_state');
  const daemons = page.sums('jvm_thread_count', 'jvm_thread_daemon').get('true');
  const ageSeconds = page.ageSeconds('jvm_memory_used_bytes');
  return {
    heap: known(
      {
        areas,
        pools,
        gcs: collectionsOf(page, ['jvm_gc_duration_seconds'], 'jvm_gc_name'),
        afterGcRatio: ratioAfterCollection(pools, areas[0]?.maxBytes, now),
        usedAgeSeconds: { heap: ageSeconds, nonheap: ageSeconds },
      },
      now,
    ),
    runtime: {
      numbers: {
        threads: sumOf([...states.values()]),
        threadsDaemon: states.size === 0 ? undefined : amount(daemons ?? 0),
        classes: number('jvm_class_count'),
        classesLoaded: number('jvm_class_loaded_total'),
        classesUnloaded: number('jvm_class_unloaded_total'),
        ...processOf(number),
        cpuSeconds: number('jvm_cpu_time_seconds_total') ?? number('process_cpu_seconds_total'),
      },
      threadStates: countsOf(new Map([...states].map(([state, count]) => [state.toUpperCase(), count]))),
      buffers: buffersOf(
        page.by('jvm_buffer_memory_used_bytes', 'jvm_buffer_pool_name'),
        page.by('jvm_buffer_memory_limit_bytes', 'jvm_buffer_pool_name'),
        page.by('jvm_buffer_count', 'jvm_buffer_pool_name'),
      ),
    },
  };
};
