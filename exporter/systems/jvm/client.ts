import type { Call } from '../../collector.ts';
import type { Tls } from '../../fields.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { TargetClient } from '../../system.ts';
import type { JvmAddress } from './address.ts';
import { openHttp } from './facts-fetch.ts';
import { readJvm } from './facts-heap.ts';
import type { JvmLook, JvmSource } from './facts-model.ts';

/** A JVM of the inventory. */
export interface JvmClient extends TargetClient {
  readonly source: JvmSource;
  readonly look: (call: Call) => Promise<JvmLook>;
}

/** Connects to nothing yet. */
export function openJvm(address: JvmAddress, tls: Tls | undefined): JvmClient {
  const http = 'maxwellHttp' in address ? openHttp(address.maxwellHttp.url, tls) : undefined;
  const look = (call: Call): Promise<JvmLook> => readJvm(address, http, call);
  return {
    source: http === undefined ? 'hsperfdata' : 'maxwell_http',
    look,
    /** Up: the JVM's performance file is there and its process lives, or its HTTP server gives the metrics. */
    ping: async (call) => {
      const { state, why } = await look(call);
      if (state !== 'visible') throw new TargetError(state === 'gone' ? 'refused' : 'failed', why);
    },
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
