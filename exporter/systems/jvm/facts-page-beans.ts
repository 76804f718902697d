// client_java and its predecessor simpleclient, which jmx_exporter serves too: names for each of the JVM's own beans.
import { known } from '../../runtime/known.ts';
import {
  amount,
  distinct,
  ratioAfterCollection,
  type JvmArea,
  type JvmRuntime,
  type JvmPool,
  type JvmSeen,
  type JvmUse,
} from './facts-model.ts';
import type { JvmPage, PageFormat } from './facts-page-view.ts';

type Size = 'used' | 'committed' | 'max' | 'init';

interface Spelling {
  readonly area: (what: Size) => string;
  readonly pool: (what: Size) => string;
  readonly info: string;
  readonly classes: string;
}

/** client_java 1.x; seen on jmx_prometheus_javaagent 1.0.1. */
export const clientJava: PageFormat = (page, now) =>
  read(page, now, {
    area: (what) => `jvm_memory_${what}_bytes`,
    pool: (what) => `jvm_memory_pool_${what}_bytes`,
    info: 'jvm_runtime_info',
    classes: 'jvm_classes_currently_loaded',
  });

/** simpleclient 0.x; seen on jmx_prometheus_javaagent 0.20.0. `jvm_classes_loaded` is of those before 0.10. */
export const simpleclient: PageFormat = (page, now) =>
  read(page, now, {
    area: (what) => `jvm_memory_bytes_${what}`,
    pool: (what) => `jvm_memory_pool_bytes_${what}`,
    info: 'jvm_info',
    classes:
      page.one('jvm_classes_currently_loaded') === undefined ? 'jvm_classes_loaded' : 'jvm_classes_currently_loaded',
  });

function read(page: JvmPage, now: number, spelling: Spelling): JvmSeen | undefined {
  const whole = { id: '' }; // Micrometer gives the same names to the pools, by `id`
  if (page.one(spelling.area('used'), { area: 'heap', ...whole }) === undefined) return undefined;
  const areas = (['heap', 'nonheap'] as const).map((area): JvmArea => {
    const size = (what: Size): number | undefined => amount(page.one(spelling.area(what), { area, ...whole }));
    return { area, ...usesOf(size) };
  });
  const collected = poolsBy(page, (what) => `jvm_memory_pool_collection_${what}_bytes`);
  const pools = distinct(
    [...poolsBy(page, spelling.pool)].map(([pool, use]): JvmPool => {
      const collection = collected.get(pool);
      return { pool, ...use, ...(collection === undefined ? {} : { collection }) };
    }),
    ({ pool }) => pool,
  );
  const ageSeconds = page.ageSeconds(spelling.area('used'));
  const heap = known(
    {
      areas,
      pools,
      gcs: collectionsOf(page),
      afterGcRatio: ratioAfterCollection(pools, areas[0]?.maxBytes, now),
      usedAgeSeconds: { heap: ageSeconds, nonheap: ageSeconds },
    },
    now,
  );
  return { heap, runtime: runtimeOf(page, spelling) };
}

function usesOf(size: (what: Size) => number | undefined): JvmUse {
  return {
    usedBytes: size('used'),
    committedBytes: size('committed'),
    maxBytes: size('max'),
    initBytes: size('init'),
  };
}

function poolsBy(page: JvmPage, name: (what: Size) => string): ReadonlyMap<string, JvmUse> {
  const used = page.by(name('used'), 'pool');
  const [committed, max, init] = (['committed', 'max', 'init'] as const).map((what) => page.by(name(what), 'pool'));
  return new Map(
    [...used].map(([pool, usedBytes]) => [
      pool,
      {
        usedBytes: amount(usedBytes),
        committedBytes: amount(committed?.get(pool)),
        maxBytes: amount(max?.get(pool)),
        initBytes: amount(init?.get(pool)),
      },
    ]),
  );
}

function collectionsOf(page: JvmPage): readonly { gc: string; count: number; seconds: number }[] {
  const seconds = page.by('jvm_gc_collection_seconds_sum', 'gc');
  const found = [...page.by('jvm_gc_collection_seconds_count', 'gc')].flatMap(([gc, count]) => {
    const [n, s] = [amount(count), amount(seconds.get(gc))];
    return n === undefined || s === undefined ? [] : [{ gc, count: n, seconds: s }];
  });
  return distinct(found, ({ gc }) => gc);
}

function runtimeOf(page: JvmPage, spelling: Spelling): JvmSeen['runtime'] {
  const number = (name: string): number | undefined => amount(page.one(name));
  const [used, capacity, buffers] = (['used_bytes', 'capacity_bytes', 'used_buffers'] as const).map((what) =>
    page.by(`jvm_buffer_pool_${what}`, 'pool'),
  );
  return {
    numbers: {
      pendingFinalization: number('jvm_memory_objects_pending_finalization'),
      threads: number('jvm_threads_current'),
      threadsDaemon: number('jvm_threads_daemon'),
      threadsPeak: number('jvm_threads_peak'),
      threadsStarted: number('jvm_threads_started_total'),
      threadsDeadlocked: number('jvm_threads_deadlocked'),
      threadsDeadlockedMonitor: number('jvm_threads_deadlocked_monitor'),
      classes: number(spelling.classes),
      classesLoaded: number('jvm_classes_loaded_total'),
      classesUnloaded: number('jvm_classes_unloaded_total'),
      compilationSeconds: number('jvm_compilation_time_seconds_total'),
      ...processOf(number),
    },
    threadStates: countsOf(page.by('jvm_threads_state', 'state')),
    buffers: buffersOf(used, capacity, buffers),
    allocated: distinct(
      [...page.by('jvm_memory_pool_allocated_bytes_total', 'pool')].flatMap(([pool, value]) => {
        const bytes = amount(value);
        return bytes === undefined ? [] : [{ pool, bytes }];
      }),
      ({ pool }) => pool,
    ),
    info: infoOf(page, spelling.info),
  };
}

/** The process_* names, which all client libraries share. */
export function processOf(number: (name: string) => number | undefined): JvmSeen['runtime']['numbers'] {
  return {
    startTimeSeconds: number('process_start_time_seconds'),
    uptimeSeconds: number('process_uptime_seconds'),
    cpuSeconds: number('process_cpu_seconds_total'),
    openFds: number('process_open_fds'),
    maxFds: number('process_max_fds'),
    residentBytes: number('process_resident_memory_bytes'),
    virtualBytes: number('process_virtual_memory_bytes'),
  };
}

export function countsOf(states: ReadonlyMap<string, number>): NonNullable<JvmSeen['runtime']['threadStates']> {
  const found = [...states].flatMap(([state, value]) => {
    const count = amount(value);
    return count === undefined ? [] : [{ state, count }];
  });
  return distinct(found, ({ state }) => state);
}

export function buffersOf(
  used: ReadonlyMap<string, number> = new Map(),
  capacity: ReadonlyMap<string, number> = new Map(),
  buffers: ReadonlyMap<string, number> = new Map(),
): NonNullable<JvmSeen['runtime']['buffers']> {
  const pools = [...new Set([...used.keys(), ...capacity.keys(), ...buffers.keys()])].map((pool) => ({
    pool,
    usedBytes: amount(used.get(pool)),
    capacityBytes: amount(capacity.get(pool)),
    count: amount(buffers.get(pool)),
  }));
  return distinct(pools, ({ pool }) => pool);
}

/** The runtime, as the labels of an info family name it. */
export function infoOf(page: JvmPage, family: string): JvmRuntime['info'] {
  const labels = page.labels(family);
  if (labels === undefined) return undefined;
  return {
    runtime: labels.get('runtime') ?? '',
    vendor: labels.get('vendor') ?? '',
    version: labels.get('version') ?? '',
  };
}
