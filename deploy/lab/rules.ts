// Makes waiting shorter in a lab: every duration of rules, scrapes and notifications is divided by one factor. Labels,
// annotations, names and thresholds (also those that are numbers of seconds) stay as shipped.
import { dump, load } from 'js-yaml';

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

const duration = String.raw`(?:\d+(?:ms|[smhdwy]))+|\d+(?:\.\d+)?`;

/** `1m30s` or, as Prometheus 3 allows, a number of seconds. At least 1 ms, unless it is 0. */
export function scaleDuration(text: string, factor: number): string {
  if (!new RegExp(`^(?:${duration})$`).test(text)) throw new Error(`${text} is no duration`);
  const parts = [...text.matchAll(/(\d+)(ms|[smhdwy])/g)];
  const sumMs = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0), 0);
  const wholeMs = parts.length === 0 ? Number(text) * 1000 : sumMs;
  if (wholeMs === 0) return text;
  const ms = Math.max(1, Math.round(wholeMs / factor));
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** Ranges `[5m]`, subqueries `[1h:1m]` and `offset 10m`; nothing in strings, comments or names. */
export function scaleExpression(text: string, factor: number): string {
  // one alternative each: string, comment, bracket, offset, a name or number (so that nothing inside it is looked at)
  const token = new RegExp(
    [
      String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|` + '`[^`]*`',
      '#[^\n]*',
      String.raw`\[(?<range>[^\]]*)\]`,
      String.raw`(?<word>\boffset\s+-?\s*)(?<offset>${duration})(?![\w:])`,
      String.raw`[\w:.]+`,
    ].join('|'),
    'gi',
  );
  const durations = new RegExp(duration, 'g');
  return text.replace(token, (whole, ...more) => {
    const groups = more.at(-1) as { range?: string; word?: string; offset?: string };
    if (groups.range !== undefined) return `[${groups.range.replace(durations, (d) => scaleDuration(d, factor))}]`;
    if (groups.offset !== undefined) return `${groups.word ?? ''}${scaleDuration(groups.offset, factor)}`;
    return whole;
  });
}

/** Divides the durations under these keys, wherever they stand. */
function scaleKeys(value: unknown, keys: ReadonlySet<string>, factor: number): unknown {
  if (Array.isArray(value)) return value.map((item) => scaleKeys(item, keys, factor));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      keys.has(key) && typeof item === 'string' ? scaleDuration(item, factor) : scaleKeys(item, keys, factor),
    ]),
  );
}

const ruleKeys = new Set(['for', 'keep_firing_for']);

/** A file of Prometheus rules. */
export function scaleRules(yaml: string, factor: number): string {
  const document = load(yaml);
  if (!isRecord(document) || !Array.isArray(document['groups'])) throw new Error('a rules file has `groups`');
  const groups = (document['groups'] as unknown[]).map((group) => {
    if (!isRecord(group)) throw new Error('a group of rules is a mapping');
    const rules: unknown[] = Array.isArray(group['rules']) ? group['rules'] : [];
    return {
      ...group,
      ...pick(group, new Set(['interval', 'query_offset']), factor),
      rules: rules.map((rule) => {
        if (!isRecord(rule)) throw new Error('a rule is a mapping');
        const { expr } = rule;
        // `expr` may be a bare number in YAML
        return { ...rule, ...pick(rule, ruleKeys, factor), expr: scaleExpression(String(expr), factor) };
      }),
    };
  });
  return dump({ ...document, groups }, { lineWidth: -1 });
}

function pick(from: Record<string, unknown>, keys: ReadonlySet<string>, factor: number): Record<string, string> {
  const found: Record<string, string> = {};
  for (const key of keys) {
    const value = from[key];
    if (typeof value === 'string') found[key] = scaleDuration(value, factor);
  }
  return found;
}

/** Of prometheus.yml; the timeout of a scrape may not exceed its interval, so it shrinks too. */
export function scalePrometheus(document: unknown, factor: number): unknown {
  return scaleKeys(document, new Set(['scrape_interval', 'scrape_timeout', 'evaluation_interval']), factor);
}

/** Of alertmanager.yml. */
export function scaleAlertmanager(document: unknown, factor: number): unknown {
  return scaleKeys(document, new Set(['group_wait', 'group_interval', 'repeat_interval']), factor);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every string of a document, with the key that it stands under. */
export function mapStrings(value: unknown, change: (text: string, key: string) => unknown, key = ''): unknown {
  if (typeof value === 'string') return change(value, key);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change, key));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapStrings(item, change, name)]));
}
