// CLIENT LIST: https://redis.io/docs/latest/commands/client-list/
import type { Call } from '../../../exporter/collector.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';

export interface ListedClient {
  readonly id: string;
  /** Of the other side. */
  readonly addr: string;
  /** Of this server's side of the connection; undefined before Redis 6.2. */
  readonly laddr: string | undefined;
  readonly name: string;
}

/** `M` is the link of a replica to its primary, as the replica lists it; `S` that of a replica, as its primary does. */
export async function listClients(
  client: RedisClient,
  type: 'master' | 'replica' | 'pubsub',
  call: Call,
): Promise<readonly ListedClient[]> {
  const reply = await client.send(call, 'CLIENT', 'LIST', 'TYPE', type);
  if (typeof reply !== 'string') throw new TargetError('protocol', 'CLIENT LIST: the reply is not a text');
  return clientsOf(reply);
}

/** `id=3 addr=127.0.0.1:6379 laddr=127.0.0.1:40088 fd=7 name= …`, one line per client */
export function clientsOf(text: string): readonly ListedClient[] {
  return text.split(/\r?\n/).flatMap((line): ListedClient[] => {
    if (line.trim() === '') return [];
    const fields = new Map(
      line.split(' ').map((part): [string, string] => {
        const at = part.indexOf('=');
        return [part.slice(0, at), part.slice(at + 1)];
      }),
    );
    const [id, addr] = [fields.get('id'), fields.get('addr')];
    if (id === undefined || addr === undefined) return [];
    return [{ id, addr, laddr: fields.get('laddr'), name: fields.get('name') ?? '' }];
  });
}

/** An address as a server lists it goes back to it only in this form: an IP and a port. */
export function isAddress(text: string): boolean {
  return /^(\d{1,3}(\.\d{1,3}){3}|\[?[0-9a-fA-F:.%a-z]+\]?):\d{1,5}$/.test(text) && !text.endsWith(':0');
}

/** Its connections carry names: `sentinel-1a2b3c4d-cmd`, `…-pubsub` (sentinel.c, instanceLinkConnection). */
export function sentinelNames(clients: readonly ListedClient[]): readonly string[] {
  return clients.map(({ name }) => name).filter((name) => /^sentinel-[0-9a-f]{8}-(cmd|pubsub)$/.test(name));
}
