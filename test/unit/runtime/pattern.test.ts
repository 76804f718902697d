import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patternOf } from '../../../exporter/runtime/pattern.ts';

test('a pattern matches the whole of a text, line breaks among it, and keeps what was written', () => {
  const matches = (source: string, text: string): boolean => patternOf(source).matches(text);
  assert.equal(patternOf('a.*').source, 'a.*');
  assert.ok(matches('a|ab', 'ab'), 'the longer side of an alternative');
  assert.ok(matches('a|b', 'b') && !matches('a|b', 'ab') && !matches('b', 'ab') && !matches('a', 'ab'));
  assert.ok(matches('a.b', 'a\nb'));
  assert.ok(matches('^a$', 'a') && !matches('^a$', 'a\nb') && !matches('a$', 'a\n'));
  assert.ok(matches('größe-.', 'größe-😀'), 'characters, not halves of them');
});

test('what RE2 has and JavaScript has not: flags within, classes, quoting', () => {
  assert.ok(patternOf('(?i)ORDERS-[[:digit:]]+').matches('orders-12'));
  assert.ok(patternOf(String.raw`\Qa.b\E\pL`).matches('a.bé'));
  assert.ok(!patternOf(String.raw`\Qa.b\E`).matches('axb'));
  assert.ok(patternOf(String.raw`(?P<name>a)\z`).matches('a'));
});

test('a pattern that is none says why', () => {
  const lookaround = 'RE2 has no lookaround and no backreferences';
  for (const [source, why] of [
    ['(', 'missing closing ): `(`'],
    ['a)|(b', 'unexpected ): `a)|(b`'],
    ['[', 'missing closing ]: `[`'],
    ['x**', 'invalid nested repetition operator: `**`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['(?!__).*', `invalid or unsupported Perl syntax: \`(?!\`; ${lookaround}`],
    [String.raw`(a)\1`, `invalid escape sequence: \`\\1\`; ${lookaround}`],
  ] as const) {
    assert.throws(() => patternOf(source), { message: why }, source);
  }
});

test('no text makes a pattern go back over itself without an end', () => {
  // In JavaScript each of these needs more steps than there are atoms.
  const text = `${'a'.repeat(5000)}!`;
  for (const source of ['(a+)+', '(a|a)*b', '(a*)*b', '([a-z]+)*-x', '(.*)*(.*)*(.*)*x']) {
    assert.equal(patternOf(source).matches(text), false, source);
  }
});
