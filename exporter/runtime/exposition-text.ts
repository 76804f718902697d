// Reads a Prometheus page: text format 0.0.4 and OpenMetrics 1.0
// (https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/).
//
// Written here because the parsers on npm know neither OpenMetrics nor bounds, stop at nothing malformed and hold the
// event loop for the whole page.
import type { Clock } from './clock.ts';
import { TargetError } from './errors.ts';
import { pacer } from './pacing.ts';
import { metricName, sampleAt } from './exposition-line.ts';

const pageTypes = [
  'counter',
  'gauge',
  'histogram',
  'summary',
  'untyped',
  'unknown',
  'info',
  'stateset',
  'gaugehistogram',
] as const;
export type PageType = (typeof pageTypes)[number];

/** What the page says of a group of samples; of one it says nothing of, `untyped` without a help. */
export interface PageFamily {
  /** As in the header: in OpenMetrics a counter has no `_total` here. */
  readonly name: string;
  readonly type: PageType;
  readonly help: string;
}

export interface PageSample {
  /** With `_total`, `_bucket`, `_sum`… */
  readonly name: string;
  readonly family: PageFamily;
  /** As on the page, but for empty values: an empty label is the same as none. */
  readonly labels: ReadonlyMap<string, string>;
  /** Never NaN; may be infinite. */
  readonly value: number;
  /** When the page gives a time of its own: ms since the epoch. */
  readonly timestampMs: number | undefined;
}

/** Samples left out, by reason. */
export interface PageDropped {
  readonly nan: number;
  /** The first of equal series counts. */
  readonly duplicate: number;
  /** A line longer than `maxLineChars`, or with more labels than `maxLabels`. */
  readonly tooLong: number;
  /** After `maxSamples` samples. */
  readonly overLimit: number;
}

export interface Page {
  readonly samples: readonly PageSample[];
  readonly dropped: PageDropped;
}

export interface PageOptions {
  /** Of the answer. Without one, a page that ends with `# EOF` is taken for OpenMetrics. */
  readonly contentType?: string | undefined;
  /** Samples of other names are skipped unread. */
  readonly wanted?: (name: string) => boolean;
  readonly maxSamples?: number;
  readonly maxLineChars?: number;
  readonly maxLabels?: number;
}

const maxHelpChars = 500;

/**
 * Takes what Prometheus takes; a page that Prometheus would refuse is refused as a whole, so that half a page never
 * passes for a whole one. The size of `text` is for the caller to bound.
 *
 * @throws TargetError `protocol`, with the number of the line and never what stands in it
 */
export async function readPage(text: string, clock: Clock, options: PageOptions = {}): Promise<Page> {
  const { wanted, maxSamples = 20_000, maxLineChars = 65_536, maxLabels = 64 } = options;
  const isOpenMetrics = isOpenMetricsPage(text, options.contentType);
  const families = new Map<string, { -readonly [K in keyof PageFamily]: PageFamily[K] }>();
  const samples: PageSample[] = [];
  const series = new Set<string>();
  const dropped = { nan: 0, duplicate: 0, tooLong: 0, overLimit: 0 };
  const pace = pacer(clock);

  const familyOf = (name: string): { -readonly [K in keyof PageFamily]: PageFamily[K] } => {
    const before = families.get(name);
    if (before !== undefined) return before;
    const made = { name, type: 'untyped' as PageType, help: '' };
    families.set(name, made);
    return made;
  };
  const header = (line: string): void => {
    const [, what, name = '', rest = ''] = /^#[ \t]+(HELP|TYPE)[ \t]+(\S+)(?:[ \t]+(.*))?$/.exec(line) ?? [];
    if (what === undefined || !metricName.test(name)) return; // any other comment
    if (what === 'HELP') {
      familyOf(name).help = unescapeHelp(rest).slice(0, maxHelpChars);
      return;
    }
    const type = pageTypes.find((t) => t === rest.trim());
    if (type !== undefined) familyOf(name).type = type;
  };

  let line = 0;
  let ended = false;
  for (let from = 0; from < text.length;) {
    const turn = line % 256 === 255 ? pace() : undefined;
    if (turn !== undefined) await turn;
    line += 1;
    const at = text.indexOf('\n', from);
    const to = at === -1 ? text.length : at;
    const begin = from;
    from = to + 1;
    if (ended) throw malformed(line, 'there is something after # EOF');
    if (text[begin] === '#') {
      if (isOpenMetrics && to - begin === 5 && text.startsWith('# EOF', begin)) ended = true;
      else if (to - begin <= maxLineChars) header(text.slice(begin, to));
      continue;
    }
    if (to - begin > maxLineChars) {
      dropped.tooLong += 1;
      continue;
    }
    const whole = text.slice(begin, to);
    if (whole.trim() === '') continue;
    const found = sampleAt(whole, { isOpenMetrics, wanted, maxLabels });
    if (found === 'unwanted') continue;
    if (found === 'too many labels') dropped.tooLong += 1;
    else if ('wrong' in found) throw malformed(line, found.wrong);
    else if (Number.isNaN(found.value)) dropped.nan += 1;
    else if (series.has(found.key)) dropped.duplicate += 1;
    else if (samples.length >= maxSamples) dropped.overLimit += 1;
    else {
      series.add(found.key);
      const { name, labels, value, timestampMs } = found;
      samples.push({ name, family: ownerOf(name, families) ?? familyOf(name), labels, value, timestampMs });
    }
  }
  if (isOpenMetrics && !ended) throw malformed(line, 'the page has no # EOF: it was cut off');
  return { samples, dropped };
}

/**
 * How a sample may be served on by itself. The parts of a histogram or summary claim nothing: their family, which gives
 * them their meaning, is not served.
 */
export function typeOf({ name, family }: PageSample): 'gauge' | 'counter' | 'untyped' {
  if (family.type === 'gauge' || family.type === 'info' || family.type === 'stateset') return 'gauge';
  return family.type === 'counter' && !name.endsWith('_created') ? 'counter' : 'untyped';
}

function isOpenMetricsPage(text: string, contentType: string | undefined): boolean {
  if (contentType !== undefined && /^\s*application\/openmetrics-text\b/i.test(contentType)) return true;
  return /^# EOF\n?$/.test(text.slice(Math.max(0, text.lastIndexOf('\n', text.length - 2) + 1)));
}

const parts: readonly (readonly [suffix: string, types: readonly PageType[]])[] = [
  ['_total', ['counter']],
  ['_created', ['counter', 'histogram', 'summary']],
  ['_bucket', ['histogram', 'gaugehistogram']],
  ['_count', ['histogram', 'summary']],
  ['_sum', ['histogram', 'summary']],
  ['_gcount', ['gaugehistogram']],
  ['_gsum', ['gaugehistogram']],
  ['_info', ['info']],
];

/** The family whose header covers a sample of this name. */
function ownerOf(name: string, families: ReadonlyMap<string, PageFamily>): PageFamily | undefined {
  const own = families.get(name);
  if (own !== undefined) return own;
  for (const [suffix, types] of parts) {
    if (!name.endsWith(suffix)) continue;
    const base = families.get(name.slice(0, -suffix.length));
    if (base !== undefined && types.includes(base.type)) return base;
  }
  return undefined;
}

function unescapeHelp(text: string): string {
  return text.replace(/\\([\\n"])/g, (_, c: string) => (c === 'n' ? '\n' : c));
}

function malformed(line: number, why: string): TargetError {
  return new TargetError('protocol', `not a Prometheus page: line ${line}: ${why}`);
}
