// The fields of an INFO reply.
import { readOnce } from './facts-shared.ts';

/** By name, as written; a section is a field of its own, `# keyspace`. */
export type RedisFields = ReadonlyMap<string, string>;

/** https://redis.io/docs/latest/commands/info/: `field:value` lines under `# Section` headings, CRLF. */
export const parseInfo = readOnce((text: string): RedisFields => {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('# ')) {
      fields.set(line.trim().toLowerCase(), '');
      continue;
    }
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
});

export function textOf(fields: RedisFields, name: string): string | undefined {
  const value = fields.get(name);
  return value === '' ? undefined : value;
}

export function numberOf(fields: RedisFields, name: string): number | undefined {
  const value = fields.get(name);
  if (value === undefined || !/^-?\d+(\.\d+)?$/.test(value)) return undefined;
  return Number(value);
}

export function flagOf(fields: RedisFields, name: string): boolean {
  return fields.get(name) === '1';
}
