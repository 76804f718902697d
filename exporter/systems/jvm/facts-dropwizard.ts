// Dropwizard's JSON (MetricsServlet), as Maxwell serves it under /metrics. Pure.
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import {
  amount,
  distinct,
  ratioAfterCollection,
  type JvmArea,
  type JvmHeap,
  type JvmPool,
  type JvmRuntime,
  type JvmUse,
} from './facts-model.ts';

/** Gauges and counters by their full names, prefix included; only those that are numbers. */
export type DropwizardMetrics = ReadonlyMap<string, number>;

/** @throws TargetError `protocol` */
export function parseDropwizard(text: string): DropwizardMetrics {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new TargetError('protocol', 'the metrics are not JSON', { cause: error });
  }
  const found = new Map<string, number>();
  for (const [section, field] of [
    ['gauges', 'value'],
    ['counters', 'count'],
  ] as const) {
    for (const [name, metric] of Object.entries(objectOf(objectOf(document)[section]))) {
      const value = objectOf(metric)[field];
      if (typeof value === 'number' && Number.isFinite(value)) found.set(name, value);
    }
  }
  return found;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/**
 * The metrics_prefix, with its dot: as configured, or what stands before `name` in exactly one metric. Maxwell 1.22 and
 * 1.44 call theirs MaxwellMetrics unless told otherwise.
 */
function prefixOf(metrics: DropwizardMetrics, configured: string | undefined, name: string): Known<string> {
  if (configured !== undefined) return known(`${configured}.`, 0);
  const found = [...metrics.keys()].filter((key) => key === name || key.endsWith(`.${name}`));
  const [first] = found;
  if (first === undefined) return unknown(`the metrics hold no ${name}`);
  if (found.length > 1) return unknown(`the metrics hold several ${name}: set prefix`);
  return known(first.slice(0, first.length - name.length), 0);
}

/** Whatever stands before the first `jvm.`: with it every name of the JVM begins. */
export const heapUsed = 'jvm.memory_usage.heap.used';

/** The heap from the gauges that `metrics_jvm=true` turns on. */
export function heapOfGauges(
  metrics: DropwizardMetrics,
  configured: string | undefined,
  observedAtMs: number,
): Known<JvmHeap> {
  const prefix = prefixOf(metrics, configured, heapUsed);
  if (!prefix.known) return unknown(`${prefix.why}: set metrics_jvm=true in Maxwell`);
  const use = (name: string): JvmUse => useOf(metrics, `${prefix.value}jvm.memory_usage.${name}`);
  const heap: JvmArea = { area: 'heap', ...use('heap') };
  if (heap.usedBytes === undefined) return unknown(`the metrics hold no ${prefix.value}${heapUsed}`);
  const pools = poolsOf(metrics, `${prefix.value}jvm.memory_usage.pools.`);
  return known(
    {
      areas: [heap, { area: 'nonheap', ...use('non-heap') }],
      pools,
      gcs: collectionsOf(metrics, `${prefix.value}jvm.gc.`),
      afterGcRatio: ratioAfterCollection(pools, heap.maxBytes, observedAtMs),
    },
    observedAtMs,
  );
}

/** Threads and classes from the same gauges; nothing where they are not there. */
export function runtimeOfGauges(metrics: DropwizardMetrics, configured: string | undefined): JvmRuntime {
  const prefix = prefixOf(metrics, configured, heapUsed);
  if (!prefix.known) return { numbers: {} };
  const value = (name: string): number | undefined => amount(metrics.get(`${prefix.value}jvm.${name}`));
  // ClassLoadingGaugeSet: `loaded` is the total
  const [loaded, unloaded] = [value('class_loading.loaded'), value('class_loading.unloaded')];
  return {
    numbers: {
      threads: value('thread_states.count'),
      threadsDaemon: value('thread_states.daemon.count'),
      threadsPeak: value('thread_states.peak.count'),
      threadsStarted: value('thread_states.total_started.count'),
      threadsDeadlocked: value('thread_states.deadlock.count'),
      classes: loaded === undefined || unloaded === undefined ? undefined : loaded - unloaded,
      classesLoaded: loaded,
      classesUnloaded: unloaded,
    },
    threadStates: ['new', 'runnable', 'blocked', 'waiting', 'timed_waiting', 'terminated'].flatMap((state) => {
      const count = value(`thread_states.${state}.count`);
      return count === undefined ? [] : [{ state: state.toUpperCase(), count }];
    }),
  };
}

function useOf(metrics: DropwizardMetrics, name: string): JvmUse {
  return {
    usedBytes: amount(metrics.get(`${name}.used`)),
    committedBytes: amount(metrics.get(`${name}.committed`)),
    maxBytes: amount(metrics.get(`${name}.max`)),
    initBytes: amount(metrics.get(`${name}.init`)),
  };
}

function poolsOf(metrics: DropwizardMetrics, prefix: string): readonly JvmPool[] {
  const names = [...metrics.keys()].flatMap((key) =>
    key.startsWith(prefix) && key.endsWith('.used') ? [key.slice(prefix.length, -'.used'.length)] : [],
  );
  const pools = names.map((name): JvmPool => {
    const usedBytes = amount(metrics.get(`${prefix}${name}.used-after-gc`));
    return {
      pool: beanName(name),
      ...useOf(metrics, `${prefix}${name}`),
      ...(usedBytes === undefined ? {} : { collection: { usedBytes } }),
    };
  });
  return distinct(pools, ({ pool }) => pool);
}

function collectionsOf(metrics: DropwizardMetrics, prefix: string): JvmHeap['gcs'] {
  const found = [...metrics].flatMap(([key, value]) => {
    if (!key.startsWith(prefix) || !key.endsWith('.count')) return [];
    const name = key.slice(prefix.length, -'.count'.length);
    const [count, milliseconds] = [amount(value), amount(metrics.get(`${prefix}${name}.time`))];
    if (count === undefined || milliseconds === undefined) return [];
    return [{ gc: beanName(name), count, seconds: milliseconds / 1000 }];
  });
  return distinct(found, ({ gc }) => gc);
}

/** Dropwizard writes spaces as `-`; the only names with a `-` of their own are quoted: CodeHeap 'non-nmethods'. */
function beanName(name: string): string {
  const quote = name.indexOf("'");
  const [plain, quoted] = quote < 0 ? [name, ''] : [name.slice(0, quote), name.slice(quote)];
  if (quoted === '') return plain.replaceAll('-', ' ');
  return plain.replaceAll('-', ' ') + quoted.replace('profiled-nmethods', 'profiled nmethods');
}

const longestName = 300;
const ofMemory = /^(.*?)jvm_memory_usage_(heap|non_heap|pools_(.+))_(used|committed|max|init|used_after_gc)$/;
const ofCollector = /^(.*?)jvm_gc_(.+)_(count|time)$/;
const ofThreads = /^(.*?)jvm_thread_states_(?:(\w+)_)?count$/;
const ofClasses = /^(.*?)jvm_class_loading_(loaded|unloaded)$/;

/**
 * A gauge's own name from that on a Prometheus page, where `.`, `-` and `'` have become `_` (simpleclient_dropwizard
 * 0.9.0, which Maxwell's /prometheus is made by). Undefined for what is not about the JVM.
 */
export function gaugeNameOf(name: string): string | undefined {
  if (name.length > longestName) return undefined;
  const [, before = '', area = '', pool, what = ''] = ofMemory.exec(name) ?? [];
  if (area !== '') {
    const of = pool === undefined ? area.replace('_', '-') : `pools.${poolName(pool)}`;
    return `${before}jvm.memory_usage.${of}.${what.replaceAll('_', '-')}`;
  }
  const [, ofGc = '', gc = '', gcWhat = ''] = ofCollector.exec(name) ?? [];
  if (gc !== '') return `${ofGc}jvm.gc.${gc.replaceAll('_', '-')}.${gcWhat}`;
  const [threads, ofState = '', state] = ofThreads.exec(name) ?? [];
  if (threads !== undefined) return `${ofState}jvm.thread_states.${state === undefined ? '' : `${state}.`}count`;
  const [, ofLoading = '', loading] = ofClasses.exec(name) ?? [];
  return loading === undefined ? undefined : `${ofLoading}jvm.class_loading.${loading}`;
}

function poolName(written: string): string {
  const [, kind] = /^CodeHeap__(non_nmethods|non_profiled_nmethods|profiled_nmethods)_$/.exec(written) ?? [];
  return kind === undefined ? written.replaceAll('_', '-') : `CodeHeap-'${kind.replaceAll('_', '-')}'`;
}
