import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { Auth, Tls } from '../../fields.ts';
import type { TargetClient } from '../../system.ts';
import type { JvmAddress } from './address.ts';
import { openHttp } from './facts-fetch.ts';
import { agreeing, lookAtHsperfdata, lookAtJolokia, lookAtMaxwellHttp, lookAtPrometheus } from './facts-heap.ts';
import type { JvmLook, JvmSource } from './facts-model.ts';

/** A JVM of the inventory. */
export interface JvmClient extends TargetClient {
  readonly sources: readonly JvmSource[];
  /** One look by each way, at the same time; never throws but at the deadline. */
  readonly looks: (call: Call) => Promise<readonly JvmLook[]>;
}

/** The page of a broker's agent tells its topics too: megabytes, of which what is about the JVM is read. */
const mostPageBytes = 16 * 1024 * 1024;

/** A sweep asks for a sign of life first: what that saw is as fresh as a second look would be. */
const sameSweepMs = 2000;

/** Connects to nothing yet. */
export function openJvm(address: JvmAddress, tls: Tls | undefined, auth?: Auth): JvmClient {
  const ways = waysTo(address, tls, auth);
  const lookNow = async (call: Call): Promise<readonly JvmLook[]> =>
    agreeing(await Promise.all(ways.map(([, look]) => look(call))));
  let seen: { readonly looks: readonly JvmLook[]; readonly atMonoMs: number } | undefined;
  return {
    sources: ways.map(([source]) => source),
    looks: async (call) => {
      const before = seen;
      seen = undefined; // taken once
      if (before !== undefined && call.clock.monoMs() - before.atMonoMs <= sameSweepMs) return before.looks;
      return lookNow(call);
    },
    /** Up: its performance file is there and its process lives, or one of its HTTP servers gives the metrics. */
    ping: async (call) => {
      const looks = await lookNow(call);
      seen = { looks, atMonoMs: call.clock.monoMs() };
      if (looks.some(({ state }) => state === 'visible')) return;
      const code = looks.some(({ state }) => state === 'gone') ? 'refused' : 'failed';
      throw new TargetError(code, looks.map(({ why }) => why).join('; '));
    },
    usable: () => true,
    /** That it is gone must be told. */
    collectsWhileDown: true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

type Way = readonly [source: JvmSource, look: (call: Call) => Promise<JvmLook>];

function waysTo(
  { hsperfdata, maxwellHttp, prometheus, jolokia }: JvmAddress,
  tls: Tls | undefined,
  auth: Auth | undefined,
): readonly Way[] {
  const ways: Way[] = [];
  if (jolokia !== undefined) {
    const http = openHttp(jolokia.url, tls, auth, { timeoutMs: jolokia.timeoutMs });
    ways.push(['jolokia', (call) => lookAtJolokia(jolokia, http, call)]);
  }
  if (prometheus !== undefined) {
    const http = openHttp(prometheus.url, tls, auth, { timeoutMs: prometheus.timeoutMs, bodyBytes: mostPageBytes });
    ways.push(['prometheus', (call) => lookAtPrometheus(prometheus, http, call)]);
  }
  if (maxwellHttp !== undefined) {
    const http = openHttp(maxwellHttp.url, tls, auth);
    ways.push(['maxwell_http', (call) => lookAtMaxwellHttp(maxwellHttp, http, call)]);
  }
  if (hsperfdata !== undefined) ways.push(['hsperfdata', (call) => lookAtHsperfdata(hsperfdata, call)]);
  return ways;
}
