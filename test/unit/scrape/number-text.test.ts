import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mostNumberChars, numberText, writeNumber } from '../../../exporter/scrape/number-text.ts';
import { generator } from '../../support/random.ts';

const written = (value: number): string => {
  const to = Buffer.alloc(32, 'x');
  const end = writeNumber(value, to, 2);
  assert.equal(to.toString('latin1', 0, 2), 'xx');
  return to.toString('latin1', 2, end);
};

test('bytes are those of String, whole, with a few decimals or with all of them', () => {
  const random = generator(1);
  const values = [
    0,
    -0,
    -1,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    1e21,
    5e-324,
    Number.MAX_VALUE,
    -1e-7,
  ];
  for (let power = 1; power < 1e16; power *= 10) values.push(power - 1, power, power + 1, 2 * power);
  for (let i = 0; i < 4000; i++) {
    const whole = Math.floor(random() * 2 ** Math.ceil(random() * 53));
    const near = whole / 10 ** Math.ceil(random() * 6);
    // What stands beside it, too: it has all decimals, and may be as near as to be taken for it
    values.push(
      whole,
      near,
      near * (1 + Number.EPSILON),
      near * (1 - Number.EPSILON),
      random(),
      -near,
      near * 1.37 + 1e6,
    );
  }
  for (const value of values) assert.equal(written(value), String(value));
});

test('infinities as the formats write them', () => {
  assert.deepEqual([Infinity, -Infinity, -0.5, 1e21].map(numberText), ['+Inf', '-Inf', '-0.5', '1e+21']);
  assert.deepEqual([Infinity, -Infinity].map(written), ['+Inf', '-Inf']);
});

test('no number takes more room than is made for it', () => {
  const longest = [-1.2345678901234567e-6, -Number.MAX_VALUE, -2.2250738585072014e-308, -123456789012345680000];
  assert.equal(Math.max(...longest.map((value) => written(value).length)), mostNumberChars);
});
