// Which rows differ, told from two looks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeRows, type Look } from '../../../exporter/systems/consistency/facts-rows.ts';

function look(source: Record<string, string>, copy: Record<string, string>): Look {
  return { source: new Map(Object.entries(source)), copy: new Map(Object.entries(copy)) };
}

test('a row counts when its source stayed the same and the copy disagreed at both looks', () => {
  const first = look({ gone: 'a', other: 'a', same: 'a' }, { other: 'b', same: 'a', more: 'a' });
  assert.deepEqual(
    judgeRows(first, first),
    new Map([
      ['gone', 'missing'],
      ['other', 'different'],
      ['more', 'extra'],
    ]),
  );
});

test('what arrives between the looks is no difference', () => {
  const before = look({ new: 'a', changed: 'b' }, { changed: 'a', removed: 'a' });
  const after = look({ new: 'a', changed: 'b' }, { new: 'a', changed: 'b' });
  assert.deepEqual(judgeRows(before, after), new Map());
});

test('a row that is written all the time is on its way, or undecided, never different', () => {
  const before = look({ follows: '2', strange: '2' }, { follows: '1', strange: '1' });
  const after = look({ follows: '4', strange: '4' }, { follows: '2', strange: '3' });
  assert.deepEqual(judgeRows(before, after), new Map([['strange', 'undecided']]));
});

test('a row that appears, or goes, at the source between the looks', () => {
  assert.deepEqual(judgeRows(look({}, {}), look({ new: 'a' }, {})), new Map());
  assert.deepEqual(
    judgeRows(look({ old: 'a' }, { old: 'b' }), look({}, { old: 'b' })),
    new Map([['old', 'undecided']]),
  );
});
