// What holds others up: long transactions, lock waits, semi-synchronous replication that has fallen back.
import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { requireNumber } from './facts-cells.ts';
import { withGrant } from './facts-errors.ts';
import { threadTable } from './facts-threads.ts';

export interface Transactions {
  /** Ours left out; those of appliers and prepared ones (XA) are in. */
  readonly open: number;
  /** Open for longer than the limit that was asked for. */
  readonly long: number;
  /** 0 when none is open. */
  readonly oldestSeconds: number;
  /** Transactions that wait for a row lock. */
  readonly waiting: number;
  /** 0 when none waits. */
  readonly longestWaitSeconds: number;
}

export const transactionsFact = factKey<Transactions>('mysql.transactions');

/**
 * InnoDB's transactions, counted by the server in one statement. A waiting transaction says so itself, on every version:
 * INNODB_LOCK_WAITS and performance_schema.data_lock_waits would tell whom it waits for, at the price of a walk over all
 * locks under InnoDB's own latches.
 *
 * Its times are in the time zone of the server's process, whatever the session's is (seen on MariaDB 10.11 and MySQL
 * 9.7), so now is taken to that zone: that direction is unambiguous. Off by an hour only for a transaction that was open
 * while the clocks were changed.
 *
 * InnoDB answers from a copy that it renews only when nobody has read it for 100 ms: whoever polls faster sees what was.
 *
 * Grants: PROCESS.
 */
export async function readTransactions(client: MysqlClient, longSeconds: number, call: Call): Promise<Transactions> {
  const now = "CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM')";
  const age = (column: string): string => `GREATEST(0, TIMESTAMPDIFF(SECOND, ${column}, ${now}))`;
  const sql = `SELECT COUNT(*) AS open, COALESCE(SUM(${age('trx_started')} > ?), 0) AS over_limit,
      COALESCE(MAX(${age('trx_started')}), 0) AS oldest, COALESCE(SUM(trx_state = 'LOCK WAIT'), 0) AS waiting,
      COALESCE(MAX(${age('trx_wait_started')}), 0) AS longest_wait
    FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()`;
  try {
    const [row] = await client.query(sql, [longSeconds], call);
    return transactionsOf(row, client.at);
  } catch (error) {
    throw withGrant(error, client.account, 'PROCESS');
  }
}

function transactionsOf(row: Row | undefined, at: string): Transactions {
  return {
    open: requireNumber(row, 'open', at),
    long: requireNumber(row, 'over_limit', at),
    oldestSeconds: requireNumber(row, 'oldest', at),
    waiting: requireNumber(row, 'waiting', at),
    longestWaitSeconds: requireNumber(row, 'longest_wait', at),
  };
}

/** Threads that wait for a metadata lock, a global read lock or a backup: DDL and dumps that hold others up. */
export interface MetadataLockWaits {
  /** Appliers of a replica: it falls behind for as long. */
  readonly applier: number;
  readonly client: number;
}

/**
 * By the thread's state: performance_schema.metadata_locks would tell whose lock it is, and is off by default on MariaDB.
 * How long is not told: the time of an applier's thread is its lag.
 *
 * Grants: PROCESS; without it a server shows only the account's own threads and gives no error: call it after
 * readTransactions, which fails then.
 */
export async function readMetadataLockWaits(client: MysqlClient, call: Call): Promise<MetadataLockWaits> {
  const table = threadTable(client);
  const waits = `(STATE LIKE 'Waiting for % metadata lock' OR
      STATE IN ('Waiting for global read lock', 'Waiting for commit lock', 'Waiting for backup lock'))`;
  const [row] = await client.query(
    `SELECT COALESCE(SUM(ID = CONNECTION_ID()), 0) AS own,
        COALESCE(SUM(USER = 'system user' AND ${waits}), 0) AS applier,
        COALESCE(SUM(USER <> 'system user' AND ${waits}), 0) AS client FROM ${table}`,
    [],
    call,
  );
  if (requireNumber(row, 'own', client.at) !== 1) {
    throw new TargetError('unsupported', `mysql ${client.at}: ${table} is empty: set performance_schema=ON`);
  }
  return { applier: requireNumber(row, 'applier', client.at), client: requireNumber(row, 'client', client.at) };
}

export const semiSyncRoles = ['source', 'replica'] as const;
export type SemiSyncRole = (typeof semiSyncRoles)[number];
export const semiSyncStates = ['not_configured', 'active', 'degraded', 'unknown'] as const;
export type SemiSyncState = (typeof semiSyncStates)[number];
export type SemiSync = Readonly<Record<SemiSyncRole, SemiSyncState>>;

const spelling = { source: ['source', 'master'], replica: ['replica', 'slave'] } as const;

/**
 * Whether semi-synchronous replication does what it is set to do. A source falls back to asynchronous after a timeout and
 * goes on without a word; one without any acknowledging replica is about to. Needs no grants.
 *
 * https://dev.mysql.com/doc/refman/8.4/en/replication-semisync-monitoring.html; the names with source and replica came
 * with MySQL 8.0.26, and the old ones are MariaDB's.
 */
export async function readSemiSync(client: MysqlClient, call: Call): Promise<SemiSync> {
  const all = Object.values(spelling).flat();
  const enabled = await readNamed(
    client,
    'VARIABLES',
    all.map((who) => `rpl_semi_sync_${who}_enabled`),
    call,
  );
  if (![...enabled.values()].includes('ON')) return semiSyncOf(enabled, new Map());
  const wanted = [
    ...all.map((who) => `rpl_semi_sync_${who}_status`),
    ...spelling.source.map((w) => `rpl_semi_sync_${w}_clients`),
  ];
  return semiSyncOf(enabled, await readNamed(client, 'STATUS', wanted, call));
}

async function readNamed(
  client: MysqlClient,
  what: 'VARIABLES' | 'STATUS',
  names: readonly string[],
  call: Call,
): Promise<ReadonlyMap<string, string>> {
  const list = names.map((name) => `'${name}'`).join(', ');
  const rows = await client.query(`SHOW GLOBAL ${what} WHERE Variable_name IN (${list})`, [], call);
  return new Map(
    rows.flatMap(({ Variable_name: name, Value: value }) =>
      typeof name === 'string' && typeof value === 'string' ? [[name.toLowerCase(), value.toUpperCase()] as const] : [],
    ),
  );
}

export function semiSyncOf(enabled: ReadonlyMap<string, string>, status: ReadonlyMap<string, string>): SemiSync {
  const stateOf = (role: SemiSyncRole): SemiSyncState => {
    const who = spelling[role].find((name) => enabled.has(`rpl_semi_sync_${name}_enabled`));
    // No such variable: the plugin is not installed.
    if (who === undefined || enabled.get(`rpl_semi_sync_${who}_enabled`) !== 'ON') return 'not_configured';
    const now = status.get(`rpl_semi_sync_${who}_status`);
    const clients = status.get(`rpl_semi_sync_${who}_clients`);
    if (now !== 'ON' && now !== 'OFF') return 'unknown';
    if (role === 'source' && clients === undefined) return 'unknown';
    return now === 'ON' && clients !== '0' ? 'active' : 'degraded';
  };
  return { source: stateOf('source'), replica: stateOf('replica') };
}
