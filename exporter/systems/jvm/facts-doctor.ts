// What `doctor` says of a JVM: each way to it, and which of its numbers are absent and why.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import { ranked } from './facts-heap.ts';
import type { JvmLook, JvmSource } from './facts-model.ts';

const fixes: Readonly<Record<JvmSource, string>> = {
  hsperfdata:
    "run this program as the JVM's user, in its process namespace and with its /tmp; leave -XX:+UsePerfData on; name the JVM by pid_file where several run the same class",
  maxwell_http: 'set metrics_type=http and metrics_jvm=true in Maxwell, and http_bind_address so that it is reached',
  prometheus: 'give the URL of the page that the JVM itself serves, and auth where it asks for it',
  jolokia:
    'start the JVM with the Jolokia agent, allow reads of java.lang and java.nio, and give auth where it asks for it',
};

const staleSeconds = 600;

export async function examineJvm(
  client: { readonly looks: (call: Call) => Promise<readonly JvmLook[]> },
  call: Call,
): Promise<readonly Finding[]> {
  const looks = ranked(await client.looks(call));
  const seen = looks.filter(({ heap }) => heap.known);
  return [...looks.map(wayTo), ...(seen.length === 0 ? [] : [used(seen), afterCollection(seen)])];
}

function wayTo({ source, state, why }: JvmLook): Finding {
  const check = `jvm_${source}`;
  if (state === 'visible') return { check, ok: true, text: `the JVM is seen by ${source}: ${why}` };
  return { check, ok: state === 'gone' ? false : 'unknown', text: why, fix: fixes[source] };
}

function used(seen: readonly JvmLook[]): Finding {
  const check = 'jvm_heap_used';
  const found = seen.find(
    ({ heap }) => heap.known && heap.value.areas.some(({ usedBytes }) => usedBytes !== undefined),
  );
  if (found?.heap.known !== true) {
    return {
      check,
      ok: 'unknown',
      text: 'what is used of the heap is not told: by its performance file ZGC never does, nor do others before their first collection on newer JVMs',
      fix: fixes.prometheus,
    };
  }
  const ageSeconds = Math.round(found.heap.value.usedAgeSeconds?.heap ?? 0);
  const text = `what is used of the heap is told by ${found.source}, ${ageSeconds} s old at most`;
  return ageSeconds < staleSeconds
    ? { check, ok: true, text }
    : { check, ok: 'unknown', text: `${text}: it is written at collections only`, fix: fixes.prometheus };
}

function afterCollection(seen: readonly JvmLook[]): Finding {
  const check = 'jvm_heap_after_gc_ratio';
  const reasons: string[] = [];
  for (const { heap, source } of seen) {
    if (!heap.known) continue;
    const { afterGcRatio: ratio } = heap.value;
    if (ratio.known) {
      const percent = (100 * ratio.value).toFixed(1);
      return { check, ok: true, text: `the last collection left ${percent} % of the heap in use (${source})` };
    }
    reasons.push(`${source}: ${ratio.why}`);
  }
  return { check, ok: 'unknown', text: reasons.join('; '), fix: fixes.prometheus };
}
