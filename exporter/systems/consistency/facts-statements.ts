// The statements that compare one chunk of a table. Pure.
import { TargetError } from '../../runtime/errors.ts';
import { quoted, type Key, type KeyColumn, type KeyKind, type Side, type TablePlan } from './facts-table.ts';

/** From `lower` (not itself) to `upper` (itself too); from the first, to the last, where they are left out. */
export interface Range {
  readonly lower?: Key | undefined;
  readonly upper?: Key | undefined;
}

export function boundStatement({ key }: TablePlan, { from }: Side, range: Range, offset: number): string {
  return `SELECT ${selectedKey(key)} FROM ${from}${where(key, range)} ORDER BY ${order(key)} LIMIT 1 OFFSET ${String(offset)}`;
}

/** The inner limit keeps the server from computing each hash twice. */
export function sumStatement({ key }: TablePlan, { from, row }: Side, range: Range): string {
  const half = (at: number): string => `BIT_XOR(CAST(CONV(SUBSTRING(h, ${String(at)}, 16), 16, 10) AS UNSIGNED))`;
  const hashes = `SELECT SHA2(${row}, 256) AS h FROM ${from}${where(key, range)} LIMIT 1000000000`;
  return `SELECT COUNT(*) AS n, CAST(${half(1)} AS CHAR) AS a, CAST(${half(17)} AS CHAR) AS b FROM (${hashes}) AS hashes`;
}

export function rowsStatement({ key }: TablePlan, { from, row }: Side, range: Range, limit: number): string {
  const what = `${selectedKey(key)}, SHA2(${row}, 256) AS h`;
  return `SELECT ${what} FROM ${from}${where(key, range)} ORDER BY ${order(key)} LIMIT ${String(limit)}`;
}

function order(key: readonly KeyColumn[]): string {
  return key.map(({ name }) => `t.${quoted(name)}`).join(', ');
}

function selectedKey(key: readonly KeyColumn[]): string {
  return key
    .map(({ name, kind }, i) => {
      const column = `t.${quoted(name)}`;
      const text = {
        number: `CAST(${column} + 0 AS CHAR)`,
        text: `HEX(CONVERT(${column} USING utf8mb4))`,
        binary: `HEX(${column})`,
        quoted: `CAST(${column} AS CHAR)`,
      }[kind];
      return `${text} AS k${String(i)}`;
    })
    .join(', ');
}

function where(key: readonly KeyColumn[], { lower, upper }: Range): string {
  const parts = [
    ...(lower === undefined ? [] : [beyond(key, lower, '>', '>')]),
    ...(upper === undefined ? [] : [beyond(key, upper, '<', '<=')]),
  ];
  return parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`;
}

/** Not as a row comparison, for which MySQL does not use an index; the first column stands in front for it. */
function beyond(key: readonly KeyColumn[], values: Key, strict: string, last: string): string {
  const [column, ...rest] = key;
  const [value = '', ...others] = values;
  if (column === undefined) throw new Error('a key without columns');
  const name = `t.${quoted(column.name)}`;
  const literal = literalOf(column, value);
  if (rest.length === 0) return `${name} ${last} ${literal}`;
  const deeper = beyond(rest, others, strict, last);
  return `${name} ${strict}= ${literal} AND (${name} ${strict} ${literal} OR (${name} = ${literal} AND ${deeper}))`;
}

const shapesOfText: Readonly<Record<KeyKind, RegExp>> = {
  number: /^-?\d+(\.\d+)?$/,
  text: /^([0-9A-F]{2})*$/,
  binary: /^([0-9A-F]{2})*$/,
  quoted: /^[0-9A-Za-z:. -]*$/,
};

/** Nothing else than what such a key looks like gets into a statement. */
function literalOf({ kind, name }: KeyColumn, value: string): string {
  if (!shapesOfText[kind].test(value)) throw new TargetError('unsupported', `the key ${name} holds what is no ${kind}`);
  if (kind === 'number') return value;
  if (kind === 'quoted') return `'${value}'`;
  return kind === 'text' ? `_utf8mb4 x'${value}'` : `x'${value}'`;
}

/** For people: `{"id":"12"}`; bytes that are no text are hexadecimal. */
export function keyText(key: TablePlan['key'], values: Key): Readonly<Record<string, string>> {
  return Object.fromEntries(
    key.map(({ name, kind }, i) => {
      const value = values[i] ?? '';
      return [
        name,
        kind === 'text' ? Buffer.from(value, 'hex').toString('utf8') : kind === 'binary' ? `0x${value}` : value,
      ];
    }),
  );
}
