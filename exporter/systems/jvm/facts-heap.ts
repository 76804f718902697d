import type { Call } from '../../collector.ts';
import { classOf, messageOf } from '../../runtime/errors.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { HsperfdataAddress, JvmAddress, MaxwellHttpAddress } from './address.ts';
import type { HttpGetter } from './facts-fetch.ts';
import { heapOfGauges, parseDropwizard } from './facts-dropwizard.ts';
import type { JvmLook } from './facts-model.ts';
import { heapOfCounters } from './facts-perfdata.ts';
import { findJvm } from './facts-process.ts';

export { readHsperfdata } from './facts-perfdata.ts';

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
