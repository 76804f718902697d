// Which transactions a server has.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { pacer } from '../../runtime/pacing.ts';
import type { MysqlClient } from './client.ts';
import type { ServerIdentity } from './facts-binlog-server.ts';
import { readMariadbGtids, textOf, type MariadbGtids } from './facts-gtid-mariadb.ts';
import { emptyGtidSet, parseGtidSet, type GtidSet } from './facts-gtid-sets.ts';
import { atLeast } from './facts-version.ts';

export interface MysqlGtids {
  readonly flavour: 'mysql';
  /** gtid_mode is ON or ON_PERMISSIVE: new transactions have GTIDs. */
  readonly on: boolean;
  readonly executed: GtidSet;
  /**
   * In the middle of their commit. A replica may have them already: with semi-synchronous replication a transaction
   * waits for the replicas to acknowledge it before it counts as executed (seen on 9.7).
   */
  readonly owned: GtidSet;
  /** Executed, and in no binary log of this server any more. */
  readonly purged: GtidSet;
}

/** When it was read, on this program's monotonic clock: what was read before what decides which differences are real. */
export interface GtidReading extends ServerIdentity {
  readonly gtids: MysqlGtids | MariadbGtids;
  readonly fromMs: number;
  readonly toMs: number;
}

export const gtidFact = factKey<GtidReading>('mysql.gtid');

/** A set is parsed once while its text stays the same. */
export type ParseCache = Map<'executed' | 'purged', { readonly text: string; readonly set: GtidSet }>;

/** All of one reading comes from one statement. Needs no grants. */
export async function readGtids(
  client: MysqlClient,
  cache: ParseCache,
  oldestFile: string | undefined,
  call: Call,
): Promise<GtidReading> {
  const fromMs = call.clock.monoMs();
  const { gtids, ...identity } =
    client.flavour === 'mariadb'
      ? await readMariadbGtids(client, oldestFile, call)
      : await readMysqlGtids(client, cache, call);
  return { ...identity, gtids, fromMs, toMs: call.clock.monoMs() };
}

async function readMysqlGtids(
  client: MysqlClient,
  cache: ParseCache,
  call: Call,
): Promise<ServerIdentity & { gtids: MysqlGtids }> {
  if (!atLeast(client, 5, 6, 5)) return { ...noIdentity, gtids: mysqlGtidsOff };
  const [row] = await client.query(
    // What is owned first: what is committed meanwhile is then in one of the two at least
    `SELECT @@GLOBAL.gtid_mode AS mode, @@GLOBAL.gtid_owned AS owned, @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged,
            @@GLOBAL.server_id AS id, @@GLOBAL.server_uuid AS uuid`,
    [],
    call,
  );
  const turn = pacer(call.clock);
  const set = async (name: 'executed' | 'purged'): Promise<GtidSet> => {
    await turn();
    const text = textOf(row?.[name], `gtid_${name}`, client);
    const before = cache.get(name);
    if (before?.text === text) return before.set;
    const parsed = parseGtidSet(text);
    cache.set(name, { text, set: parsed });
    return parsed;
  };
  const [executed, purged] = [await set('executed'), await set('purged')];
  await turn();
  return {
    serverId: Number(row?.['id']),
    serverUuid: String(row?.['uuid']),
    gtids: {
      flavour: 'mysql',
      on: /^ON/i.test(String(row?.['mode'])),
      executed,
      owned: ownedOf(textOf(row?.['owned'], 'gtid_owned', client)),
      purged,
    },
  };
}

/** `uuid:7#12:8#13`: behind each number the connection that commits it. */
function ownedOf(text: string): GtidSet {
  return parseGtidSet(text.replaceAll(/#\d+/g, ''));
}

const noIdentity: ServerIdentity = { serverId: 0, serverUuid: undefined };
const mysqlGtidsOff: MysqlGtids = {
  flavour: 'mysql',
  on: false,
  executed: emptyGtidSet,
  owned: emptyGtidSet,
  purged: emptyGtidSet,
};
