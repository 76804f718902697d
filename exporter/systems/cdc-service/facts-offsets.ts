import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { withGrant } from '../mysql/facts-errors.ts';
import type { OffsetsAddress } from './address.ts';

export interface CdcOffsets {
  readonly rows: number;
  /** Since the newest row was written, by the clock of the database. */
  readonly ageSeconds: Known<number>;
}

/**
 * How long ago the service noted how far it is. Reads the type of the column first: what a column means depends on it,
 * and a table that is not there must not make a statement fail at each sweep.
 *
 * Grants: SELECT on the table.
 *
 * @throws TargetError `unsupported` without the table or column, and as MysqlClient.query
 */
export async function readOffsets(mysql: MysqlClient, address: OffsetsAddress, call: Call): Promise<CdcOffsets> {
  const { database, table, column } = address;
  // information_schema shows only what the account may read
  const [found] = await mysql.query(
    'SELECT DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COLUMN_NAME = ? LIMIT 1',
    [database, table, column],
    call,
  );
  const on = `${quoted(database)}.${quoted(table)}`;
  if (found === undefined) {
    const why = `mysql ${mysql.at}: there is no ${on} with a column ${column}, or it may not be read. Set offsets.table and offsets.column, or allow it`;
    throw withGrant(new TargetError('denied', why), mysql.account, 'SELECT', on);
  }
  const type = String(found['type']).toLowerCase();
  const age = ageOf(type, quoted(column), address.timeZone);
  if (typeof age !== 'string') return { rows: await count(mysql, on, call), ageSeconds: unknown(age.why) };
  const sql = `SELECT COUNT(*) AS row_count, ${age} AS age_seconds FROM ${on}`;
  try {
    const [row] = await mysql.query(sql, [], call);
    return offsetsOf(row, call.clock.wallMs());
  } catch (error) {
    throw withGrant(error, mysql.account, 'SELECT', on);
  }
}

async function count(mysql: MysqlClient, on: string, call: Call): Promise<number> {
  const [row] = await mysql.query(`SELECT COUNT(*) AS row_count FROM ${on}`, [], call);
  return Number(row?.['row_count'] ?? 0);
}

/** In SQL, so that both ends are read by one clock. */
function ageOf(type: string, column: string, timeZone: string | undefined): string | { readonly why: string } {
  // Both in the zone of the session, which is UTC: https://dev.mysql.com/doc/refman/8.4/en/datetime.html
  if (type === 'timestamp') return `TIMESTAMPDIFF(MICROSECOND, MAX(${column}), NOW(6)) / 1000000`;
  if (type === 'datetime') {
    if (timeZone === undefined) return { why: 'a DATETIME has no time zone: set offsets.time_zone' };
    return `TIMESTAMPDIFF(MICROSECOND, CONVERT_TZ(MAX(${column}), '${timeZone}', '+00:00'), UTC_TIMESTAMP(6)) / 1000000`;
  }
  if (['bigint', 'int', 'decimal', 'double'].includes(type)) {
    // Milliseconds are told from seconds by their size: as seconds, 1e11 is the year 5138.
    return `UNIX_TIMESTAMP(NOW(6)) - MAX(${column}) / IF(MAX(${column}) >= 100000000000, 1000, 1)`;
  }
  return { why: `offsets.column is of type ${type}, which is no time` };
}

const tenYearsSeconds = 10 * 365 * 86_400;

export function offsetsOf(row: Row | undefined, observedAtMs: number): CdcOffsets {
  const rows = Number(row?.['row_count'] ?? 0);
  const age = row?.['age_seconds'] ?? undefined;
  const seconds = Number(age);
  if (rows === 0 || age === undefined) return { rows, ageSeconds: unknown('no offset was ever written') };
  if (!Number.isFinite(seconds)) return { rows, ageSeconds: unknown('the age of its offsets is no number') };
  // Written by the service's own clock perhaps
  if (seconds < -5) return { rows, ageSeconds: unknown('its offsets lie in the future: another time zone or clock') };
  // A counter taken for a time would lie decades back.
  if (seconds > tenYearsSeconds) return { rows, ageSeconds: unknown('offsets.column holds numbers that are no times') };
  return { rows, ageSeconds: known(Math.max(0, seconds), observedAtMs) };
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
