// Dropwizard's JSON (MetricsServlet), as Maxwell serves it under /metrics. Pure.
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { JvmArea, JvmHeap, JvmPool } from './facts-model.ts';

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
export function prefixOf(metrics: DropwizardMetrics, configured: string | undefined, name: string): Known<string> {
  if (configured !== undefined) return known(`${configured}.`, 0);
  const found = [...metrics.keys()].filter((key) => key === name || key.endsWith(`.${name}`));
  const [first] = found;
  if (first === undefined) return unknown(`the metrics hold no ${name}`);
  if (found.length > 1) return unknown(`the metrics hold several ${name}: set prefix`);
  return known(first.slice(0, first.length - name.length), 0);
}

/** Pools of the heap whose collections remove what is no longer used: what they hold afterwards is in use. */
const oldPools = /^(G1 Old Gen|PS Old Gen|Tenured Gen|ZHeap|ZGC Old Generation|Shenandoah)$/;
const heapPools = /(Eden Space|Survivor Space|Old Gen|Tenured Gen|ZHeap|ZGC (Young|Old) Generation|Shenandoah)$/;

/** The heap from the gauges that `metrics_jvm=true` turns on. */
export function heapOfGauges(
  metrics: DropwizardMetrics,
  configured: string | undefined,
  observedAtMs: number,
): Known<JvmHeap> {
  const prefix = prefixOf(metrics, configured, 'jvm.memory_usage.heap.used');
  if (!prefix.known) return unknown(`${prefix.why}: set metrics_jvm=true in Maxwell`);
  const value = (name: string): number | undefined => metrics.get(`${prefix.value}jvm.${name}`);
  const area = (name: JvmArea['area'], key: string): JvmArea => ({
    area: name,
    usedBytes: value(`memory_usage.${key}.used`),
    committedBytes: value(`memory_usage.${key}.committed`),
    maxBytes: value(`memory_usage.${key}.max`),
  });
  const heap = area('heap', 'heap');
  if (heap.usedBytes === undefined) return unknown(`the metrics hold no ${prefix.value}jvm.memory_usage.heap.used`);
  const pools = poolsOf(metrics, `${prefix.value}jvm.memory_usage.pools.`);
  return known(
    {
      areas: [heap, area('nonheap', 'non-heap')],
      pools,
      gcs: collectionsOf(metrics, `${prefix.value}jvm.gc.`),
      afterGcRatio: ratioOf(pools, heap.maxBytes, observedAtMs),
    },
    observedAtMs,
  );
}

function poolsOf(metrics: DropwizardMetrics, prefix: string): readonly JvmPool[] {
  const names = [...metrics.keys()].flatMap((key) =>
    key.startsWith(prefix) && key.endsWith('.used') ? [key.slice(prefix.length, -'.used'.length)] : [],
  );
  return names.map((name) => {
    const maxBytes = metrics.get(`${prefix}${name}.max`);
    const collectionUsedBytes = metrics.get(`${prefix}${name}.used-after-gc`);
    return {
      pool: beanName(name),
      usedBytes: metrics.get(`${prefix}${name}.used`) ?? 0,
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(collectionUsedBytes === undefined ? {} : { collectionUsedBytes }),
    };
  });
}

function collectionsOf(metrics: DropwizardMetrics, prefix: string): JvmHeap['gcs'] {
  return [...metrics].flatMap(([key, count]) => {
    if (!key.startsWith(prefix) || !key.endsWith('.count')) return [];
    const name = key.slice(prefix.length, -'.count'.length);
    const milliseconds = metrics.get(`${prefix}${name}.time`);
    return milliseconds === undefined ? [] : [{ gc: beanName(name), count, seconds: milliseconds / 1000 }];
  });
}

/** Dropwizard writes spaces as `-`; the only names with a `-` of their own are quoted: CodeHeap 'non-nmethods'. */
function beanName(name: string): string {
  const quote = name.indexOf("'");
  const [plain, quoted] = quote < 0 ? [name, ''] : [name.slice(0, quote), name.slice(quote)];
  if (quoted === '') return plain.replaceAll('-', ' ');
  return plain.replaceAll('-', ' ') + quoted.replace('profiled-nmethods', 'profiled nmethods');
}

/** The old pool is 0 after a collection only while there was none of it: what the young ones left says little. */
function ratioOf(pools: readonly JvmPool[], maxBytes: number | undefined, observedAtMs: number): Known<number> {
  if (maxBytes === undefined || maxBytes <= 0) return unknown('the heap has no limit');
  const old = pools.find((p) => oldPools.test(p.pool));
  if (old?.collectionUsedBytes === undefined) return unknown('the metrics do not tell what a collection left');
  if (old.collectionUsedBytes === 0) return unknown('there was no collection of the old generation yet');
  const left = pools.filter((p) => heapPools.test(p.pool)).reduce((sum, p) => sum + (p.collectionUsedBytes ?? 0), 0);
  return known(left / maxBytes, observedAtMs);
}
