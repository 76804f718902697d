import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  countGtids,
  emptyGtidSet,
  formatGtidSet,
  gtidsMeet,
  gtidsWithin,
  gtidTextAtMost,
  parseGtidSet,
  subtractGtids,
  type GtidSet,
} from '../../../exporter/systems/mysql/facts-gtid-sets.ts';
import { generator } from '../../support/random.ts';
import { anyGtidSet, gtidUuids } from './any-gtid-set.ts';

const [a, b] = gtidUuids;

const text = (set: GtidSet): string => formatGtidSet(set);
const minus = (x: string, y: string): string => text(subtractGtids(parseGtidSet(x), parseGtidSet(y)));

test('sets as servers print them: newlines, upper case, tags, several sources; intervals are sorted and joined', () => {
  assert.equal(text(parseGtidSet('')), '');
  assert.equal(text(parseGtidSet(' , ,\n')), '');
  assert.equal(text(parseGtidSet(`${a.toUpperCase()}:1-5:7,\n${b}:3`)), `${a}:1-5:7,${b}:3`);
  assert.equal(text(parseGtidSet(`${b}:9-12:1-3:4:6-5,${a}:2,${b}:5-8`)), `${a}:2,${b}:1-12`);
  assert.equal(text(parseGtidSet(`${a}:1-5:Backup:1-3:7:app_1:4`)), `${a}:1-5:app_1:4:backup:1-3:7`);
  assert.equal(text(parseGtidSet(`${a}:backup:1-3, ${a} : 4 - 5 : backup : 4`)), `${a}:4-5:backup:1-4`);
  assert.equal(text(parseGtidSet(`${a}:6-5`)), '');
});

test('what is no set is an error of its own class, not a number', () => {
  for (const wrong of [
    'nonsense',
    a,
    `${a}:`,
    `${a}:0-3`,
    `${a}:0`,
    `${a}:1-`,
    `${a}:-1`,
    `${a}:1..3`,
    `${a}:9tag:1`,
    `${a}:${'t'.repeat(33)}:1`,
    `${a}:1-2-3`,
    `${a}x:1`,
    `${a},:1`,
    `${a}:1:`,
    `${a}:1-2x`,
    `${a}:${'9'.repeat(40)}`,
    '0-1-100',
    `${a}:12345678901234567890`,
    'x'.repeat(9_000_000),
  ]) {
    assert.throws(() => parseGtidSet(wrong), { name: 'TargetError', code: 'protocol' }, wrong.slice(0, 60));
  }
});

test('difference and count: within a source, across sources, by tag', () => {
  assert.equal(minus(`${a}:1-10`, `${a}:1-10`), '');
  assert.equal(minus(`${a}:1-10`, ''), `${a}:1-10`);
  assert.equal(minus('', `${a}:1-10`), '');
  assert.equal(minus(`${a}:1-10`, `${b}:1-10`), `${a}:1-10`);
  assert.equal(minus(`${a}:1-10`, `${a}:3:5-6:10-20`), `${a}:1-2:4:7-9`);
  assert.equal(minus(`${a}:1-3:8-9:12`, `${a}:2-8`), `${a}:1:9:12`);
  assert.equal(minus(`${a}:1-3:5-7:9-11`, `${a}:2-10`), `${a}:1:11`);
  assert.equal(minus(`${a}:1-5:tag:1-5,${b}:1`, `${a}:1-5,${b}:1`), `${a}:tag:1-5`);
  assert.equal(minus(`${a}:1-5:tag:1-5`, `${a}:tag:2-5`), `${a}:1-5:tag:1`);
  assert.equal(countGtids(parseGtidSet(`${a}:1-5:7:tag:1-5,${b}:10`)), 12);
  assert.equal(countGtids(emptyGtidSet), 0);
});

test('numbers up to the largest that a server has, without rounding', () => {
  const largest = '9223372036854775806';
  assert.equal(
    minus(`${a}:1-${largest}`, `${a}:9007199254740993-9223372036854775805`),
    `${a}:1-9007199254740992:${largest}`,
  );
  assert.equal(countGtids(parseGtidSet(`${a}:1-9007199254740991`)), Number.MAX_SAFE_INTEGER);
});

/** The plainest model there is: every transaction by itself. */
function members(set: GtidSet): Set<string> {
  const found = new Set<string>();
  for (const [source, intervals] of set) {
    for (const { first, last } of intervals) for (let n = first; n <= last; n++) found.add(`${source}:${n}`);
  }
  return found;
}

test('the arithmetic agrees with sets of single transactions', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = generator(seed);
    const [x, y] = [parseGtidSet(anyGtidSet(random)), parseGtidSet(anyGtidSet(random))];
    const [mx, my] = [members(x), members(y)];
    assert.deepEqual(members(subtractGtids(x, y)), new Set([...mx].filter((m) => !my.has(m))), `seed ${seed}`);
    assert.deepEqual(members(parseGtidSet(`${text(x)},${text(y)}`)), new Set([...mx, ...my]), `seed ${seed}`);
    assert.equal(countGtids(x), mx.size, `seed ${seed}`);
    assert.equal(
      gtidsMeet(x, y),
      [...mx].some((m) => my.has(m)),
      `seed ${seed}`,
    );
    assert.equal(
      gtidsWithin(x, y),
      [...mx].every((m) => my.has(m)),
      `seed ${seed}`,
    );
    assert.equal(text(parseGtidSet(text(x))), text(x), `seed ${seed}`);
    const parts = [subtractGtids(x, y), subtractGtids(x, subtractGtids(x, y))].map(text);
    assert.equal(text(parseGtidSet(parts.join(','))), text(x));
  }
});

test('sets of more than 100 kB are read and compared within 50 ms', () => {
  const random = generator(7);
  const large = (): string => {
    const parts: string[] = [];
    for (let source = 0; source < 40; source++) {
      let at = 1_000_000;
      const intervals = Array.from({ length: 250 }, () => {
        at += 2 + Math.floor(random() * 50);
        const first = at;
        at += Math.floor(random() * 50);
        return `${first}-${at + 1}`;
      });
      parts.push(`${a.slice(0, -2)}${String(source).padStart(2, '0')}:${intervals.join(':')}`);
    }
    return parts.join(',\n');
  };
  const [x, y] = [large(), large()];
  assert.ok(x.length > 100_000 && y.length > 100_000, `${x.length}`);
  const tookMs = Math.min(
    ...Array.from({ length: 5 }, () => {
      const startedMs = performance.now();
      const left = subtractGtids(parseGtidSet(x), parseGtidSet(y));
      assert.ok(countGtids(left) > 0);
      return performance.now() - startedMs;
    }),
  );
  assert.ok(tookMs < 50, `${tookMs.toFixed(1)} ms`);
});

test('a set of more characters than are compared is an error that names both; one of as many is read', () => {
  const long = `${a}:1`.padEnd(gtidTextAtMost, ' ');
  assert.equal(text(parseGtidSet(long)), `${a}:1`);
  assert.throws(() => parseGtidSet(`${long} `, 'gtid_executed'), {
    name: 'TargetError',
    code: 'protocol',
    message: 'gtid_executed: a GTID set of 1048577 characters; more than 1048576 are not compared',
  });
});

type Interval = NonNullable<ReturnType<GtidSet['get']>>[number];

/** The same set, and how often one of its intervals was looked at. */
function counted(set: GtidSet): { readonly set: GtidSet; readonly looks: () => number } {
  let looks = 0;
  const watched = (intervals: readonly Interval[]): readonly Interval[] =>
    new Proxy(intervals, {
      get: (target, key, receiver) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
  return { set: new Map([...set].map(([source, intervals]) => [source, watched(intervals)])), looks: () => looks };
}

test('sets with many gaps are compared in one pass over the two', () => {
  const gaps = 20_000;
  const every = (first: number, step: number): GtidSet =>
    parseGtidSet(`${a}:${Array.from({ length: gaps }, (_, i) => first + i * step).join(':')}`);
  for (const [what, x, y] of [
    ['alternating', every(1, 4), every(3, 4)],
    ['one behind the other', every(1, 2), every(1 + 2 * gaps, 2)],
    ['the other way round', every(1 + 2 * gaps, 2), every(1, 2)],
    ['all of it in one', every(1, 2), parseGtidSet(`${a}:1-${4 * gaps}`)],
    ['the same', every(1, 2), every(1, 2)],
  ] as const) {
    for (const [step, apply] of [
      ['subtract', subtractGtids],
      ['meet', gtidsMeet],
    ] as const) {
      const [one, two] = [counted(x), counted(y)];
      apply(one.set, two.set);
      // Each interval of one once, and each of the other once when it is passed and once for each of the first.
      const looks = one.looks() + two.looks();
      assert.ok(looks <= 4 * gaps, `${what}: ${step} looked ${looks} times at ${2 * gaps} intervals`);
    }
  }
});
