// What tables there are, and what they look like.
import type { Call } from '../../collector.ts';
import { TargetError } from '../../runtime/errors.ts';
import { numberIn } from '../mysql/facts-cells.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { mysqlErrno, withGrant } from '../mysql/facts-errors.ts';
import { placeText, type ColumnShape, type Place, type TableShape, type UniqueKey } from './facts-table.ts';

function text(row: Row, column: string): string | undefined {
  const cell = Object.entries(row).find(([name]) => name.toLowerCase() === column)?.[1];
  if (typeof cell === 'string') return cell;
  return Buffer.isBuffer(cell) ? cell.toString('utf8') : typeof cell === 'number' ? String(cell) : undefined;
}

/** Of the databases that a pattern names, at most `limit`; `more` tells that there are others. @throws TargetError */
export async function findTables(
  client: MysqlClient,
  patterns: readonly string[],
  limit: number,
  call: Call,
): Promise<{ readonly tables: readonly Place[]; readonly more: boolean }> {
  const places = new Map<string, Place>();
  for (const pattern of patterns) {
    const [database = '', table = ''] = pattern.split('.');
    if (!pattern.includes('*')) {
      places.set(pattern, { database, table });
      continue;
    }
    const rows = await client.query(
      `SELECT TABLE_SCHEMA AS d, TABLE_NAME AS t FROM information_schema.TABLES
       WHERE TABLE_SCHEMA LIKE ? AND TABLE_NAME LIKE ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
       AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
       ORDER BY 1, 2 LIMIT ${String(limit + 1)}`,
      [likeOf(database), likeOf(table)],
      call,
    );
    for (const row of rows) {
      const place = { database: text(row, 'd') ?? '', table: text(row, 't') ?? '' };
      // A dot in a name, or a backtick, would make it another one
      if (/[`.]/.test(`${place.database}${place.table}`)) continue;
      places.set(`${place.database}.${place.table}`, place);
    }
  }
  const tables = [...places.values()];
  return { tables: tables.slice(0, limit), more: tables.length > limit };
}

function likeOf(pattern: string): string {
  return pattern.replaceAll(/[\\%_]/g, String.raw`\$&`).replaceAll('*', '%');
}

/**
 * Undefined when there is no such table. A user who may not read all of its columns is refused: what it does not see would
 * not be compared.
 *
 * @throws TargetError `denied` with the GRANT
 */
export async function readShape(client: MysqlClient, place: Place, call: Call): Promise<TableShape | undefined> {
  try {
    await client.query(`SELECT * FROM ${placeText(place)} LIMIT 0`, [], call);
  } catch (error) {
    if ([1049, 1146].includes(mysqlErrno(error) ?? 0)) return undefined;
    throw withGrant(error, client.account, 'SELECT', placeText(place));
  }
  const named = [place.database, place.table];
  const columns = await client.query(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS data_type, COLUMN_TYPE AS column_type, CHARACTER_SET_NAME AS charset,
       COLLATION_NAME AS collation, EXTRA AS extra
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    named,
    call,
  );
  const indexes = await client.query(
    `SELECT INDEX_NAME AS name, COLUMN_NAME AS col, SUB_PART AS part, NULLABLE AS nullable
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0
     ORDER BY INDEX_NAME, SEQ_IN_INDEX`,
    named,
    call,
  );
  const [about] = await client.query(
    'SELECT TABLE_ROWS AS guess, TABLE_TYPE AS type FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    named,
    call,
  );
  if (about === undefined || columns.length === 0) {
    throw new TargetError('protocol', `mysql ${client.at}: does not tell the columns of ${placeText(place)}`);
  }
  if (text(about, 'type')?.includes('VIEW') === true) {
    throw new TargetError('unsupported', `${placeText(place)} is a view: name the tables that it is made of`);
  }
  return { columns: columns.map(columnOf), keys: keysOf(indexes), rowsGuess: numberIn(about, 'guess') };
}

function columnOf(row: Row): ColumnShape {
  return {
    name: text(row, 'name') ?? '',
    dataType: (text(row, 'data_type') ?? '').toLowerCase(),
    columnType: (text(row, 'column_type') ?? '').toLowerCase(),
    charset: text(row, 'charset'),
    collation: text(row, 'collation'),
    // MySQL says DEFAULT_GENERATED too, of a column whose default is an expression
    isGenerated: /\b(virtual|stored|persistent) generated\b/i.test(text(row, 'extra') ?? ''),
  };
}

function keysOf(rows: readonly Row[]): readonly UniqueKey[] {
  const byName = new Map<string, { columns: string[]; usable: boolean }>();
  for (const row of rows) {
    const name = text(row, 'name') ?? '';
    const key = byName.get(name) ?? { columns: [], usable: true };
    byName.set(name, key);
    const column = text(row, 'col'); // none for an expression
    key.columns.push(column ?? '');
    key.usable &&= column !== undefined && text(row, 'part') === undefined && text(row, 'nullable') !== 'YES';
  }
  const keys = [...byName].filter(([, { usable }]) => usable).map(([name, { columns }]) => ({ name, columns }));
  const rank = (key: UniqueKey): number => (key.name === 'PRIMARY' ? 0 : key.columns.length);
  return keys.sort((a, b) => rank(a) - rank(b));
}
