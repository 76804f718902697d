import assert from 'node:assert/strict';
import { test } from 'node:test';
import { globOf } from '../../../exporter/runtime/glob.ts';
import { generator } from '../../support/random.ts';

test('stars, question marks, and all else as it stands', () => {
  const cases: readonly (readonly [pattern: string, fits: readonly string[], fitsNot: readonly string[]])[] = [
    ['order:*', ['order:', 'order:1\n2'], ['xorder:1', 'order']],
    ['order:?', ['order:1', 'order:\n'], ['order:12', 'order:']],
    [
      'orders-?.(1)*.gz',
      ['orders-a.(1).gz', 'orders-a.(1)x.gz'],
      ['orders-.(1).gz', 'orders-ab.(1).gz', 'orders-a-(1).gz', 'orders-a.1.gz', 'orders-a.(1).gz.tmp'],
    ],
    ['a.b', ['a.b'], ['axb', 'a.bc', 'xa.b']],
    ['', [''], ['a']],
    ['*', ['', 'a', '\n'], []],
    ['**', ['', 'a'], []],
    ['a*a', ['aa', 'aba'], ['a', 'ab']],
    ['*ab?*ab*', ['abxab', 'xabcxabx'], ['abab', 'ab']],
    ['[a]$^\\', ['[a]$^\\'], ['a']],
  ];
  for (const [pattern, fits, fitsNot] of cases) {
    for (const name of fits) assert.ok(globOf(pattern)(name), `${pattern} fits ${JSON.stringify(name)}`);
    for (const name of fitsNot) assert.ok(!globOf(pattern)(name), `${pattern} does not fit ${JSON.stringify(name)}`);
  }
});

test('it agrees with the regular expression of the same meaning', () => {
  const random = generator(11);
  const any = (letters: string, most: number): string =>
    Array.from({ length: Math.floor(random() * most) }, () => letters[Math.floor(random() * letters.length)]).join('');
  let fitting = 0;
  for (let i = 0; i < 5000; i++) {
    const [pattern, name] = [any('ab*?', 7), any('ab', 8)];
    const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(name);
    assert.equal(globOf(pattern)(name), expected, `${pattern} ${name}`);
    if (expected) fitting += 1;
  }
  assert.ok(fitting > 500, `${fitting} fit`);
});

test('a long name that nearly fits is looked through once', () => {
  // A regular expression tries each place of each star: 10^21 steps.
  assert.equal(globOf('*a*a?*a*b')('a'.repeat(100_000)), false);
  assert.equal(globOf('*a*a?*a*')('a'.repeat(100_000)), true);
});
