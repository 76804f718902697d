import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePromql, selectorsOf } from '../../../exporter/promql.ts';
import { analyse, windowsMs } from '../../../rules/promql.ts';

const labels: Readonly<Record<string, readonly string[]>> = {
  a: ['target', 'instance', 'state'],
  b: ['target', 'instance', 'upstream'],
};
const labelsOf = (metric: string): ReadonlySet<string> => new Set(labels[metric] ?? []);

for (const [text, expected] of [
  ['a', 'instance state target'],
  ['-a + 1', 'instance state target'],
  ['max without (instance, state) (a)', 'target'],
  ['max by (target, missing) (a)', 'target'],
  ['sum(a)', ''],
  ['topk(1, a)', 'instance state target'],
  ['a or b', 'instance state target upstream'],
  ['a and on (target) b', 'instance state target'],
  ['a > 1 unless b', 'instance state target'],
  ['a * on (target) b', 'target'],
  ['a * on (target) group_left (upstream) b', 'instance state target upstream'],
  ['a * on (target) group_left () b', 'instance state target'],
  ['a * on (target) group_right () b', 'instance target upstream'],
  ['a * ignoring (state, upstream) b', 'instance target'],
  ['time() - a', 'instance state target'],
  ['rate(a[5m] offset 10m)', 'instance state target'],
  ['max_over_time(a[1h:5m])', 'instance state target'],
  ['label_replace(a, "upstream", "$1", "target", "(.+)")', 'instance state target upstream'],
  ['absent(a{target="x",state=~"y"})', 'target'],
  ['vector(1)', ''],
  ['(a - 1) / 2', 'instance state target'],
] as const) {
  test(`labels of ${text}`, () => {
    assert.equal([...analyse(parsePromql(text), labelsOf).labels].sort().join(' '), expected);
  });
}

test('selectors with their matchers and what is around them; windows', () => {
  const text = `sum by (t) (rate(a{x="1",y=~"a|\\\\.b"}[5m])) > on (t) b{z!="q"} and max_over_time(c[1h30m:1m]) > 1`;
  assert.deepEqual(
    selectorsOf(parsePromql(text)).map(({ metric, matchers, inside }) => ({
      metric,
      inside,
      matchers: matchers.map((m) => `${m.label}${m.op}${m.value}`),
    })),
    [
      { metric: 'a', inside: ['rate', 'sum'], matchers: ['x=1', 'y=~a|\\.b'] },
      { metric: 'b', inside: [], matchers: ['z!=q'] },
      { metric: 'c', inside: ['max_over_time'], matchers: [] },
    ],
  );
  assert.deepEqual(windowsMs(parsePromql(text)), [300_000, 5_400_000]);
});

test('groupings name what they are taken from', () => {
  const { groupings } = analyse(parsePromql('max by (state) (a) > on (upstream) b'), labelsOf);
  assert.deepEqual(
    groupings.map(({ kind, labels: names, operands }) => [kind, names, operands.length]),
    [
      ['by', ['state'], 1],
      ['on', ['upstream'], 2],
    ],
  );
});

test('a syntax error names the place', () => {
  assert.throws(() => parsePromql('sum(a'), /syntax error at character/);
  assert.throws(() => parsePromql('a >'), /syntax error/);
});
