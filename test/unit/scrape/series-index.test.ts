import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeriesIndex } from '../../../exporter/scrape/series-index.ts';

/** Words one after another in one Buffer, and an index over those that are new. */
function indexOf(words: readonly string[]): { bytes: Buffer; index: SeriesIndex; added: boolean[] } {
  const bytes = Buffer.from(words.join(''));
  const index = new SeriesIndex();
  let at = 0;
  const added = words.map((word) => {
    const end = at + Buffer.byteLength(word);
    const is = index.add(bytes, at, end);
    at = end;
    return is;
  });
  return { bytes, index, added };
}

test('finds what is there, through all its growth', () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `group-${String(i)}`);
  const { index, added } = indexOf([...words, ...words]);
  assert.deepEqual(new Set(added.slice(0, 20_000)), new Set([true]));
  assert.deepEqual(new Set(added.slice(20_000)), new Set([false]));
  assert.equal(index.size, 20_000);
});

test('equal hashes of different words are told apart', () => {
  // pairs with the same 32-bit FNV-1a hash
  const { added } = indexOf(['costarring', 'liquid', 'declinate', 'macallums', 'liquid', 'costarring', '', '']);
  assert.deepEqual(added, [true, true, true, true, false, false, true, false]);
});

test('overlap of two indexes', () => {
  const one = indexOf(['costarring', 'b', 'c']);
  for (const [words, overlaps] of [
    [['x', 'c'], true],
    [['liquid', 'bc', 'ab'], false],
    [[], false],
  ] as const) {
    const other = indexOf(words);
    assert.equal(one.index.overlaps(one.bytes, other.index, other.bytes), overlaps);
    assert.equal(other.index.overlaps(other.bytes, one.index, one.bytes), overlaps);
  }
});
