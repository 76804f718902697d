// What of a table can be compared between two servers, and as which text. Pure.
//
// Only functions that MySQL 5.7 to 9 and MariaDB have alike: SHA2, CONV, BIT_XOR, CONCAT_WS, ISNULL, HEX, CONVERT USING.
// (MD5 and SHA1 left MySQL in 9.6; https://dev.mysql.com/doc/refman/9.6/en/encryption-functions.html)

/** A column as information_schema.COLUMNS has it. */
export interface ColumnShape {
  readonly name: string;
  /** Lower case: int, varchar, … */
  readonly dataType: string;
  /** With length and attributes: `decimal(10,2) unsigned zerofill` */
  readonly columnType: string;
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  readonly isGenerated: boolean;
}

/** A unique key without NULL and without prefixes. */
export interface UniqueKey {
  readonly name: string;
  readonly columns: readonly string[];
}

export interface TableShape {
  readonly columns: readonly ColumnShape[];
  /** The primary key first, then those of fewest columns. */
  readonly keys: readonly UniqueKey[];
  /** As the engine guesses it. */
  readonly rowsGuess: number | undefined;
}

export interface Place {
  readonly database: string;
  readonly table: string;
}

export type KeyKind = 'number' | 'text' | 'binary' | 'quoted';

export interface KeyColumn {
  readonly name: string;
  readonly kind: KeyKind;
}

/** One side of a comparison. */
export interface Side {
  readonly from: string;
  /** A text that is the same for the same row, whatever the server. */
  readonly row: string;
}

export interface TablePlan {
  readonly key: readonly KeyColumn[];
  readonly source: Side;
  readonly copy: Side;
  /** What is compared, to see whether a table was altered meanwhile. */
  readonly signature: string;
  readonly skipped: readonly { readonly column: string; readonly why: string }[];
}

/** One key, a text for each column: digits, hexadecimal or plain text, by the kind of the column. */
export type Key = readonly string[];

interface Form {
  /** Two columns of the same form give the same text for the same value. */
  readonly form: string;
  readonly text: (quoted: string) => string;
  readonly oneFlavour?: true;
}

const whole = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year', 'bit']);
const texts = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'enum', 'set']);
const blobs = new Set(['varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);
const spatial = /^(geometry|point|linestring|polygon|multi(point|linestring|polygon)|geom(etry)?collection)$/;
/** Whose bytes are those of utf8mb4. */
const utf8 = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii']);

export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function placeText({ database, table }: Place): string {
  return `${quoted(database)}.${quoted(table)}`;
}

/** Undefined: a type of which it is not known whether its text is the same everywhere. */
function formOf({ dataType, columnType, charset }: ColumnShape): Form | undefined {
  const plain = (q: string): string => q;
  const hashed = (q: string): string => `SHA2(${q}, 256)`;
  // + 0: no leading zeros of ZEROFILL, and the number of a BIT
  if (whole.has(dataType)) return { form: 'number', text: (q) => `${q} + 0` };
  if (dataType === 'decimal') {
    const zerofill = columnType.includes('zerofill') ? columnType : '';
    return { form: `decimal ${/,(\d+)/.exec(columnType)?.[1] ?? '0'} ${zerofill}`, text: plain };
  }
  if (dataType === 'date') return { form: 'date', text: plain };
  if (['datetime', 'timestamp', 'time'].includes(dataType)) {
    return { form: `${dataType} ${/\((\d)\)/.exec(columnType)?.[1] ?? '0'}`, text: plain };
  }
  if (texts.has(dataType)) {
    const isUtf8 = utf8.has(charset ?? '') && dataType !== 'enum' && dataType !== 'set';
    return { form: 'text', text: (q) => hashed(isUtf8 ? q : `CONVERT(${q} USING utf8mb4)`) };
  }
  if (blobs.has(dataType)) return { form: 'binary', text: hashed };
  if (dataType === 'binary') return { form: columnType, text: hashed };
  // What their digits are is up to the server's own conversion
  if (dataType === 'float' || dataType === 'double') {
    return { form: dataType, text: (q) => `${q} + 0e0`, oneFlavour: true };
  }
  // MariaDB's is a text, MySQL's is put in order and written anew
  if (dataType === 'json') {
    return { form: 'json', text: (q) => hashed(`CONVERT(${q} USING utf8mb4)`), oneFlavour: true };
  }
  if (spatial.test(dataType)) return { form: dataType, text: hashed, oneFlavour: true };
  if (['uuid', 'inet4', 'inet6'].includes(dataType)) return { form: dataType, text: (q) => `CAST(${q} AS CHAR)` };
  return undefined;
}

/** How the values of a key travel; undefined where their order, or their text, is not to be relied on. */
function keyKindOf({ dataType, charset }: ColumnShape): KeyKind | undefined {
  if (['enum', 'set', 'bit', 'float', 'double', 'json'].includes(dataType) || spatial.test(dataType)) return undefined;
  if (whole.has(dataType) || dataType === 'decimal') return 'number';
  if (texts.has(dataType)) return charset === 'binary' ? 'binary' : 'text';
  if (blobs.has(dataType) || dataType === 'binary') return 'binary';
  return ['date', 'datetime', 'timestamp', 'time', 'uuid', 'inet4', 'inet6'].includes(dataType) ? 'quoted' : undefined;
}

/** MariaDB since 10.6 and MySQL since 8.0.30 say utf8mb3 for what was utf8. */
function sameCollation(a: ColumnShape, b: ColumnShape): boolean {
  const name = (c: ColumnShape): string => (c.collation ?? '').replace(/^utf8_/, 'utf8mb3_');
  return name(a) === name(b);
}

type Found = Pick<TablePlan, 'key'> & { readonly sourceIndex: string; readonly copyIndex: string };

function keyOf(source: TableShape, copy: TableShape): Found | string {
  if (source.keys.length === 0) return 'no primary key, nor a unique one without NULL';
  let why = 'the copy has no such key';
  for (const key of source.keys) {
    const other = copy.keys.find((k) => k.columns.join('\0').toLowerCase() === key.columns.join('\0').toLowerCase());
    if (other === undefined) continue;
    const columns: KeyColumn[] = [];
    for (const name of key.columns) {
      const [here, there] = [columnOf(source, name), columnOf(copy, name)];
      const kind = here === undefined ? undefined : keyKindOf(here);
      if (here === undefined || there === undefined || kind === undefined) {
        why = `a key of type ${here?.dataType ?? 'unknown'} (${name})`;
      } else if (kind !== keyKindOf(there) || formOf(here)?.form !== formOf(there)?.form) {
        why = `the key ${name} is ${here.columnType} here and ${there.columnType} there`;
      } else if (kind === 'text' && !sameCollation(here, there)) {
        why = `the key ${name} is sorted by ${here.collation ?? '?'} here and by ${there.collation ?? '?'} there`;
      } else {
        columns.push({ name: here.name, kind });
      }
    }
    if (columns.length === key.columns.length) return { key: columns, sourceIndex: key.name, copyIndex: other.name };
  }
  return why;
}

function columnOf({ columns }: TableShape, name: string): ColumnShape | undefined {
  return columns.find((c) => c.name.toLowerCase() === name.toLowerCase());
}

export interface Both<T> {
  readonly source: T;
  readonly copy: T;
}

/** Where `db.table` of the source is on the copy. */
export function placesOf(name: string, { map }: { readonly map: ReadonlyMap<string, string> }): Both<Place> {
  const dot = name.indexOf('.');
  const source = { database: name.slice(0, dot), table: name.slice(dot + 1) };
  return { source, copy: { ...source, database: map.get(source.database) ?? source.database } };
}

/** @returns why the rows cannot be compared, when they cannot */
export function planOf(places: Both<Place>, shapes: Both<TableShape>, sameFlavour: boolean): TablePlan | string {
  const found = keyOf(shapes.source, shapes.copy);
  if (typeof found === 'string') return found;
  const skipped: { column: string; why: string }[] = [];
  const pairs: { here: ColumnShape; there: ColumnShape; form: Both<Form> }[] = [];
  for (const here of shapes.source.columns) {
    const there = columnOf(shapes.copy, here.name);
    const why = there === undefined ? 'the copy has no such column' : whyNot(here, there, sameFlavour);
    const [a, b] = [formOf(here), there === undefined ? undefined : formOf(there)];
    if (why !== undefined) skipped.push({ column: here.name, why });
    else if (there !== undefined && a !== undefined && b !== undefined && !isGenerated(here, there)) {
      pairs.push({ here, there, form: { source: a, copy: b } });
    }
  }
  for (const { name, isGenerated: generated } of shapes.copy.columns) {
    if (columnOf(shapes.source, name) === undefined && !generated) {
      skipped.push({ column: name, why: 'the source has no such column' });
    }
  }
  if (pairs.length === 0) return 'no column that can be compared';
  const side = (of: 'source' | 'copy', index: string): Side => ({
    from: `${placeText(places[of])} AS t FORCE INDEX (${quoted(index)})`,
    row: rowText(
      pairs.map(({ here, there, form }) => {
        const column = `t.${quoted(of === 'source' ? here.name : there.name)}`;
        return { column, text: form[of].text(column) };
      }),
    ),
  });
  return {
    key: found.key,
    source: side('source', found.sourceIndex),
    copy: side('copy', found.copyIndex),
    signature: JSON.stringify([found.key, pairs.map(({ here, form }) => [here.name, form.source.form])]),
    skipped,
  };
}

/** A value that is computed on each side says nothing that its parts do not. */
function isGenerated(here: ColumnShape, there: ColumnShape): boolean {
  return here.isGenerated && there.isGenerated;
}

function whyNot(here: ColumnShape, there: ColumnShape, sameFlavour: boolean): string | undefined {
  if (isGenerated(here, there)) return undefined;
  const [a, b] = [formOf(here), formOf(there)];
  if (a === undefined || b === undefined) return `columns of type ${here.dataType} are not compared`;
  if (a.form !== b.form) return `it is ${here.columnType} on the source and ${there.columnType} on the copy`;
  if (a.oneFlavour && !sameFlavour) return `${here.dataType} is written otherwise by MySQL than by MariaDB`;
  return undefined;
}

/** Which are NULL stands apart: CONCAT_WS passes over them. */
function rowText(columns: readonly { readonly column: string; readonly text: string }[]): string {
  const nulls = columns.map(({ column }) => `ISNULL(${column})`).join(', ');
  return `CONCAT_WS('#', ${columns.map(({ text }) => text).join(', ')}, CONCAT(${nulls}))`;
}
