// One sample line of a Prometheus page.

export interface LineSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  readonly timestampMs: number | undefined;
  /** Equal for equal series, whatever the order of their labels. */
  readonly key: string;
}

export const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

interface LineOptions {
  readonly isOpenMetrics: boolean;
  readonly wanted: ((name: string) => boolean) | undefined;
  readonly maxLabels: number;
}

// Sticky, and each character can be matched in one way only: linear in the length of the line.
const nameAt = /[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*/y;
const labelAt = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\[\\n"][^"\\]*)*)"[ \t]*/y;
const closeAt = /[ \t]*\}[ \t]*/y;
/** Value, and a time in ms (text) or seconds (OpenMetrics). */
const restAt = /([^\s#]+)(?:[ \t]+(-?[0-9][0-9.eE+-]*))?[ \t]*/y;
/** OpenMetrics: ` # {trace_id="…"} 0.5 1700000000.1`. Not read further than that it is one. */
const exemplarAt = /# \{.*\} \S+(?: \S+)?$/y;

/** Left out, or what is wrong: never what stands in the line. */
export type NoSample = 'unwanted' | 'too many labels' | { readonly wrong: string };

export function sampleAt(line: string, { isOpenMetrics, wanted, maxLabels }: LineOptions): LineSample | NoSample {
  nameAt.lastIndex = 0;
  const name = nameAt.exec(line)?.[1];
  if (name === undefined) return { wrong: 'no metric name' };
  if (wanted?.(name) === false) return 'unwanted';
  let at = nameAt.lastIndex;
  const labels = new Map<string, string>();
  if (line[at] === '{') {
    const end = labelsAt(line, at + 1, labels);
    if (typeof end === 'string') return { wrong: end };
    at = end;
  } else if (!/[ \t]/.test(line[at - 1] ?? '')) return { wrong: 'no value' };
  if (labels.size > maxLabels) return 'too many labels';

  restAt.lastIndex = at;
  const [, written = '', time] = restAt.exec(line) ?? [];
  const value = numberOf(written);
  if (value === undefined) return { wrong: 'no value' };
  exemplarAt.lastIndex = restAt.lastIndex;
  const isWhole = restAt.lastIndex === line.length || (isOpenMetrics && exemplarAt.test(line));
  if (!isWhole) return { wrong: 'something after the value' };
  const timestampMs = time === undefined ? undefined : Number(time) * (isOpenMetrics ? 1000 : 1);
  if (timestampMs !== undefined && !Number.isFinite(timestampMs)) return { wrong: 'a time that is no number' };

  for (const [label, text] of labels) if (text === '') labels.delete(label);
  return { name, labels, value, timestampMs, key: keyOf(name, labels) };
}

/** Where the line goes on after `}`. */
function labelsAt(line: string, from: number, labels: Map<string, string>): number | string {
  let at = from;
  for (;;) {
    closeAt.lastIndex = at;
    if (closeAt.test(line)) return closeAt.lastIndex;
    labelAt.lastIndex = at;
    const [, name, value = ''] = labelAt.exec(line) ?? [];
    if (name === undefined) return 'not a label';
    if (labels.has(name)) return 'a label twice';
    labels.set(name, value.includes('\\') ? value.replace(/\\([\\n"])/g, unescaped) : value);
    at = labelAt.lastIndex;
    if (line[at] === ',') at += 1;
    else if (line[at] !== '}') return 'neither , nor } after a label';
  }
}

function unescaped(_: string, c: string): string {
  return c === 'n' ? '\n' : c;
}

/** As Go's ParseFloat, without its hexadecimal numbers. A number too large for a double is none: it is not infinite. */
function numberOf(text: string): number | undefined {
  if (/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?nan$/i.test(text) ? NaN : undefined;
}

/** Lengths keep apart what separators in a hostile value could run together. */
function keyOf(name: string, labels: ReadonlyMap<string, string>): string {
  if (labels.size === 0) return name;
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${sorted.map(([label, value]) => `${label}=${value.length}:${value}`).join()}`;
}
