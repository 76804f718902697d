// One chunk of a table: its rows on both sides, as sums and one by one.
import { TargetError } from '../../runtime/errors.ts';
import type { MysqlClient, Row } from '../mysql/client.ts';
import { mysqlErrno } from '../mysql/facts-errors.ts';
import type { Throttle } from './background-throttle.ts';
import { judgeRows, type Look, type RowVerdict } from './facts-rows.ts';
import { boundStatement, rowsStatement, sumStatement, type Range } from './facts-statements.ts';
import type { Both, Key, TablePlan } from './facts-table.ts';

/** More rows came into the chunk than memory is kept for. */
export class ChunkTooLarge extends Error {}

export interface Chunks {
  readonly plan: TablePlan;
  readonly clients: Both<MysqlClient>;
  readonly throttle: Throttle;
  readonly settleMs: number;
}

/** MariaDB's and MySQL's own limit of a statement's time, and a statement that somebody has killed. */
const tooLong = new Set([1317, 1969, 3024]);

/** A smaller chunk may do, on the same connection. */
export function wantsSmaller(error: unknown): boolean {
  return error instanceof ChunkTooLarge || tooLong.has(mysqlErrno(error) ?? 0);
}

/** The end of the next chunk: as many rows of the source, and no more than twice as many of the copy. */
export async function nextUpper(of: Chunks, lower: Key | undefined, rows: number): Promise<Key | undefined> {
  const { plan, clients, throttle } = of;
  const ask = async (side: 'source' | 'copy', range: Range, offset: number): Promise<Key | undefined> => {
    const found = await clients[side].query(boundStatement(plan, plan[side], range, offset), [], throttle.call());
    const [row] = found;
    return row === undefined ? undefined : keyIn(row, plan);
  };
  const upper = await ask('source', { lower }, rows - 1);
  return (await ask('copy', { lower, upper }, 2 * rows - 1)) ?? upper;
}

export interface Sum {
  readonly rows: number;
  readonly isSame: boolean;
}

export async function compareSums(of: Chunks, range: Range): Promise<Sum> {
  const { plan, clients, throttle } = of;
  const sum = async (side: 'source' | 'copy'): Promise<{ readonly rows: number; readonly text: string }> => {
    const [row] = await clients[side].query(sumStatement(plan, plan[side], range), [], throttle.call());
    const rows = Number(row?.['n']);
    if (row === undefined || !Number.isFinite(rows)) {
      throw new TargetError('protocol', `mysql ${clients[side].at}: gave no sum`);
    }
    return { rows, text: `${String(rows)} ${cellText(row['a'])} ${cellText(row['b'])}` };
  };
  const [source, copy] = await both(sum('source'), sum('copy'));
  return { rows: source.rows, isSame: source.text === copy.text };
}

/** Not Promise.all: the other statement must have ended before anything else is asked. */
async function both<T>(a: Promise<T>, b: Promise<T>): Promise<readonly [T, T]> {
  const [first, second] = await Promise.allSettled([a, b]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return [first.value, second.value];
}

export interface Judged {
  readonly key: Key;
  readonly verdict: RowVerdict;
}

/** Which rows differ: two looks, with what was on its way at the first having arrived at the second. */
export async function judgeChunk(of: Chunks, range: Range, limit: number): Promise<readonly Judged[]> {
  const first = await look(of, range, limit);
  await of.throttle.settle(3 * of.settleMs);
  const second = await look(of, range, limit);
  return [...judgeRows(first, second)].map(([id, verdict]) => ({ key: JSON.parse(id) as Key, verdict }));
}

/** The source first: what is not on the copy then was there before. */
async function look(of: Chunks, range: Range, limit: number): Promise<Look> {
  const { plan, clients, throttle } = of;
  const rows = async (side: 'source' | 'copy'): Promise<ReadonlyMap<string, string>> => {
    const found = await clients[side].query(rowsStatement(plan, plan[side], range, limit + 1), [], throttle.call());
    if (found.length > limit) throw new ChunkTooLarge(`more than ${String(limit)} rows in one chunk`);
    return new Map(found.map((row) => [JSON.stringify(keyIn(row, plan)), cellText(row['h'])]));
  };
  const source = await rows('source');
  return { source, copy: await rows('copy') };
}

function keyIn(row: Row, { key }: TablePlan): Key {
  return key.map((_column, i) => cellText(row[`k${String(i)}`]));
}

function cellText(cell: unknown): string {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number' || typeof cell === 'bigint') return String(cell);
  return Buffer.isBuffer(cell) ? cell.toString('latin1') : '';
}
