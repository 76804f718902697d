// The JVM's performance file: its counters, and what they say about the heap. Pure.
import { known, unknown, type Known } from '../../runtime/known.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { JvmHeap, JvmPool } from './facts-model.ts';

export type PerfCounters = ReadonlyMap<string, number | string>;

const prologueBytes = 32;
const entryHeaderBytes = 20;

/**
 * Parses a hsperfdata file. Layout: PerfDataPrologue and PerfDataEntry in OpenJDK's perfMemory.hpp and perfData.hpp.
 * The JVM goes on writing while it is read: each counter is whole, but two need not be of the same moment.
 *
 * @throws TargetError `protocol` when it is not such a file or is not complete
 */
export function readHsperfdata(buffer: Buffer): PerfCounters {
  const broken = (what: string): TargetError => new TargetError('protocol', `not a hsperfdata file: ${what}`);
  if (buffer.length < prologueBytes || buffer.readUInt32BE(0) !== 0xcafec0c0) throw broken('no magic number');
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  const little = buffer.readUInt8(4) === 1;
  const major = buffer.readUInt8(5);
  if (major !== 2) throw broken(`version ${major}`);
  if (buffer.readUInt8(7) !== 1) throw broken('the JVM has not finished it'); // "accessible"
  const int = (at: number): number => view.getInt32(at, little);
  let entry = int(24);
  const count = int(28);
  const counters = new Map<string, number | string>();
  for (let i = 0; i < count; i++) {
    if (entry < prologueBytes || entry + entryHeaderBytes > buffer.length) throw broken('an entry lies outside of it');
    const [length, nameAt, vectorLength, dataAt] = [int(entry), int(entry + 4), int(entry + 8), int(entry + 16)];
    const end = entry + length;
    if (length < entryHeaderBytes || end > buffer.length || nameAt < 0 || dataAt < 0 || vectorLength < 0) {
      throw broken('an entry lies outside of it');
    }
    const name = textAt(buffer, entry + nameAt, end);
    const type = String.fromCharCode(buffer.readUInt8(entry + 12));
    const data = entry + dataAt;
    if (type === 'J' && vectorLength === 0 && data + 8 <= end) {
      counters.set(name, Number(view.getBigInt64(data, little)));
    } else if (type === 'B' && vectorLength > 0 && data + vectorLength <= end) {
      counters.set(name, textAt(buffer, data, data + vectorLength));
    } // the format has no other kinds in use
    entry = end;
  }
  return counters;
}

function textAt(buffer: Buffer, from: number, to: number): string {
  const zero = buffer.indexOf(0, from);
  return buffer.toString('utf8', from, zero < 0 ? to : Math.min(zero, to));
}

interface Layout {
  /** Pool names as the JVM's memory beans have them: eden, survivor, old. */
  readonly pools: readonly [eden: string, survivor: string, old: string];
  /** Names of the collector beans, by the number of the collector. */
  readonly collectors: readonly string[];
}

// sun.gc.policy.name -> names of the beans, seen side by side on OpenJDK 17
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

/**
 * The heap as the counters tell it. Checked against the memory beans of the same OpenJDK 17:
 * G1, Serial and Parallel agree (the counters of G1 are 8 bytes too large per space, those of the other two count both
 * survivor spaces, of which one is always empty). ZGC tells only its size: its used bytes are of some moment of a cycle.
 */
export function heapOfCounters(counters: PerfCounters, observedAtMs: number): Known<JvmHeap> {
  const policy = counters.get('sun.gc.policy.name');
  const layout = typeof policy === 'string' ? layouts[policy] : undefined;
  const gcs = collectionsOf(counters, layout);
  if (layout === undefined) {
    const maxBytes = number(counters, 'sun.gc.generation.1.maxCapacity');
    if (maxBytes === undefined) return unknown('the performance file has no heap counters that are known here');
    const committedBytes = number(counters, 'sun.gc.generation.1.capacity');
    return known(
      {
        areas: [{ area: 'heap', usedBytes: undefined, committedBytes, maxBytes }],
        pools: [],
        gcs,
        afterGcRatio: unknown('this collector does not tell it by the performance file'),
      },
      observedAtMs,
    );
  }
  const isG1 = policy === 'GarbageFirst';
  // G1's regions are whole mebibytes, so that rounding removes what it adds per space
  const size = (name: string): number => {
    const bytes = number(counters, `sun.gc.generation.${name}`) ?? 0;
    return isG1 ? Math.floor(bytes / 1024) * 1024 : bytes;
  };
  const spareBytes = isG1 ? 0 : size('0.space.1.capacity');
  const [eden, survivor, old] = [
    size0(counters, '0.space.0.used'),
    size0(counters, '0.space.1.used') + size0(counters, '0.space.2.used'),
    size0(counters, '1.space.0.used'),
  ];
  const maxBytes = isG1 ? size('1.maxCapacity') : size('0.maxCapacity') - spareBytes + size('1.maxCapacity');
  const committedBytes = size('0.capacity') - spareBytes + size('1.capacity');
  const [edenName, survivorName, oldName] = layout.pools;
  const pools: JvmPool[] = [
    { pool: edenName, usedBytes: eden },
    { pool: survivorName, usedBytes: survivor },
    { pool: oldName, usedBytes: old, maxBytes: size('1.maxCapacity') },
  ];
  const afterGcRatio = ratioOf(counters, policy, survivor + old, eden, maxBytes, observedAtMs);
  const area = { area: 'heap', usedBytes: eden + survivor + old, committedBytes, maxBytes } as const;
  return known({ areas: [area], pools, gcs, afterGcRatio }, observedAtMs);
}

/**
 * G1 writes old and survivor only at the end of a collection (and when a humongous object is made), and empties eden
 * there: both together are what was left. Serial and Parallel sample all spaces all the time up to Java 17 at least, so
 * that what a collection left cannot be seen; on Java 25 they write at collections only.
 */
function ratioOf(
  counters: PerfCounters,
  policy: unknown,
  withoutEden: number,
  eden: number,
  maxBytes: number,
  observedAtMs: number,
): Known<number> {
  const collections = [0, 1].reduce((n, i) => n + (number(counters, `sun.gc.collector.${i}.invocations`) ?? 0), 0);
  if (collections === 0) return unknown('there was no collection yet');
  if (maxBytes <= 0) return unknown('the heap has no limit');
  if (policy === 'GarbageFirst') return known(withoutEden / maxBytes, observedAtMs);
  const java = Number(counters.get('java.property.java.vm.specification.version') ?? 0);
  if (java >= 25) return known((withoutEden + eden) / maxBytes, observedAtMs);
  return unknown('this collector does not tell it by the performance file');
}

function collectionsOf(counters: PerfCounters, layout: Layout | undefined): JvmHeap['gcs'] {
  const frequency = number(counters, 'sun.os.hrt.frequency') ?? 0;
  if (frequency <= 0) return [];
  return [0, 1, 2].flatMap((i) => {
    const name = counters.get(`sun.gc.collector.${i}.name`);
    const count = number(counters, `sun.gc.collector.${i}.invocations`);
    const ticks = number(counters, `sun.gc.collector.${i}.time`);
    if (typeof name !== 'string' || count === undefined || ticks === undefined) return [];
    return [{ gc: layout?.collectors[i] ?? name, count, seconds: ticks / frequency }];
  });
}

function number(counters: PerfCounters, name: string): number | undefined {
  const value = counters.get(name);
  return typeof value === 'number' ? value : undefined;
}

function size0(counters: PerfCounters, name: string): number {
  return number(counters, `sun.gc.generation.${name}`) ?? 0;
}
