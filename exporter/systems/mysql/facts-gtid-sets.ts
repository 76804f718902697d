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

/**
 * Characters of one set that are read. Seventy thousand gaps are as long; sets of servers that work have some hundred, and
 * what is compared in one turn of the event loop ends somewhere.
 */
export const gtidTextAtMost = 1024 * 1024;

/** @throws TargetError `protocol` where the text is longer than what is read; `where` says whose it is */
export function boundGtidText(text: string, where: string): string {
  if (text.length <= gtidTextAtMost) return text;
  throw new TargetError(
    'protocol',
    `${where}: a GTID set of ${text.length} characters; more than ${gtidTextAtMost} are not compared`,
  );
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const uuidLength = 36;
const tagForm = /^[a-z_][a-z0-9_]{0,31}$/;

/**
 * Reads what a server prints: `uuid:1-5:7,\nuuid:1:tag:1-3`. A tag (MySQL 8.3) holds for the intervals behind it. White
 * space does not matter, nor do upper case, empty parts, and an interval that ends before it begins, which is empty.
 *
 * @param where whose set it is, for the message
 * @throws TargetError `protocol` for anything else
 */
export function parseGtidSet(text: string, where = 'GTID set'): GtidSet {
  const plain = boundGtidText(text, where).replaceAll(/\s+/g, '').toLowerCase();
  const found = new Map<string, Interval[]>();
  for (let at = 0; at < plain.length;) {
    const comma = plain.indexOf(',', at);
    const end = comma < 0 ? plain.length : comma;
    if (end > at) readSource(found, plain, at, end);
    at = end + 1;
  }
  for (const [source, intervals] of found) {
    if (intervals.length === 0) found.delete(source);
    else found.set(source, merged(intervals));
  }
  return found;
}

/** One pass over `uuid:1-5:tag:7`, without a copy of its parts: of these a set has up to half a million. */
function readSource(found: Map<string, Interval[]>, text: string, from: number, end: number): void {
  const uuid = text.slice(from, Math.min(end, from + uuidLength));
  if (!uuidForm.test(uuid) || text[from + uuidLength] !== ':') throw notASet(text.slice(from, end));
  let intervals = intervalsOf(found, uuid);
  for (let at = from + uuidLength + 1; at <= end;) {
    const colon = text.indexOf(':', at);
    const to = colon < 0 || colon > end ? end : colon;
    if (!addInterval(intervals, text, at, to)) {
      const tag = text.slice(at, Math.min(to, at + 33));
      if (!tagForm.test(tag)) throw notASet(text.slice(from, end));
      intervals = intervalsOf(found, `${uuid}:${tag}`);
    }
    at = to + 1;
  }
}

function intervalsOf(found: Map<string, Interval[]>, source: string): Interval[] {
  const before = found.get(source);
  if (before !== undefined) return before;
  const intervals: Interval[] = [];
  found.set(source, intervals);
  return intervals;
}

const hyphen = '-'.charCodeAt(0);

/** @returns false where there is no interval from `at` to `to`: it may be a tag */
function addInterval(intervals: Interval[], text: string, at: number, to: number): boolean {
  let middle = at;
  while (middle < to && text.charCodeAt(middle) !== hyphen) middle += 1;
  const first = numberAt(text, at, middle);
  const last = middle === to ? first : numberAt(text, middle + 1, to);
  if (first === undefined || last === undefined) return false;
  if (first < 1n) throw notASet(text.slice(at, to)); // transactions are counted from 1
  if (last >= first) intervals.push({ first, last });
  return true;
}

/** The largest that a server has has 19 digits; up to 15 a plain number is exact, and made much faster. */
function numberAt(text: string, from: number, to: number): bigint | undefined {
  const digits = to - from;
  if (digits < 1 || digits > 19) return undefined;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return BigInt(digits <= 15 ? value : text.slice(from, to));
}

function notASet(text: string): TargetError {
  return new TargetError('protocol', `not a GTID set: ${text.slice(0, 80)}`);
}

/** Sorted, and joined where they overlap or touch. */
function merged(intervals: Interval[]): Interval[] {
  if (isMerged(intervals)) return intervals; // as servers print them
  const sorted = [...intervals].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const result: Interval[] = [];
  for (const next of sorted) {
    const before = result.at(-1);
    if (before === undefined || next.first > before.last + 1n) result.push(next);
    else if (next.last > before.last) result[result.length - 1] = { first: before.first, last: next.last };
  }
  return result;
}

function isMerged(intervals: readonly Interval[]): boolean {
  let before: Interval | undefined;
  for (const next of intervals) {
    if (before !== undefined && next.first <= before.last + 1n) return false;
    before = next;
  }
  return true;
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

/** Is there a transaction that is in both? It ends at the first one. */
export function gtidsMeet(a: GtidSet, b: GtidSet): boolean {
  for (const [source, intervals] of a) {
    const others = b.get(source);
    if (others !== undefined && intervalsMeet(intervals, others)) return true;
  }
  return false;
}

/** Both sorted: one pass over the two. */
function intervalsMeet(a: readonly Interval[], b: readonly Interval[]): boolean {
  let i = 0;
  for (const { first, last } of a) {
    let other = b[i];
    while (other !== undefined && other.last < first) other = b[++i];
    if (other === undefined) return false;
    if (other.first <= last) return true;
  }
  return false;
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
