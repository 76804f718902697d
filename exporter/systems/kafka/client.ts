// The library behind the client is loaded on first use: it takes nearly half a second.
import { keepNewSpaceSmall } from '../../runtime/heap.ts';
import { readSecret } from '../../runtime/secrets.ts';
import { readTlsFiles } from '../../runtime/tls-files.ts';
import type { Opening } from '../../system.ts';
import type { KafkaAddress } from './address.ts';
import { loadKafkaLibrary } from './client-library.ts';
import type { WireOptions } from './client-wire.ts';
import type { KafkaClient } from './facts-cluster.ts';

export type { KafkaClient } from './facts-cluster.ts';

/**
 * Connects at the first call. Up means: metadata of the cluster is answered and names at least one broker.
 * @throws TargetError for credentials that cannot be read
 */
export async function openKafka(opening: Opening<KafkaAddress>): Promise<KafkaClient> {
  keepNewSpaceSmall();
  const options = await wireOptionsOf(opening);
  await loadKafkaLibrary();
  const { KafkaSession } = await import('./client-session.ts');
  return new KafkaSession(options);
}

/** @throws TargetError for credentials that cannot be read */
export async function wireOptionsOf(
  opening: Pick<Opening<KafkaAddress>, 'address' | 'auth' | 'tls'>,
): Promise<WireOptions> {
  const { address, auth, tls } = opening;
  const password = auth === undefined ? undefined : await readSecret(auth);
  return {
    brokers: address.brokers.map((text) => {
      const at = text.lastIndexOf(':');
      return { host: text.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(at + 1)) };
    }),
    tls: tls === undefined ? undefined : { ...(await readTlsFiles(tls)), serverName: tls.server_name },
    sasl:
      auth?.user === undefined || password === undefined
        ? undefined
        : { mechanism: address.sasl, username: auth.user, password },
  };
}
