// Arithmetic on MySQL's GTID sets, as text of gtid_executed, gtid_purged and Retrieved_Gtid_Set. Pure.
// https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html
import { TargetError } from '../../runtime/errors.ts';

/** Both ends belong to it. */
interface Interval {
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * By source: the UUID in lower case, and behind a colon the tag where there is one. `uuid:1` and `uuid:tag:1` are two
 * transactions. Intervals are sorted and neither overlap nor touch; no source is without one.
 */
export type GtidSet = ReadonlyMap<string, readonly Interval[]>;

export const emptyGtidSet: GtidSet = new Map();

/** A set of this length has half a million gaps: it is no GTID set that a server works with. */
const maxLength = 8 * 1024 * 1024;

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tagForm = /^[a-z_][a-z0-9_]{0,31}$/;
const intervalForm = /^\d{1,19}(-\d{1,19})?$/;

/**
 * Reads what a server prints: `uuid:1-5:7,\nuuid:1:tag:1-3`. A tag (MySQL 8.3) holds for the intervals behind it. White
 * space does not matter, nor do upper case, empty parts, and an interval that ends before it begins, which is empty.
 *
 * @throws TargetError `protocol` for anything else
 */
export function parseGtidSet(text: string): GtidSet {
  if (text.length > maxLength) throw new TargetError('protocol', `a GTID set of ${text.length} characters`);
  const found = new Map<string, Interval[]>();
  for (const part of text.replaceAll(/\s+/g, '').toLowerCase().split(',')) {
    if (part === '') continue;
    const [uuid = '', ...rest] = part.split(':');
    if (!uuidForm.test(uuid) || rest.length === 0) throw notASet(part);
    let intervals = intervalsOf(found, uuid);
    for (const element of rest) {
      if (intervalForm.test(element)) addInterval(intervals, element);
      else if (tagForm.test(element)) intervals = intervalsOf(found, `${uuid}:${element}`);
      else throw notASet(part);
    }
  }
  for (const [source, intervals] of found) {
    if (intervals.length === 0) found.delete(source);
    else found.set(source, merged(intervals));
  }
  return found;
}

function intervalsOf(found: Map<string, Interval[]>, source: string): Interval[] {
  const before = found.get(source);
  if (before !== undefined) return before;
  const intervals: Interval[] = [];
  found.set(source, intervals);
  return intervals;
}

function addInterval(intervals: Interval[], text: string): void {
  const dash = text.indexOf('-');
  const first = BigInt(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : BigInt(text.slice(dash + 1));
  if (first < 1n) throw notASet(text); // transactions are counted from 1
  if (last >= first) intervals.push({ first, last });
}

function notASet(text: string): TargetError {
  return new TargetError('protocol', `not a GTID set: ${text.slice(0, 80)}`);
}

/** Sorted, and joined where they overlap or touch. */
function merged(intervals: readonly Interval[]): Interval[] {
  const sorted = [...intervals].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Interval[] = [];
  for (const next of sorted) {
    const before = result.at(-1);
    if (before === undefined || next.first > before.last + 1n) result.push(next);
    else if (next.last > before.last) result[result.length - 1] = { first: before.first, last: next.last };
  }
  return result;
}

/** What is in `a` and not in `b`. */
export function subtractGtids(a: GtidSet, b: GtidSet): GtidSet {
  const result = new Map<string, readonly Interval[]>();
  for (const [source, intervals] of a) {
    const taken = b.get(source);
    const left = taken === undefined ? intervals : subtractIntervals(intervals, taken);
    if (left.length > 0) result.set(source, left);
  }
  return result;
}

/** Both sorted: one pass over the two. */
function subtractIntervals(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const result: Interval[] = [];
  let i = 0;
  for (const { first, last } of a) {
    let from = first;
    for (let taken = b[i]; taken !== undefined && taken.first <= last; taken = b[i]) {
      if (taken.first > from) result.push({ first: from, last: taken.first - 1n });
      if (taken.last >= from) from = taken.last + 1n;
      if (taken.last > last) break; // it may reach into the next one of `a`
      i += 1;
    }
    if (from <= last) result.push({ first: from, last });
  }
  return result;
}

export function uniteGtids(sets: readonly GtidSet[]): GtidSet {
  const all = new Map<string, Interval[]>();
  for (const set of sets) {
    for (const [source, intervals] of set) {
      const into = intervalsOf(all, source);
      for (const interval of intervals) into.push(interval);
    }
  }
  return new Map([...all].map(([source, intervals]) => [source, merged(intervals)]));
}

/** Is there a transaction that is in both? */
export function gtidsMeet(a: GtidSet, b: GtidSet): boolean {
  return countGtids(subtractGtids(a, b)) < countGtids(a);
}

/** Is all of `a` in `b`? */
export function gtidsWithin(a: GtidSet, b: GtidSet): boolean {
  return subtractGtids(a, b).size === 0;
}

/** Transactions in the set; beyond 2^53 to the nearest number there is. */
export function countGtids(set: GtidSet): number {
  let sum = 0n;
  for (const intervals of set.values()) for (const { first, last } of intervals) sum += last - first + 1n;
  return Number(sum);
}

/** As a server prints it, on one line: sources in order, a tag once, the intervals without a tag first. */
export function formatGtidSet(set: GtidSet): string {
  const byUuid = new Map<string, string[]>();
  for (const source of [...set.keys()].sort()) {
    const [uuid = '', tag] = source.split(':');
    const texts = (set.get(source) ?? []).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
    byUuid.set(uuid, [...(byUuid.get(uuid) ?? []), ...(tag === undefined ? [] : [tag]), ...texts]);
  }
  return [...byUuid].map(([uuid, elements]) => [uuid, ...elements].join(':')).join(',');
}
