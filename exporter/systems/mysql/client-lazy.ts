// A connection of another kind of target to a server of the inventory.
import type { Call } from '../../collector.ts';
import type { Opening } from '../../system.ts';
import { mysqlAddress } from './address.ts';
import { openMysql, type MysqlClient } from './client.ts';

export interface LazyMysql {
  /** @throws TargetError as openMysql does */
  readonly get: (call: Call) => Promise<MysqlClient>;
  readonly close: () => Promise<void>;
}

/**
 * One connection, opened when first asked for and again once it cannot be used any more; those who ask meanwhile share the attempt, with
 * the deadline of who asked first.
 */
export function lazyMysql(name: string, resolve: Opening<unknown>['resolve'], open = openMysql): LazyMysql {
  let client: MysqlClient | undefined;
  let attempt: Promise<MysqlClient> | undefined;
  const reopen = async (call: Call): Promise<MysqlClient> => {
    if (client?.usable() === true) return client;
    await client?.[Symbol.asyncDispose](); // its account may have got other privileges
    const { address, auth, tls } = resolve(name);
    client = await open({ address: mysqlAddress.parse(address), auth, tls }, call);
    return client;
  };
  return {
    // Nothing is awaited before `attempt` is set: the collectors of one sweep ask in the same moment
    get: (call) => {
      attempt ??= reopen(call).finally(() => (attempt = undefined));
      return attempt;
    },
    close: async () => {
      await attempt?.catch(() => undefined);
      const last = client;
      client = undefined;
      await last?.[Symbol.asyncDispose]();
    },
  };
}
