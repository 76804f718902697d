// Numbers in rows, where NULL is not zero and text is not a number. Pure.
import { TargetError } from '../../runtime/errors.ts';
import type { Row } from './client.ts';

/** A count or a time: whole or with a fraction, not negative. */
const plain = /^\d+(\.\d+)?$/;

/** Undefined for NULL, and for whatever is not such a number. */
export function numberIn(row: Row | undefined, column: string): number | undefined {
  const value = row?.[column];
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  return typeof value === 'string' && plain.test(value) ? Number(value) : undefined;
}

/** @throws TargetError `protocol` */
export function requireNumber(row: Row | undefined, column: string, at: string): number {
  const value = numberIn(row, column);
  if (value === undefined) throw new TargetError('protocol', `mysql ${at}: tells no ${column}`);
  return value;
}
