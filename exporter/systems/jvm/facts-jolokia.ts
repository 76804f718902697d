// A JVM by Jolokia (https://jolokia.org/reference/html/manual/jolokia_protocol.html): one POST that reads the platform's
// own beans, each by its name and only the attributes used here. Nothing is searched, listed or executed.
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown } from '../../runtime/known.ts';
import { amount, distinct, ratioAfterCollection, type JvmPool, type JvmSeen, type JvmUse } from './facts-model.ts';

interface Read {
  readonly mbean: string;
  readonly attribute: string | readonly string[];
  readonly path?: string;
}

/**
 * Pools, collectors and buffers have names that the collector in use decides: there are at most a dozen of each type.
 * Of the system properties, which may hold secrets, two are picked by the server: the rest never leaves it.
 */
const reads = {
  memory: {
    mbean: 'java.lang:type=Memory',
    attribute: ['HeapMemoryUsage', 'NonHeapMemoryUsage', 'ObjectPendingFinalizationCount'],
  },
  pools: { mbean: 'java.lang:type=MemoryPool,name=*', attribute: ['Usage', 'CollectionUsage'] },
  collectors: {
    mbean: 'java.lang:type=GarbageCollector,name=*',
    attribute: ['CollectionCount', 'CollectionTime'],
  },
  threads: {
    mbean: 'java.lang:type=Threading',
    attribute: ['ThreadCount', 'DaemonThreadCount', 'PeakThreadCount', 'TotalStartedThreadCount'],
  },
  classes: {
    mbean: 'java.lang:type=ClassLoading',
    attribute: ['LoadedClassCount', 'TotalLoadedClassCount', 'UnloadedClassCount'],
  },
  runtime: { mbean: 'java.lang:type=Runtime', attribute: ['StartTime', 'Uptime', 'VmVendor'] },
  runtimeName: { mbean: 'java.lang:type=Runtime', attribute: 'SystemProperties', path: 'java.runtime.name' },
  runtimeVersion: { mbean: 'java.lang:type=Runtime', attribute: 'SystemProperties', path: 'java.runtime.version' },
  compilation: { mbean: 'java.lang:type=Compilation', attribute: ['TotalCompilationTime'] },
  system: {
    mbean: 'java.lang:type=OperatingSystem',
    attribute: ['ProcessCpuTime', 'OpenFileDescriptorCount', 'MaxFileDescriptorCount'],
  },
  buffers: { mbean: 'java.nio:type=BufferPool,name=*', attribute: ['MemoryUsed', 'TotalCapacity', 'Count'] },
} as const satisfies Readonly<Record<string, Read>>;

const names = Object.keys(reads) as readonly (keyof typeof reads)[];

/** What is posted to the agent. An attribute that one JVM lacks must not fail the others of its bean. */
export const jolokiaRequest = JSON.stringify(
  names.map((name) => ({ type: 'read', ...reads[name], config: { ignoreErrors: true, includeStackTrace: false } })),
);

type Bean = Readonly<Record<string, unknown>>;

/** @throws TargetError `protocol` for what is no answer of Jolokia, `denied` when its policy forbids the memory bean */
export function seenByJolokia(text: string, now: number): JvmSeen {
  const answers = parse(text);
  const valueOf = (name: keyof typeof reads): unknown => {
    const answer = objectOf(answers[names.indexOf(name)]);
    return answer['status'] === 200 ? answer['value'] : undefined;
  };
  const bean = (name: keyof typeof reads): Bean => objectOf(valueOf(name));
  const memory = bean('memory');
  const heapUse = useOf(memory['HeapMemoryUsage']);
  const runtime = runtimeOf(bean, valueOf);
  if (heapUse?.usedBytes === undefined) {
    const { status } = objectOf(answers[names.indexOf('memory')]);
    if (status === 403) throw new TargetError('denied', 'the policy of Jolokia forbids to read java.lang:type=Memory');
    return { heap: unknown('Jolokia does not tell the use of the heap'), runtime };
  }
  const pools = distinct(
    beansByName(bean('pools')).map(([pool, { Usage, CollectionUsage }]): JvmPool => {
      const collection = useOf(CollectionUsage);
      return { pool, ...useOf(Usage), ...(collection === undefined ? {} : { collection }) };
    }),
    ({ pool }) => pool,
  );
  return {
    heap: known(
      {
        areas: [
          { area: 'heap', ...heapUse },
          { area: 'nonheap', ...useOf(memory['NonHeapMemoryUsage']) },
        ],
        pools,
        gcs: distinct(
          beansByName(bean('collectors')).flatMap(([gc, { CollectionCount, CollectionTime }]) => {
            const [count, milliseconds] = [amount(CollectionCount), amount(CollectionTime)];
            return count === undefined || milliseconds === undefined
              ? []
              : [{ gc, count, seconds: milliseconds / 1000 }];
          }),
          ({ gc }) => gc,
        ),
        afterGcRatio: ratioAfterCollection(pools, heapUse.maxBytes, now),
        usedAgeSeconds: { heap: 0, nonheap: 0 },
      },
      now,
    ),
    runtime,
  };
}

function parse(text: string): readonly unknown[] {
  let answers: unknown;
  try {
    answers = JSON.parse(text);
  } catch (error) {
    throw new TargetError('protocol', 'the answer of Jolokia is not JSON', { cause: error });
  }
  if (Array.isArray(answers) && answers.length === names.length) return answers as readonly unknown[];
  const { error } = objectOf(answers); // a request that is refused as a whole has one answer
  const why = typeof error === 'string' ? `: ${error.slice(0, 200)}` : '';
  throw new TargetError('protocol', `not an answer of Jolokia to a bulk request${why}`);
}

function runtimeOf(
  bean: (name: keyof typeof reads) => Bean,
  valueOf: (name: keyof typeof reads) => unknown,
): JvmSeen['runtime'] {
  const [threads, classes, runtime, system] = [bean('threads'), bean('classes'), bean('runtime'), bean('system')];
  const thousandth = (value: unknown): number | undefined => scaled(value, 1000);
  const word = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 200) : '');
  const info = {
    runtime: word(valueOf('runtimeName')),
    vendor: word(runtime['VmVendor']),
    version: word(valueOf('runtimeVersion')),
  };
  return {
    numbers: {
      pendingFinalization: amount(bean('memory')['ObjectPendingFinalizationCount']),
      threads: amount(threads['ThreadCount']),
      threadsDaemon: amount(threads['DaemonThreadCount']),
      threadsPeak: amount(threads['PeakThreadCount']),
      threadsStarted: amount(threads['TotalStartedThreadCount']),
      classes: amount(classes['LoadedClassCount']),
      classesLoaded: amount(classes['TotalLoadedClassCount']),
      classesUnloaded: amount(classes['UnloadedClassCount']),
      compilationSeconds: thousandth(bean('compilation')['TotalCompilationTime']),
      startTimeSeconds: thousandth(runtime['StartTime']),
      uptimeSeconds: thousandth(runtime['Uptime']),
      cpuSeconds: scaled(system['ProcessCpuTime'], 1e9),
      openFds: amount(system['OpenFileDescriptorCount']),
      maxFds: amount(system['MaxFileDescriptorCount']),
    },
    buffers: distinct(
      beansByName(bean('buffers')).map(([pool, { MemoryUsed, TotalCapacity, Count }]) => ({
        pool,
        usedBytes: amount(MemoryUsed),
        capacityBytes: amount(TotalCapacity),
        count: amount(Count),
      })),
      ({ pool }) => pool,
    ),
    info: Object.values(info).every((part) => part === '') ? undefined : info,
  };
}

function scaled(value: unknown, by: number): number | undefined {
  const found = amount(value);
  return found === undefined ? undefined : found / by;
}

/** `java.lang:name=G1 Old Gen,type=MemoryPool` -> `G1 Old Gen`; what JMX had to quote is unquoted. */
function beansByName(beans: Bean): readonly (readonly [name: string, bean: Bean])[] {
  return Object.entries(beans).flatMap(([objectName, bean]) => {
    const [, name] = /[:,]name=("(?:[^"\\]|\\.)*"|[^,]*)/.exec(objectName.slice(0, 1000)) ?? [];
    if (name === undefined) return [];
    const plain = name.startsWith('"') ? name.slice(1, -1).replaceAll(/\\(.)/g, '$1') : name;
    return [[plain, objectOf(bean)] as const];
  });
}

function useOf(value: unknown): JvmUse | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { used, committed, max, init } = objectOf(value);
  return {
    usedBytes: amount(used),
    committedBytes: amount(committed),
    maxBytes: amount(max),
    initBytes: amount(init),
  };
}

function objectOf(value: unknown): Bean {
  return typeof value === 'object' && value !== null ? (value as Bean) : {};
}
