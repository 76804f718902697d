import type { Call } from '../../collector.ts';
import { classOf, messageOf } from '../../runtime/errors.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { HsperfdataAddress, JolokiaAddress, MaxwellHttpAddress, PrometheusAddress } from './address.ts';
import { heapOfGauges, parseDropwizard, runtimeOfGauges } from './facts-dropwizard.ts';
import type { HttpAnswer, HttpClient, HttpGetter } from './facts-fetch.ts';
import { jolokiaRequest, seenByJolokia } from './facts-jolokia.ts';
import { jvmSources, type JvmLook, type JvmSeen, type JvmSource } from './facts-model.ts';
import { readJvmPage } from './facts-page.ts';
import { elapsedSeconds, heapOfCounters, runtimeOfCounters } from './facts-perfheap.ts';
import { findJvm } from './facts-process.ts';

export { readHsperfdata } from './facts-perfdata.ts';

export async function lookAtHsperfdata(address: HsperfdataAddress, call: Call): Promise<JvmLook> {
  const { counters, processAgeSeconds = 0, ...found } = await findJvm(address, call);
  const now = call.clock.wallMs();
  const process = found.process === 'unknown' ? unknown(found.why) : known(found.process, now);
  const base = { source: 'hsperfdata', why: found.why, process, pid: found.pid } as const;
  if (counters === undefined) {
    return { ...base, state: found.process === 'gone' ? 'gone' : 'unknown', heap: unknown(found.why) };
  }
  const view = { counters, elapsedSeconds: elapsedSeconds(counters, processAgeSeconds, now), observedAtMs: now };
  return { ...base, state: 'visible', heap: heapOfCounters(view), runtime: runtimeOfCounters(view) };
}

export function lookAtMaxwellHttp(address: MaxwellHttpAddress, http: HttpGetter, call: Call): Promise<JvmLook> {
  const ask = { url: `${http.url}/metrics`, answer: (): Promise<HttpAnswer> => http.get('/metrics', call) };
  return lookByHttp('maxwell_http', ask, call, ({ text }) => {
    const metrics = parseDropwizard(text);
    return Promise.resolve({
      heap: heapOfGauges(metrics, address.prefix, call.clock.wallMs()),
      runtime: runtimeOfGauges(metrics, address.prefix),
    });
  });
}

export function lookAtPrometheus({ url, prefix }: PrometheusAddress, http: HttpClient, call: Call): Promise<JvmLook> {
  const ask = { url, answer: (): Promise<HttpAnswer> => http.get('', call) };
  return lookByHttp('prometheus', ask, call, ({ text, contentType }) =>
    readJvmPage(text, contentType, prefix, call.clock),
  );
}

export function lookAtJolokia({ url }: JolokiaAddress, http: HttpClient, call: Call): Promise<JvmLook> {
  const ask = { url, answer: (): Promise<HttpAnswer> => http.post('', jolokiaRequest, call) };
  return lookByHttp('jolokia', ask, call, ({ text }) => Promise.resolve(seenByJolokia(text, call.clock.wallMs())));
}

/** Refused is evidence that the process is gone; no answer in time is not. */
async function lookByHttp(
  source: JvmSource,
  { url, answer }: { readonly url: string; readonly answer: () => Promise<HttpAnswer> },
  call: Call,
  read: (answer: HttpAnswer) => Promise<JvmSeen>,
): Promise<JvmLook> {
  const base = { source, pid: undefined } as const;
  let answered: HttpAnswer;
  try {
    answered = await answer();
  } catch (error) {
    const why = messageOf(error);
    const isGone = classOf(error) === 'refused';
    const process = isGone ? known('gone' as const, call.clock.wallMs()) : unknown(why);
    return { ...base, state: isGone ? 'gone' : 'unknown', why, process, heap: unknown(why) };
  }
  const process = known('alive' as const, call.clock.wallMs());
  const blind = (why: string): JvmLook => ({ ...base, state: 'unknown', why, process, heap: unknown(why) });
  if (answered.status !== 200) {
    const hint = { 401: ': set auth', 403: ': the account may not read it' }[answered.status] ?? '';
    return blind(`${url} answered with status ${answered.status}${hint}`);
  }
  try {
    const { heap, runtime } = await read(answered);
    if (!heap.known) return blind(heap.why);
    return { ...base, state: 'visible', why: 'its HTTP server tells its metrics', process, heap, runtime };
  } catch (error) {
    return blind(messageOf(error));
  }
}

/** Best first: those that see its memory, by the order of the sources. */
export function ranked(looks: readonly JvmLook[]): readonly JvmLook[] {
  const rank = ({ heap, source }: JvmLook): number => (heap.known ? 0 : jvmSources.length) + jvmSources.indexOf(source);
  return looks.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * What several looks at one JVM say together. A server that refuses for some seconds after its start, and after its end by
 * lack of memory, does not make a JVM gone whose process lives.
 */
export function agreeing(looks: readonly JvmLook[]): readonly JvmLook[] {
  const alive = looks.find(({ process }) => process.known && process.value === 'alive');
  if (alive === undefined) return looks;
  return looks.map((look) => {
    if (look.state !== 'gone') return look;
    return { ...look, state: 'unknown', process: alive.process, why: `${look.why}, but its process lives` };
  });
}
