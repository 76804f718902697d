import type { Call } from '../../collector.ts';
import { factKey } from '../../facts.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from './client.ts';
import { accountText } from './facts-errors.ts';
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
const maxRows = 1000;

/**
 * The connections that read the binary log of this server. A thread can outlive its reader: seen for 32 s after kill -9.
 *
 * Without the PROCESS privilege a server shows only the account's own threads and gives no error: that is told apart
 * by the grants, and thrown as `denied`.
 */
export async function readDumpThreads(client: MysqlClient, call: Call): Promise<readonly DumpThread[]> {
  // information_schema.PROCESSLIST takes a global lock in MySQL and is deprecated there
  const table =
    client.flavour === 'mysql' && atLeast(client, 8, 0, 22)
      ? 'performance_schema.processlist'
      : 'information_schema.PROCESSLIST';
  const rows = await client.query(
    `SELECT ID, USER, HOST, COMMAND, TIME, STATE, ID = CONNECTION_ID() AS own FROM ${table}
      WHERE COMMAND IN ('Binlog Dump', 'Binlog Dump GTID') OR ID = CONNECTION_ID() LIMIT ${maxRows}`,
    [],
    call,
  );
  if (!rows.some((row) => Number(row['own']) === 1)) {
    throw new TargetError('unsupported', `mysql ${client.at}: ${table} is empty: set performance_schema=ON`);
  }
  const threads = dumpThreadsOf(rows);
  if (!(await seesAllThreads(client, call))) {
    throw new TargetError(
      'denied',
      `mysql ${client.at}: shows only the account's own threads. To allow it: GRANT PROCESS ON *.* TO ${accountText(client.account)}`,
    );
  }
  return threads;
}

export function dumpThreadsOf(rows: readonly Row[]): readonly DumpThread[] {
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

const seesAll = new WeakMap<MysqlClient, boolean>(); // a change of global grants reaches new connections only

async function seesAllThreads(client: MysqlClient, call: Call): Promise<boolean> {
  const before = seesAll.get(client);
  if (before !== undefined) return before;
  const grants = await client.query('SHOW GRANTS FOR CURRENT_USER()', [], call);
  const found = grantsProcess(grants.flatMap((row) => Object.values(row)).map(textOf));
  seesAll.set(client, found);
  return found;
}

/** Whether one of the lines of SHOW GRANTS gives PROCESS on everything. */
export function grantsProcess(lines: readonly string[]): boolean {
  return lines.some((line) => {
    const [, privileges = ''] = /^GRANT (.+) ON \*\.\* TO /i.exec(line) ?? [];
    return privileges.split(/,\s*/).some((p) => /^(PROCESS|ALL PRIVILEGES|SUPER)$/i.test(p.trim()));
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}
