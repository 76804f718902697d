import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { passedNames } from '../../../exporter/runtime/exposition-passed.ts';
import { readPage } from '../../../exporter/runtime/exposition-text.ts';

const passed = async (text: string): Promise<ReturnType<typeof passedNames>> =>
  passedNames(await readPage(text, systemClock), ({ name }) => !name.startsWith('no_'));

test('by name, with type and help', async () => {
  const { names, left } = await passed(
    '# TYPE a_total counter\n# HELP a_total A.\na_total{x="1"} 1\n# TYPE h histogram\nh_sum 2\nh_count 1\nno_b 1\na_total{x="2"} 2\n',
  );
  assert.deepEqual(
    names.map(({ name, type, help, samples }) => [name, type, help, samples.map((s) => s.value)]),
    [
      ['a_total', 'counter', 'A.', [1, 2]],
      ['h_sum', 'untyped', '', [2]],
      ['h_count', 'untyped', '', [1]],
    ],
  );
  assert.equal(left, 0);
});

test('reserved labels, and ever new ones, are left out and counted', async () => {
  const many = Array.from({ length: 100 }, (_, i) => `a{l${String(i)}="1"} 1\n`).join('');
  const { names, left } = await passed(`${many}a{__name__="b"} 1\nno_a{__x="1"} 1\n`);
  assert.equal(names[0]?.samples.length, 64);
  assert.equal(left, 37);
});
