import { gauge, summary } from '../../families.ts';

const absent = { state: 'jvm_state' } as const;

/** Names of client_java in both spellings. The same objects for every kind that has a JVM. */
export const jvmFamilies = {
  state: gauge('jvm_state', 'Whether the JVM can be seen: one series per state, 1 for the present one.', [
    'source',
    'state',
  ]),
  used: gauge('jvm_memory_used_bytes', 'Used bytes of a given JVM memory area.', ['area'], absent),
  max: gauge('jvm_memory_max_bytes', 'Max (bytes) of a given JVM memory area.', ['area'], absent),
  committed: gauge('jvm_memory_committed_bytes', 'Committed (bytes) of a given JVM memory area.', ['area'], absent),
  oldUsed: gauge('jvm_memory_bytes_used', 'Used bytes of a given JVM memory area.', ['area'], absent),
  oldMax: gauge('jvm_memory_bytes_max', 'Max (bytes) of a given JVM memory area.', ['area'], absent),
  oldCommitted: gauge('jvm_memory_bytes_committed', 'Committed (bytes) of a given JVM memory area.', ['area'], absent),
  poolUsed: gauge('jvm_memory_pool_used_bytes', 'Used bytes of a given JVM memory pool.', ['pool'], absent),
  poolMax: gauge('jvm_memory_pool_max_bytes', 'Max bytes of a given JVM memory pool.', ['pool'], absent),
  poolCollectionUsed: gauge(
    'jvm_memory_pool_collection_used_bytes',
    'Used bytes after last collection of a given JVM memory pool.',
    ['pool'],
    absent,
  ),
  gc: summary('jvm_gc_collection_seconds', 'Time spent in a given JVM garbage collector in seconds.', ['gc'], absent),
  afterGcRatio: gauge(
    'jvm_heap_after_gc_ratio',
    'What the last collection left of the heap, as a share of its largest size (0 to 1). Absent where the JVM does not tell.',
    [],
    absent,
  ),
} as const;
