import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { grantFor, holds, readOwnGrants } from './facts-grants.ts';
import { atLeast } from './facts-version.ts';

/** A connection that reads the binary log: a replica, Maxwell or another CDC process. */
export interface DumpThread {
  readonly id: number;
  readonly user: string;
  /** Where it comes from, `host:port`. */
  readonly host: string;
  /** `Binlog Dump` or `Binlog Dump GTID` */
  readonly command: string;
  /** How long it has been in this state. */
  readonly seconds: number;
  readonly state: string;
}

export const dumpThreadsFact = factKey<readonly DumpThread[]>('mysql.dump_threads');

/** More readers than this on one source is no sane set-up; the bound keeps the answer small. */
const maxThreads = 1000;

/**
 * The connections that read the binary log of this server. A thread can outlive its reader: seen for 32 s after kill -9.
 *
 * Without the PROCESS privilege a server shows only the account's own threads and gives no error: that is told apart
 * by the grants, and thrown as `denied`.
 */
export async function readDumpThreads(client: MysqlClient, call: Call): Promise<readonly DumpThread[]> {
  const table = threadTable(client);
  const rows = await client.query(
    `SELECT ID, USER, HOST, COMMAND, TIME, STATE, ID = CONNECTION_ID() AS own FROM ${table}
      WHERE COMMAND IN ('Binlog Dump', 'Binlog Dump GTID') OR ID = CONNECTION_ID() LIMIT ${maxThreads + 2}`,
    [],
    call,
  );
  // With our own connection. A part of them would be a wrong number, and one that looks right.
  if (rows.length > maxThreads + 1) {
    throw new TargetError('failed', `mysql ${client.at}: more than ${maxThreads} connections read its binary log`);
  }
  if (!rows.some((row) => Number(row['own']) === 1)) {
    throw new TargetError('unsupported', `mysql ${client.at}: ${table} is empty: set performance_schema=ON`);
  }
  const threads = dumpThreadsOf(rows);
  await requireProcess(client, 'threads', call);
  return threads;
}

/** information_schema.PROCESSLIST takes a global lock in MySQL and is deprecated there. */
export function threadTable(client: Pick<MysqlClient, 'flavour' | 'version'>): string {
  return client.flavour === 'mysql' && atLeast(client, 8, 0, 22)
    ? 'performance_schema.processlist'
    : 'information_schema.PROCESSLIST';
}

function dumpThreadsOf(rows: readonly Row[]): readonly DumpThread[] {
  return rows
    .filter((row) => String(row['COMMAND']).startsWith('Binlog Dump'))
    .map((row) => ({
      id: Number(row['ID']),
      user: textOf(row['USER']),
      host: textOf(row['HOST']),
      command: textOf(row['COMMAND']),
      seconds: Number(row['TIME']),
      state: textOf(row['STATE']),
    }));
}

/**
 * Without the PROCESS privilege a server shows only what is the account's own, and gives no error: zero would be wrong.
 */
async function requireProcess(client: MysqlClient, what: string, call: Call): Promise<void> {
  if (holds(await readOwnGrants(client, call), 'PROCESS')) return;
  throw new TargetError(
    'denied',
    `mysql ${client.at}: shows only the account's own ${what}. To allow it: ${grantFor(['PROCESS'], client.account)}`,
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}
