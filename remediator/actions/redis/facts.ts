// Both ends of a replication link, read once, with the remediator's own credentials. Nothing is thrown: what cannot be
// read is unknown.
import type { Call } from '../../../exporter/collector.ts';
import { classOf, messageOf, TargetError } from '../../../exporter/runtime/errors.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { RedisClient } from '../../../exporter/systems/redis/client.ts';
import { numberOf } from '../../../exporter/systems/redis/facts-replication-fields.ts';
import { readRedisReplication, type RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import { attempt } from '../../world.ts';
import { grantFor } from './acl.ts';
import { listClients, sentinelNames, type ListedClient } from './clients.ts';
import { withRedis, type RedisWorld } from './connection.ts';
import { readSentinels, type SentinelView } from './sentinels.ts';

export interface PairFacts {
  /** Of the inventory; unknown when it names none, or several. */
  readonly primaryTarget: Known<string>;
  readonly replica: Known<RedisReplication>;
  readonly primary: Known<RedisReplication>;
  /** The replica's own end of the link; null while there is none. */
  readonly link: Known<ListedClient | null>;
  /** The primary's ends of the links of all its replicas. */
  readonly fed: Known<readonly ListedClient[]>;
  readonly settings: Readonly<Record<'replica' | 'primary', Known<RedisSettings>>>;
  readonly sentinel: Known<SentinelView>;
}

/** Only these are read: other parameters hold passwords. */
const parameters = [
  'repl-timeout',
  'repl-diskless-sync',
  'repl-diskless-load',
  'repl-backlog-size',
  'client-output-buffer-limit',
  'min-replicas-to-write',
  'min-replicas-max-lag',
  'replica-ignore-maxmemory',
  'save',
  'dir',
  'dbfilename',
] as const;
export type RedisParameter = (typeof parameters)[number];
export type RedisSettings = Readonly<Partial<Record<RedisParameter, string>>>;

export async function readPair(target: string, world: RedisWorld, signal: AbortSignal): Promise<PairFacts> {
  const primaryTarget = primaryOf(target, world);
  const [own, other] = await Promise.all([
    readSide(target, 'replica', world, signal),
    primaryTarget.known ? readSide(primaryTarget.value, 'primary', world, signal) : nothing(primaryTarget.why),
  ]);
  const sentinel = await readSentinels([own.watchers, other.watchers], other.replication, world, signal);
  return {
    primaryTarget,
    replica: own.replication,
    primary: other.replication,
    link: own.clients.known ? known(own.clients.value[0] ?? null, own.clients.observedAtMs) : own.clients,
    fed: other.clients,
    settings: { replica: own.settings, primary: other.settings },
    sentinel,
  };
}

/** The one that every pipeline gives it. */
function primaryOf(target: string, { inventory }: Pick<RedisWorld, 'inventory'>): Known<string> {
  const all = new Set(
    inventory.pipelines.flatMap((p) => (p.cache?.replicas.includes(target) === true ? [p.cache.primary] : [])),
  );
  const [only] = all;
  if (only === undefined) return unknown(`no pipeline has ${target} among its cache.replicas`);
  if (all.size > 1) return unknown(`pipelines name several primaries of ${target}: ${[...all].sort().join(', ')}`);
  return known(only, 0);
}

interface Side {
  readonly replication: Known<RedisReplication>;
  readonly clients: Known<readonly ListedClient[]>;
  /** Names of the connections of Sentinels. */
  readonly watchers: Known<readonly string[]>;
  readonly settings: Known<RedisSettings>;
}

async function readSide(
  target: string,
  side: 'replica' | 'primary',
  world: RedisWorld,
  signal: AbortSignal,
): Promise<Side> {
  try {
    return await withRedis(world, target, signal, async (client, call) => ({
      replication: await asked(world, client, 'info', target, () => readRedisReplication(client, call)),
      clients: await asked(world, client, 'client|list', target, () =>
        listClients(client, side === 'replica' ? 'master' : 'replica', call),
      ),
      watchers: await asked(world, client, 'client|list', target, async () =>
        sentinelNames(await listClients(client, 'pubsub', call)),
      ),
      settings: await asked(world, client, 'config|get', target, () => readSettings(client, call)),
    }));
  } catch (error) {
    return nothing(`${target}: ${messageOf(error)}`);
  }
}

/** A refusal comes with what mends it. */
async function asked<T>(
  { clock }: RedisWorld,
  { user }: RedisClient,
  command: string,
  target: string,
  read: () => Promise<T>,
): Promise<Known<T>> {
  return await attempt(clock, async () => {
    try {
      return await read();
    } catch (error) {
      const fix = classOf(error) === 'denied' ? `. ${grantFor(command, user)}` : '';
      throw new TargetError(classOf(error), `${target}: ${messageOf(error)}${fix}`, { cause: error });
    }
  });
}

/** One by one: servers before 7.0 take one name, and a name that a server does not know yields nothing. */
async function readSettings(client: RedisClient, call: Call): Promise<RedisSettings> {
  const found: Partial<Record<RedisParameter, string>> = {};
  const replies = await Promise.all(parameters.map((name) => client.send(call, 'CONFIG', 'GET', name)));
  for (const [i, reply] of replies.entries()) {
    const name = parameters[i];
    if (name === undefined || !Array.isArray(reply) || reply.length < 2) continue;
    found[name] = String(reply[1]);
  }
  return found;
}

function nothing(why: string): Side {
  const none = unknown(why);
  return { replication: none, clients: none, watchers: none, settings: none };
}

/** How often REPLICAOF was run since the start of the server or CONFIG RESETSTAT: `cmdstat_replicaof:calls=2,…` */
export function replicaofCalls({ fields }: RedisReplication): number {
  return ['replicaof', 'slaveof'].reduce((sum, name) => {
    const [, calls] = /^calls=(\d+)/.exec(fields.get(`cmdstat_${name}`) ?? '') ?? [];
    return sum + Number(calls ?? 0);
  }, 0);
}

/** `master_failover_state` of a planned swap (FAILOVER, 6.2 and later). */
export function failoverState({ fields }: RedisReplication): string {
  return fields.get('master_failover_state') ?? 'no-failover';
}

export function fieldOf({ fields }: RedisReplication, name: string): number | undefined {
  return numberOf(fields, name);
}
