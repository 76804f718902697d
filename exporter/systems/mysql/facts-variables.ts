import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from './client.ts';
import { statusNumber } from './facts-values.ts';
import { plainVariables } from './families-variables.ts';

/**
 * Variables that are text, that readers of changes depend on, with the values that they may have; none where any text
 * may stand. https://dev.mysql.com/doc/refman/9.4/en/replication-options-binary-log.html,
 * https://mariadb.com/kb/en/replication-and-binary-log-system-variables/
 */
const cdcSettings: Readonly<Record<string, readonly string[]>> = {
  binlog_format: ['ROW', 'MIXED', 'STATEMENT'],
  binlog_row_image: ['FULL', 'FULL_NODUP', 'NOBLOB', 'MINIMAL'], // FULL_NODUP: MariaDB since 11.4
  binlog_row_metadata: ['FULL', 'MINIMAL', 'NO_LOG'], // NO_LOG: MariaDB
  binlog_row_value_options: ['', 'PARTIAL_JSON'], // MySQL
  binlog_checksum: ['CRC32', 'NONE'],
  gtid_mode: ['ON', 'ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF'], // MySQL
  enforce_gtid_consistency: ['ON', 'WARN', 'OFF'], // MySQL
  character_set_server: [],
  collation_server: [],
  old_mode: [], // MariaDB
  sql_mode: [],
  system_time_zone: [],
  time_zone: [],
};

const isolationNames = ['transaction_isolation', 'tx_isolation'] as const;
const galeraTexts = ['wsrep_cluster_name', 'wsrep_provider_options'];

/** What is asked for when nothing else is said. */
export const defaultVariableNames: readonly string[] = [
  ...new Set([...plainVariables, ...Object.keys(cdcSettings), ...isolationNames, ...galeraTexts]),
];

/** Names of variables, in lower case: they are written into a statement. */
export const variableName = /^[a-z][a-z0-9_]*$/;

/** Variables by name, in lower case as metric names have it. */
export type Variables = ReadonlyMap<string, string>;

/**
 * One statement; a variable that the server lacks is no error, and no grant is needed.
 *
 * Named variables are asked for by name where that is cheaper. Seen on MariaDB 10.11: 193 of 562 status variables 1.9 ms,
 * all 2.4 ms; 81 of 656 variables 1.3 ms, all 4.8 ms. On MySQL 9.7: 153 of 439 status variables 2.6 ms, all 1.2 ms (each
 * name is a look-up in a table that is made anew); 74 of 604 variables 2.4 ms, as all.
 *
 * @param names in lower case; undefined for all
 */
export async function readVariables(
  client: MysqlClient,
  what: 'STATUS' | 'VARIABLES',
  names: readonly string[] | undefined,
  call: Call,
): Promise<Variables> {
  const rows = await client.query(`SHOW GLOBAL ${what}${conditionOf(client, what, names)}`, [], call);
  const found = variablesOf(rows);
  // Every server has some of those that are asked for: an answer without any is none.
  if (found.size === 0) throw new TargetError('protocol', `mysql ${client.at}: tells no ${what.toLowerCase()}`);
  if (names === undefined) return found;
  const wanted = new Set(names);
  for (const name of found.keys()) if (!wanted.has(name)) found.delete(name);
  return found;
}

function conditionOf(
  { flavour }: Pick<MysqlClient, 'flavour'>,
  what: 'STATUS' | 'VARIABLES',
  names: readonly string[] | undefined,
): string {
  if (names === undefined || (flavour === 'mysql' && what === 'STATUS')) return '';
  if (!names.every((name) => variableName.test(name))) throw new Error('not the name of a variable');
  return ` WHERE Variable_name IN (${names.map((name) => `'${name}'`).join(', ')})`;
}

/** A NULL has no entry (Max_memory_used of MariaDB while it is not measured). */
export function variablesOf(rows: readonly Readonly<Record<string, unknown>>[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const row of rows) {
    const [name, value] = [row['Variable_name'], row['Value']];
    if (typeof name !== 'string' || typeof value !== 'string') continue;
    found.set(name.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_'), value);
  }
  return found;
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/**
 * As mysqld_exporter reads status values: what statusNumber() knows, and the dates of certificates
 * (Ssl_server_not_after), `Jan 22 08:05:59 2036 GMT`, as seconds since the epoch. The peer drops a day of one digit.
 */
export function variableNumber(text: string): number | undefined {
  if (!text.endsWith(' GMT')) return statusNumber(text);
  const [, month = '', day, time, year] =
    /^([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4}) GMT$/.exec(text) ?? [];
  if (day === undefined || time === undefined || year === undefined) return statusNumber(text);
  const number = String(months.indexOf(month.toLowerCase()) + 1).padStart(2, '0');
  const ms = Date.parse(`${year}-${number}-${day.padStart(2, '0')}T${time}Z`);
  return Number.isNaN(ms) ? undefined : ms / 1000;
}

/** Longer texts are cut: a label is no place for them. */
const maxTextLength = 500;

export interface CdcSetting {
  readonly variable: string;
  readonly value: string;
  readonly possible: readonly string[];
}

/** The settings of this server among those that readers of changes depend on. */
export function cdcSettingsOf(variables: Variables): readonly CdcSetting[] {
  return Object.entries(cdcSettings).flatMap(([variable, possible]) => {
    const text = variables.get(variable);
    return text === undefined ? [] : [{ variable, value: text.slice(0, maxTextLength), possible }];
  });
}

/** `REPEATABLE-READ`; MySQL 8 and MariaDB 11.1 have the first of its two names. */
export function isolationOf(variables: Variables): string | undefined {
  return isolationNames.map((name) => variables.get(name)).find((text) => text !== undefined && text !== '');
}

const unitBytes: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `…; gcache.size = 128M; …`: undefined where it does not stand there. */
export function gcacheBytes(options: string): number | undefined {
  const [, digits, unit = ''] = /(?:^|;)\s*gcache\.size\s*=\s*(\d+)([KMGT]?)\s*(?:;|$)/.exec(options) ?? [];
  return digits === undefined ? undefined : Number(digits) * (unitBytes[unit] ?? 1);
}
