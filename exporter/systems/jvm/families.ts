import { counter, gauge, summary, type Family } from '../../families.ts';

const absent = { state: 'jvm_state' } as const;

// Names, types and labels are those of client_java 1.x, and beside them those of its simpleclient 0.x where they differ
// (io.prometheus.jmx:jmx_prometheus_javaagent 1.0.1 and 0.20.0 serve one each).

/** One number of the whole JVM each. */
export const numberFamilies = {
  pendingFinalization: gauge(
    'jvm_memory_objects_pending_finalization',
    'The number of objects waiting in the finalizer queue.',
    [],
    absent,
  ),
  threads: gauge('jvm_threads_current', 'Current thread count of a JVM.', [], absent),
  threadsDaemon: gauge('jvm_threads_daemon', 'Daemon thread count of a JVM.', [], absent),
  threadsPeak: gauge('jvm_threads_peak', 'Peak thread count of a JVM.', [], absent),
  threadsStarted: counter('jvm_threads_started_total', 'Started thread count of a JVM.', [], absent),
  threadsDeadlocked: gauge(
    'jvm_threads_deadlocked',
    'Cycles of JVM-threads that are in deadlock waiting to acquire object monitors or ownable synchronizers. Absent where only a call that stops the JVM could tell.',
    [],
    absent,
  ),
  threadsDeadlockedMonitor: gauge(
    'jvm_threads_deadlocked_monitor',
    'Cycles of JVM-threads that are in deadlock waiting to acquire object monitors. Absent where only a call that stops the JVM could tell.',
    [],
    absent,
  ),
  classes: gauge(
    'jvm_classes_currently_loaded',
    'The number of classes that are currently loaded in the JVM.',
    [],
    absent,
  ),
  classesLoaded: counter(
    'jvm_classes_loaded_total',
    'The total number of classes that have been loaded since the JVM has started execution.',
    [],
    absent,
  ),
  classesUnloaded: counter(
    'jvm_classes_unloaded_total',
    'The total number of classes that have been unloaded since the JVM has started execution.',
    [],
    absent,
  ),
  compilationSeconds: counter(
    'jvm_compilation_time_seconds_total',
    'The total time in seconds taken for HotSpot class compilation.',
    [],
    absent,
  ),
  startTimeSeconds: gauge(
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    [],
    absent,
  ),
  uptimeSeconds: gauge('process_uptime_seconds', 'The uptime of the Java virtual machine.', [], absent), // Micrometer's
  cpuSeconds: counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', [], absent),
  openFds: gauge('process_open_fds', 'Number of open file descriptors.', [], absent),
  maxFds: gauge('process_max_fds', 'Maximum number of open file descriptors.', [], absent),
  residentBytes: gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', [], absent),
  virtualBytes: gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', [], absent),
} as const;

function ofArea(name: string, help: string): Family<readonly ['area']> {
  return gauge(name, `${help} of a given JVM memory area.`, ['area'], absent);
}

function ofPool(name: string, help: string): Family<readonly ['pool']> {
  return gauge(name, `${help} of a given JVM memory pool.`, ['pool'], absent);
}

const limit = 'Max bytes, absent where there is no limit,';

/** The same objects for every kind that has a JVM. */
export const jvmFamilies = {
  ...numberFamilies,
  state: gauge('jvm_state', 'Whether the JVM can be seen: one series per state, 1 for the present one.', [
    'source',
    'state',
  ]),
  areaUsed: ofArea('jvm_memory_used_bytes', 'Used bytes'),
  areaCommitted: ofArea('jvm_memory_committed_bytes', 'Committed bytes'),
  areaMax: ofArea('jvm_memory_max_bytes', limit),
  areaInit: ofArea('jvm_memory_init_bytes', 'Initial bytes'),
  oldAreaUsed: ofArea('jvm_memory_bytes_used', 'Used bytes'),
  oldAreaCommitted: ofArea('jvm_memory_bytes_committed', 'Committed bytes'),
  oldAreaMax: ofArea('jvm_memory_bytes_max', limit),
  oldAreaInit: ofArea('jvm_memory_bytes_init', 'Initial bytes'),
  poolUsed: ofPool('jvm_memory_pool_used_bytes', 'Used bytes'),
  poolCommitted: ofPool('jvm_memory_pool_committed_bytes', 'Committed bytes'),
  poolMax: ofPool('jvm_memory_pool_max_bytes', limit),
  poolInit: ofPool('jvm_memory_pool_init_bytes', 'Initial bytes'),
  oldPoolUsed: ofPool('jvm_memory_pool_bytes_used', 'Used bytes'),
  oldPoolCommitted: ofPool('jvm_memory_pool_bytes_committed', 'Committed bytes'),
  oldPoolMax: ofPool('jvm_memory_pool_bytes_max', limit),
  oldPoolInit: ofPool('jvm_memory_pool_bytes_init', 'Initial bytes'),
  collectionUsed: ofPool('jvm_memory_pool_collection_used_bytes', 'Used bytes after the last collection'),
  collectionCommitted: ofPool(
    'jvm_memory_pool_collection_committed_bytes',
    'Committed bytes after the last collection',
  ),
  collectionMax: ofPool('jvm_memory_pool_collection_max_bytes', `${limit} after the last collection`),
  collectionInit: ofPool('jvm_memory_pool_collection_init_bytes', 'Initial bytes after the last collection'),
  allocated: counter(
    'jvm_memory_pool_allocated_bytes_total',
    'Total bytes allocated in a given JVM memory pool. Only updated after GC, not continuously.',
    ['pool'],
    absent,
  ),
  observedAge: gauge(
    'jvm_memory_observed_age_seconds',
    'For how long at most the used bytes of an area have not been written by the JVM: some performance files are written at collections only.',
    ['area', 'source'],
    absent,
  ),
  gc: summary('jvm_gc_collection_seconds', 'Time spent in a given JVM garbage collector in seconds.', ['gc'], absent),
  afterGcRatio: gauge(
    'jvm_heap_after_gc_ratio',
    'What the last collection left of the heap, as a share of its largest size (0 to 1). Absent where the JVM does not tell.',
    [],
    absent,
  ),
  threadState: gauge('jvm_threads_state', 'Current count of threads by state.', ['state'], absent),
  oldClasses: gauge('jvm_classes_loaded', 'The number of classes that are currently loaded in the JVM.', [], absent),
  bufferUsed: gauge('jvm_buffer_pool_used_bytes', 'Used bytes of a given JVM buffer pool.', ['pool'], absent),
  bufferCapacity: gauge(
    'jvm_buffer_pool_capacity_bytes',
    'Bytes capacity of a given JVM buffer pool.',
    ['pool'],
    absent,
  ),
  bufferCount: gauge('jvm_buffer_pool_used_buffers', 'Used buffers of a given JVM buffer pool.', ['pool'], absent),
  info: gauge('jvm_runtime_info', 'JVM runtime info.', ['runtime', 'vendor', 'version'], absent),
  oldInfo: gauge('jvm_info', 'VM version info.', ['runtime', 'vendor', 'version'], absent),
} as const;
