import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWhole, numberText, writeWhole } from '../../../exporter/scrape/number-text.ts';
import { generator } from '../../support/random.ts';

const written = (value: number): string => {
  const to = Buffer.alloc(20, 'x');
  const end = writeWhole(value, to, 2);
  assert.equal(to.toString('latin1', 0, 2), 'xx');
  assert.match(to.toString('latin1', end), /^x*$/);
  return to.toString('latin1', 2, end);
};

test('digits are those of String', () => {
  const random = generator(1);
  const values = [0, -0, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
  for (let power = 1; power < 1e16; power *= 10) values.push(power - 1, power, power + 1, 2 * power);
  for (let i = 0; i < 20_000; i++) values.push(Math.floor(random() * 2 ** Math.ceil(random() * 53)));
  for (const value of values.filter(isWhole)) assert.equal(written(value), String(value));
});

test('what is whole, and what is not', () => {
  for (const value of [0, -0, 1, 2 ** 53 - 1]) assert.ok(isWhole(value), String(value));
  for (const value of [-1, 0.5, 1e-9, 2 ** 53, 1e21, Infinity, -Infinity, NaN])
    assert.ok(!isWhole(value), String(value));
  assert.ok(!isWhole(undefined as unknown as number) && !isWhole('1.5' as unknown as number));
});

test('infinities as the formats write them', () => {
  assert.deepEqual([Infinity, -Infinity, -0.5, 1e21].map(numberText), ['+Inf', '-Inf', '-0.5', '1e+21']);
});
