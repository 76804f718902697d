import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { Opening, TargetClient } from '../../system.ts';
import { mysqlAddress } from '../mysql/address.ts';
import { openMysql, type MysqlClient } from '../mysql/client.ts';
import { redisAddress } from '../redis/address.ts';
import { openRedis, type RedisClient } from '../redis/client.ts';
import type { ConsistencyPlan } from './address.ts';
import type { Both } from './facts-table.ts';

export type SideName = 'source' | 'copy';

/** A comparison has no server of its own: it is up while the exporter runs. Its connections are opened by whoever needs them. */
export interface ConsistencyClient extends TargetClient {
  readonly plan: ConsistencyPlan;
  /** Read only. Logs in as the user of the target, or as the comparison's own where one is given. @throws TargetError */
  readonly openTables: (side: SideName, call: Call) => Promise<MysqlClient>;
  /** `primary` is the source. @throws TargetError */
  readonly openKeys: (side: SideName, call: Call) => Promise<RedisClient>;
}

export function openConsistency(opening: Opening<ConsistencyPlan>): ConsistencyClient {
  const { address: plan } = opening;
  const of = (side: SideName): ReturnType<typeof opening.resolve> => {
    if (side === 'copy') return opening.resolve(plan.copy);
    return opening.resolve(plan.kind === 'mysql' ? plan.source : plan.primary);
  };
  return {
    plan,
    openTables: async (side, call) => {
      const { address, auth, tls } = of(side);
      const login = { address: mysqlAddress.parse(address), auth: opening.auth ?? auth, tls: opening.tls ?? tls };
      const client = await openMysql(login, call);
      // Without it every look would be one into the transaction of the first
      await client.query('SET SESSION autocommit = 1', [], call).catch(async (error: unknown) => {
        await client[Symbol.asyncDispose]();
        throw error;
      });
      return client;
    },
    openKeys: (side, call) => {
      const { name, address, auth, tls } = of(side);
      const login = { address: redisAddress.parse(address), auth: opening.auth ?? auth, tls: opening.tls ?? tls };
      return openRedis({ target: name, ...login, resolve: opening.resolve }, call);
    },
    ping: ({ signal }) =>
      signal.aborted ? Promise.reject(new TargetError('deadline', 'no time left')) : Promise.resolve(),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Both or none: when the second cannot be opened the first is closed. @throws what `open` throws */
export async function openBoth<T extends AsyncDisposable>(
  open: (side: SideName, call: Call) => Promise<T>,
  call: Call,
): Promise<Both<T> & AsyncDisposable> {
  const source = await open('source', call);
  try {
    const copy = await open('copy', call);
    return {
      source,
      copy,
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]();
        await copy[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}
