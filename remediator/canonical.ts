import { createHash } from 'node:crypto';
import type { Json } from './model.ts';

/** JSON with sorted keys: equal data, equal text. */
function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  return `{${Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`)
    .join(',')}}`;
}

export function hashOf(value: Json): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

/** Plain data as the journal will give it back. @throws TypeError for what JSON cannot hold */
export function asJson(value: unknown): Json {
  const text: unknown = JSON.stringify(value);
  if (typeof text !== 'string') throw new TypeError('not data that JSON can hold');
  return JSON.parse(text) as Json;
}
