// Which rows differ between a source and its copy, while both are written to. Pure.

/** Hash of each row by its key, at one moment on each side; the source was read first. */
export interface Look {
  readonly source: ReadonlyMap<string, string>;
  readonly copy: ReadonlyMap<string, string>;
}

/** extra: a row that only the copy has. undecided: its source changes too often to be told. */
export type RowVerdict = 'missing' | 'extra' | 'different' | 'undecided';

/**
 * Told from two looks, with more time in between than the copy is late at the second: a row whose source was the same at
 * both has to be so on the copy at the second. A row that shows what its source was at either look is on its way.
 */
export function judgeRows(first: Look, second: Look): ReadonlyMap<string, RowVerdict> {
  const verdicts = new Map<string, RowVerdict>();
  const keys = new Set([...first.source.keys(), ...first.copy.keys(), ...second.source.keys(), ...second.copy.keys()]);
  for (const key of keys) {
    const verdict = judgeRow(
      { source: first.source.get(key), copy: first.copy.get(key) },
      { source: second.source.get(key), copy: second.copy.get(key) },
    );
    if (verdict !== undefined) verdicts.set(key, verdict);
  }
  return verdicts;
}

interface RowLook {
  /** Undefined: no such row. */
  readonly source: string | undefined;
  readonly copy: string | undefined;
}

function judgeRow(first: RowLook, second: RowLook): RowVerdict | undefined {
  if (first.source === first.copy || second.source === second.copy) return undefined;
  if (first.source !== second.source) return second.copy === first.source ? undefined : 'undecided';
  if (second.copy === undefined) return 'missing';
  return second.source === undefined ? 'extra' : 'different';
}
