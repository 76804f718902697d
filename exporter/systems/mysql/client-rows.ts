// Statements on a connection, and what their cells become.
import type { Connection, TypeCastField, TypeCastNext } from 'mysql2';
import { TargetError } from '../../runtime/errors.ts';

export type Row = Readonly<Record<string, unknown>>;

const numeric = new Set(['TINY', 'SHORT', 'LONG', 'INT24', 'YEAR', 'FLOAT', 'DOUBLE']);

/**
 * Small integers and floats are numbers, and nothing else stands in such a column (mysql2 makes a number of any text
 * there). Large integers, decimals, dates, JSON are text; binary columns are Buffers.
 */
function castCell(field: TypeCastField, next: TypeCastNext): unknown {
  if (field.type === 'JSON' || field.type === 'GEOMETRY') return field.string('utf8');
  if (!numeric.has(field.type)) return next();
  const text = field.string();
  if (text === null) return null;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new TargetError('protocol', `column ${field.name.slice(0, 64)} is declared as ${field.type} and holds none`);
  }
  return value;
}

/** Rows for a statement that gives rows; a statement that gives none has an answer without columns. */
export function rowsOf(
  connection: Connection,
  sql: string,
  params: readonly (string | number)[],
): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    // Text in both columns, and there are hundreds of rows: no function of ours is called for each cell. What mysql2 makes of
    // a column that is declared as numbers is not trusted.
    const isTextOnly = /^SHOW GLOBAL (STATUS|VARIABLES)\b/.test(sql);
    connection.query({ sql, values: [...params], typeCast: isTextOnly ? true : castCell }, (error, rows) => {
      if (error !== null) reject(error);
      else if (Array.isArray(rows) && isTextOnly && (rows as readonly Row[]).some(hasNumber)) {
        reject(new TargetError('protocol', 'the server gave numbers where it has to give text'));
      } else if (Array.isArray(rows)) resolve(rows as readonly Row[]);
      else if (/^(SET|INSERT|KILL|(START|STOP) (SLAVE|REPLICA))\b/i.test(sql)) resolve([]);
      // No rows and no columns is not "nothing found": a server says that with columns.
      else reject(new TargetError('protocol', 'the server gave no rows where it has to'));
    });
  });
}

function hasNumber(row: Row): boolean {
  for (const column in row) if (typeof row[column] === 'number') return true;
  return false;
}

export function connected(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.connect((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
