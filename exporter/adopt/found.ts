// What reading a file yields, whatever kind of file it was.

export type Use = 'alert' | 'record' | 'panel' | 'variable' | 'annotation';

/** An expression, where it stands. */
export interface Found {
  readonly use: Use;
  /** Group and rule, or row, panel and query. */
  readonly place: string;
  /** Of the file; undefined where it cannot be told. */
  readonly line: number | undefined;
  /** As written. */
  readonly expr: string;
  /** With variables replaced. */
  readonly promql: string;
  /** What a recording rule calls its result. */
  readonly record?: string;
}

export interface Part {
  readonly expressions: readonly Found[];
  /** What cannot be read, with its place. */
  readonly problems: readonly string[];
  /** What a reader should know that is no fault. */
  readonly notes: readonly string[];
}

/** More is no file that a person keeps; a bomb of YAML aliases has billions. */
export const maxExpressions = 20_000;

/** Longer is no query; the grammar would take its time. */
export const maxLength = 50_000;

export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What stands in the place of a text, for a person. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return `the ${typeof value} ${((JSON.stringify(value) as string | undefined) ?? '').slice(0, 40)}`;
}
