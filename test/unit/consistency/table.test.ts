// What of a table can be compared, and by which statements.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  boundStatement,
  keyText,
  rowsStatement,
  sumStatement,
} from '../../../exporter/systems/consistency/facts-statements.ts';
import {
  placesOf,
  planOf,
  type ColumnShape,
  type TablePlan,
  type TableShape,
} from '../../../exporter/systems/consistency/facts-table.ts';

function column(name: string, columnType: string, more: Partial<ColumnShape> = {}): ColumnShape {
  const dataType = /^[a-z0-9]+/.exec(columnType)?.[0] ?? '';
  const isText = /char|text|enum|set/.test(dataType);
  const charset = isText ? { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' } : undefined;
  return {
    name,
    dataType,
    columnType,
    charset: undefined,
    collation: undefined,
    isGenerated: false,
    ...charset,
    ...more,
  };
}

function shape(columns: readonly ColumnShape[], ...key: readonly string[]): TableShape {
  return { columns, keys: key.length === 0 ? [] : [{ name: 'PRIMARY', columns: key }], rowsGuess: undefined };
}

const places = placesOf('shop.o`rders', { map: new Map([['shop', 'shop2']]) });

function planned(source: TableShape, copy = source, sameFlavour = true): TablePlan {
  const plan = planOf(places, { source, copy }, sameFlavour);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

test('one key: plain comparisons, names quoted, each side its own table', () => {
  const plan = planned(shape([column('id', 'bigint(20) unsigned'), column('n', 'int')], 'id'));
  const range = { lower: ['10'], upper: ['20'] };
  assert.equal(
    boundStatement(plan, plan.copy, { lower: ['10'] }, 999),
    'SELECT CAST(t.`id` + 0 AS CHAR) AS k0 FROM `shop2`.`o``rders` AS t FORCE INDEX (`PRIMARY`) WHERE t.`id` > 10 ORDER BY t.`id` LIMIT 1 OFFSET 999',
  );
  assert.match(
    sumStatement(plan, plan.source, range),
    /FROM `shop`\.`o``rders` AS t .* WHERE t\.`id` > 10 AND t\.`id` <= 20 LIMIT/,
  );
  assert.match(
    rowsStatement(plan, plan.source, {}, 5),
    /SHA2\(CONCAT_WS\('#', t\.`id` \+ 0, t\.`n` \+ 0, CONCAT\(ISNULL\(t\.`id`\), ISNULL\(t\.`n`\)\)\), 256\) AS h FROM [^W]* ORDER BY t\.`id` LIMIT 5$/,
  );
});

test('a key of several columns: the first stands in front, for the index', () => {
  const plan = planned(shape([column('a', 'int'), column('b', 'varchar(9)'), column('c', 'binary(2)')], 'a', 'b', 'c'));
  const statement = sumStatement(plan, plan.source, { lower: ['1', '4142', 'FF00'] });
  assert.ok(
    statement.includes(
      "WHERE t.`a` >= 1 AND (t.`a` > 1 OR (t.`a` = 1 AND t.`b` >= _utf8mb4 x'4142' AND (t.`b` > _utf8mb4 x'4142' OR (t.`b` = _utf8mb4 x'4142' AND t.`c` > x'FF00'))))",
    ),
    statement,
  );
  assert.deepEqual(keyText(plan.key, ['1', '4142', 'FF00']), { a: '1', b: 'AB', c: '0xFF00' });
});

test('nothing gets into a statement that is not what such a key looks like', () => {
  const plan = planned(shape([column('a', 'int'), column('at', 'datetime(3)')], 'a', 'at'));
  const bad = [
    ['1 OR 1=1', '2026-01-01'],
    ['1', "2026' OR ''='"],
    ['', '2026-01-01'],
  ];
  for (const lower of bad) assert.throws(() => sumStatement(plan, plan.source, { lower }), /holds what is no/);
});

test('without a key that can be relied on, it says why', () => {
  const why = (source: TableShape, copy = source): unknown => planOf(places, { source, copy }, true);
  const id = column('id', 'int');
  assert.equal(why(shape([id])), 'no primary key, nor a unique one without NULL');
  assert.equal(why(shape([id], 'id'), shape([id])), 'the copy has no such key');
  assert.equal(why(shape([column('id', 'double')], 'id')), 'a key of type double (id)');
  assert.equal(why(shape([column('id', "enum('a')")], 'id')), 'a key of type enum (id)');
  assert.equal(
    why(
      shape([column('id', 'varchar(3)')], 'id'),
      shape([column('id', 'varchar(3)', { collation: 'utf8mb4_bin' })], 'id'),
    ),
    'the key id is sorted by utf8mb4_general_ci here and by utf8mb4_bin there',
  );
  // Two spellings of one collation
  const utf8 = (name: string): TableShape =>
    shape([column('id', 'varchar(3)', { charset: 'utf8mb3', collation: name })], 'id');
  assert.equal(typeof why(utf8('utf8_bin'), utf8('utf8mb3_bin')), 'object');
});

test('columns that cannot be compared are named, generated ones are not missed', () => {
  const source = shape(
    [
      column('id', 'int'),
      column('f', 'double'),
      column('d', 'decimal(10,2)'),
      column('v', 'vector(3)'),
      column('only', 'int'),
      column('g', 'int', { isGenerated: true }),
    ],
    'id',
  );
  const copy = shape(
    [
      column('id', 'bigint'),
      column('f', 'double'),
      column('d', 'decimal(10,3)'),
      column('v', 'vector(3)'),
      column('g', 'int', { isGenerated: true }),
      column('there', 'int'),
    ],
    'id',
  );
  assert.deepEqual(planned(source, copy, false).skipped, [
    { column: 'f', why: 'double is written otherwise by MySQL than by MariaDB' },
    { column: 'd', why: 'it is decimal(10,2) on the source and decimal(10,3) on the copy' },
    { column: 'v', why: 'columns of type vector are not compared' },
    { column: 'only', why: 'the copy has no such column' },
    { column: 'there', why: 'the source has no such column' },
  ]);
  assert.ok(!planned(source, copy, true).skipped.some((skipped) => skipped.column === 'f'));
});

test('texts are compared by what they say, whatever their character set', () => {
  const plan = planned(
    shape([column('id', 'int'), column('t', 'varchar(9)')], 'id'),
    shape([column('id', 'int'), column('t', 'varchar(9)', { charset: 'latin1', collation: 'latin1_bin' })], 'id'),
  );
  assert.ok(plan.source.row.includes('SHA2(t.`t`, 256)'));
  assert.ok(plan.copy.row.includes('SHA2(CONVERT(t.`t` USING utf8mb4), 256)'));
});
