// The copy of Maxwell's own state, as SQL that puts it back. Pure.
import type { Json } from '../../model.ts';

type PlainRow = Readonly<Record<string, Json>>;

export interface SnapshotInput {
  readonly target: string;
  readonly schema: string;
  readonly clientId: string;
  readonly takenAt: string;
  readonly rows: {
    readonly positions: readonly PlainRow[];
    readonly heartbeats: readonly PlainRow[];
    readonly bootstrap: readonly PlainRow[];
    readonly schemaId: string | null;
  };
  /** For people: everything else that was captured. */
  readonly also: Json;
}

export function snapshotText(s: SnapshotInput): string {
  const also = JSON.stringify(s.also, undefined, 2)
    .split('\n')
    .map((line) => `--   ${line}`);
  const put = (table: 'positions' | 'heartbeats' | 'bootstrap'): string[] =>
    s.rows[table].map((row) => replaceRow(s.schema, table, row));
  return [
    `-- State of Maxwell ${s.target} (client ${s.clientId}, schema ${s.schema}), taken at ${s.takenAt}`,
    `-- before a restart. schemas: MAX(id) = ${s.rows.schemaId ?? 'none'}.`,
    ...also,
    '-- To put it back: only with Maxwell stopped (it overwrites its row every second), on the server of its schema.',
    'START TRANSACTION;',
    ...put('positions'),
    ...put('heartbeats'),
    ...put('bootstrap'),
    'COMMIT;',
    '',
  ].join('\n');
}

function replaceRow(schema: string, table: string, row: PlainRow): string {
  const columns = Object.keys(row).map((name) => `\`${name.replaceAll('`', '``')}\``);
  return `REPLACE INTO \`${schema}\`.\`${table}\` (${columns.join(', ')}) VALUES (${Object.values(row).map(literal).join(', ')});`;
}

/** An SQL literal, whatever the sql_mode: text with a backslash is written in hexadecimal. */
export function literal(value: Json): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // NO_BACKSLASH_ESCAPES decides what a backslash means; line ends must not break a statement over lines
  if (/[\\\r\n\0]/.test(text)) return `CONVERT(X'${Buffer.from(text, 'utf8').toString('hex')}' USING utf8mb4)`;
  return `'${text.replaceAll("'", "''")}'`;
}
