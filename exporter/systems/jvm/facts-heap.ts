import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { classOf, messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { HsperfdataAddress, JvmAddress, MaxwellHttpAddress } from './address.ts';
import type { HttpGetter } from './client.ts';
import { heapOfGauges, parseDropwizard } from './facts-dropwizard.ts';
import { heapOfCounters } from './facts-perfdata.ts';
import { findJvm } from './facts-process.ts';

export { readHsperfdata } from './facts-perfdata.ts';

export type JvmSource = 'hsperfdata' | 'maxwell_http';

export const jvmStates = ['visible', 'gone', 'unknown'] as const;
export type JvmState = (typeof jvmStates)[number];

export interface JvmArea {
  readonly area: 'heap' | 'nonheap';
  readonly usedBytes: number | undefined;
  readonly committedBytes: number | undefined;
  /** -1: without limit, as the JVM says it. */
  readonly maxBytes: number | undefined;
}

export interface JvmPool {
  /** As the JVM's memory beans name it: `G1 Old Gen`. */
  readonly pool: string;
  readonly usedBytes: number;
  readonly maxBytes?: number;
  /** After the last collection of this pool. */
  readonly collectionUsedBytes?: number;
}

export interface JvmHeap {
  readonly areas: readonly JvmArea[];
  readonly pools: readonly JvmPool[];
  /** `gc` as the JVM's collector beans name it. */
  readonly gcs: readonly { readonly gc: string; readonly count: number; readonly seconds: number }[];
  /** What the last collection left, as a share of the largest heap: 0..1. */
  readonly afterGcRatio: Known<number>;
}

/** One look at a JVM from outside. */
export interface JvmLook {
  readonly source: JvmSource;
  readonly state: JvmState;
  /** Why it is in this state, for people. */
  readonly why: string;
  /** The process itself; known also where its memory cannot be seen. */
  readonly process: Known<'alive' | 'gone'>;
  readonly pid: number | undefined;
  readonly heap: Known<JvmHeap>;
}

export const jvmFact = factKey<JvmLook>('jvm.look');

export function readJvm(address: JvmAddress, http: HttpGetter | undefined, call: Call): Promise<JvmLook> {
  if ('hsperfdata' in address) return lookAtHsperfdata(address.hsperfdata, call);
  if (http === undefined) throw new Error('a JVM by HTTP without a getter');
  return lookAtMaxwellHttp(address.maxwellHttp, http, call);
}

export async function lookAtHsperfdata(address: HsperfdataAddress, call: Call): Promise<JvmLook> {
  const found = await findJvm(address, call);
  const now = call.clock.wallMs();
  const process = found.process === 'unknown' ? unknown(found.why) : known(found.process, now);
  const base = { source: 'hsperfdata', why: found.why, process, pid: found.pid } as const;
  if (found.counters !== undefined) return { ...base, state: 'visible', heap: heapOfCounters(found.counters, now) };
  return { ...base, state: found.process === 'gone' ? 'gone' : 'unknown', heap: unknown(found.why) };
}

/** Refused is evidence that the process is gone; no answer in time is not. */
export async function lookAtMaxwellHttp(address: MaxwellHttpAddress, http: HttpGetter, call: Call): Promise<JvmLook> {
  const base = { source: 'maxwell_http', pid: undefined } as const;
  try {
    const answer = await http.get('/metrics', call);
    const now = call.clock.wallMs();
    const process = known('alive' as const, now);
    if (answer.status !== 200) {
      const why = `${http.url}/metrics answered with status ${answer.status}`;
      return { ...base, state: 'unknown', why, process, heap: unknown(why) };
    }
    const heap = heapOfGauges(parseDropwizard(answer.text), address.prefix, now);
    if (!heap.known) return { ...base, state: 'unknown', why: heap.why, process, heap };
    return { ...base, state: 'visible', why: 'its HTTP server tells its metrics', process, heap };
  } catch (error) {
    const why = messageOf(error);
    const isGone = classOf(error) === 'refused';
    const process = isGone ? known('gone' as const, call.clock.wallMs()) : unknown(why);
    return { ...base, state: isGone ? 'gone' : 'unknown', why, process, heap: unknown(why) };
  }
}
