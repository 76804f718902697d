// What one INFO reply says of a server beyond replication: https://redis.io/docs/latest/commands/info/
import { TargetError } from '../../runtime/errors.ts';
import { infoDivisors, isInfoField, type InfoField } from './facts-info-fields.ts';
import { readOnce } from './facts-shared.ts';

export interface RedisInfo {
  /** standalone, cluster or sentinel. */
  readonly mode: string;
  /** Every field, as written, but for those of the sections that are lists. */
  readonly fields: ReadonlyMap<string, string>;
  /** In the units in which they are served. */
  readonly values: ReadonlyMap<InfoField, number>;
  readonly commands: readonly CommandStats[];
  /** By the first word of the error. */
  readonly errors: ReadonlyMap<string, number>;
  /** By name (`db0`); those that are empty are not there. Undefined when INFO has no such section. */
  readonly keyspace: ReadonlyMap<string, KeyspaceStats> | undefined;
  /** Of the section of a Sentinel: `master0` and so on. */
  readonly sentinel: ReadonlyMap<string, string> | undefined;
}

/** Since the start or the last CONFIG RESETSTAT. Servers before 6.2 do not count what was rejected and what failed. */
export interface CommandStats {
  /** In lower case; that of a subcommand is `config|get`. */
  readonly command: string;
  readonly calls: number;
  readonly usec: number;
  readonly rejected: number | undefined;
  readonly failed: number | undefined;
  readonly slow: { readonly count: number; readonly sumMs: number; readonly maxMs: number } | undefined;
  /** Microseconds by percentile ("99.9"), of all calls; servers before 7.0 and those that do not track it have none. */
  readonly percentiles: ReadonlyMap<string, number>;
}

export interface KeyspaceStats {
  readonly keys: number;
  readonly expiring: number;
  readonly averageTtlSeconds: number | undefined;
  /** KeyDB. */
  readonly cached: number | undefined;
  /** Keys of which a part expires: `subexpiry` of Redis 7.4, `keys_with_volatile_items` of Valkey 9. */
  readonly withExpiringItems: number | undefined;
}

type Section = ReadonlyMap<string, string>;

/** Lists of objects, not fields of the server; Valkey repeats CLUSTER INFO in the last one. */
const lists = ['commandstats', 'errorstats', 'latencystats', 'keyspace', 'modules', 'sentinel', 'cluster info'];

/** @throws TargetError `protocol` when it is not what INFO says */
export const redisInfoOf = readOnce((text: string): RedisInfo => {
  const sections = sectionsOf(text);
  const fields = new Map<string, string>();
  for (const [name, section] of sections) {
    if (!lists.includes(name)) for (const [field, value] of section) fields.set(field, value);
  }
  const values = new Map<InfoField, number>();
  for (const [field, written] of fields) {
    if (!isInfoField(field)) continue;
    const value = infoNumber(written);
    if (value !== undefined) values.set(field, value / (infoDivisors[field] ?? 1));
  }
  // Hosted servers leave out much, but not everything
  if (values.size === 0)
    throw new TargetError('protocol', 'INFO has none of the fields that it should: is this Redis?');
  return {
    mode: fields.get('redis_mode') ?? fields.get('server_mode') ?? '',
    fields,
    values,
    commands: commandsOf(sections.get('commandstats'), sections.get('latencystats')),
    errors: errorsOf(sections.get('errorstats')),
    keyspace: keyspaceOf(sections.get('keyspace')),
    sentinel: sections.get('sentinel'),
  };
});

/** `# Section` headings, then `field:value`, CRLF. Headings are taken in lower case. */
function sectionsOf(text: string): ReadonlyMap<string, Section> {
  const sections = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('# ')) {
      const name = line.slice(2).trim().toLowerCase();
      section = sections.get(name) ?? new Map<string, string>();
      sections.set(name, section);
      continue;
    }
    const at = line.indexOf(':');
    if (at > 0) section.set(line.slice(0, at), line.slice(at + 1));
  }
  return sections;
}

/** The words that stand for numbers are those of redis_exporter (metrics.go). Anything else is no number. */
export function infoNumber(text: string): number | undefined {
  if (text === 'ok' || text === 'true') return 1;
  if (text === 'err' || text === 'fail' || text === 'false') return 0;
  return /^[-+]?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** `a=1,b=2` */
export function partsOf(text: string): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    if (at > 0) parts.set(part.slice(0, at), part.slice(at + 1));
  }
  return parts;
}

/** `cmdstat_get:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0` */
function commandsOf(stats: Section | undefined, latencies: Section | undefined): CommandStats[] {
  const found: CommandStats[] = [];
  for (const [field, text] of stats ?? []) {
    if (!field.startsWith('cmdstat_')) continue;
    const command = field.slice('cmdstat_'.length);
    const parts = partsOf(text);
    const number = (name: string): number | undefined => infoNumber(parts.get(name) ?? '');
    const [calls, usec] = [number('calls'), number('usec')];
    if (calls === undefined || usec === undefined) continue;
    const [count, sumMs, maxMs] = [
      number('slowlog_count'),
      number('slowlog_time_ms_sum'),
      number('slowlog_time_ms_max'),
    ];
    found.push({
      command,
      calls,
      usec,
      rejected: number('rejected_calls'),
      failed: number('failed_calls'),
      slow: count === undefined || sumMs === undefined || maxMs === undefined ? undefined : { count, sumMs, maxMs },
      percentiles: percentilesOf(latencies?.get(`latency_percentiles_usec_${command}`) ?? ''),
    });
  }
  return found;
}

/** `p50=1.003,p99=2.007,p99.9=2.007` */
function percentilesOf(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [name, written] of partsOf(text)) {
    const [percentile, value] = [infoNumber(name.slice(1)), infoNumber(written)];
    if (percentile !== undefined && value !== undefined) found.set(String(percentile), value);
  }
  return found;
}

/** `errorstat_WRONGTYPE:count=4` */
function errorsOf(section: Section | undefined): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [field, text] of section ?? []) {
    const count = infoNumber(partsOf(text).get('count') ?? '');
    if (field.startsWith('errorstat_') && count !== undefined) found.set(field.slice('errorstat_'.length), count);
  }
  return found;
}

/** `db0:keys=3,expires=0,avg_ttl=0,subexpiry=0` */
function keyspaceOf(section: Section | undefined): ReadonlyMap<string, KeyspaceStats> | undefined {
  if (section === undefined) return undefined;
  const found = new Map<string, KeyspaceStats>();
  for (const [field, text] of section) {
    if (!/^db\d+$/.test(field)) continue;
    const parts = partsOf(text);
    const number = (name: string): number | undefined => infoNumber(parts.get(name) ?? '');
    const [keys, expiring, ttlMs] = [number('keys'), number('expires'), number('avg_ttl')];
    if (keys === undefined || expiring === undefined) continue;
    found.set(field, {
      keys,
      expiring,
      averageTtlSeconds: ttlMs === undefined ? undefined : ttlMs / 1000,
      cached: number('cached_keys'),
      withExpiringItems: number('subexpiry') ?? number('keys_with_volatile_items'),
    });
  }
  return found;
}

/** Those with the highest counts, when there are more than `max`. */
export function mostCounted<T>(all: readonly T[], countOf: (of: T) => number, max: number): readonly T[] {
  return all.length <= max ? all : all.toSorted((a, b) => countOf(b) - countOf(a)).slice(0, max);
}
