// What relabelling makes of an address that a scrape configuration names, as Prometheus does it
// (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config).
import { patternOf, type Pattern } from '../runtime/pattern.ts';
import { isObject, listOf, textOf } from './found.ts';

export interface Relabelling {
  readonly sources: readonly string[];
  readonly separator: string;
  readonly regex: string;
  readonly target: string;
  readonly action: string;
  readonly replacement: string;
  /** Made with the first address; undefined where it is none. */
  readonly pattern: () => Pattern | undefined;
}

export function relabellings(list: unknown): Relabelling[] {
  return listOf(list)
    .filter(isObject)
    .map((rule) => ({
      sources: listOf(rule['source_labels']).map(String),
      separator: textOf(rule['separator']) ?? ';',
      ...madeOnce(scalarOf(rule['regex']) ?? '(.*)'),
      target: textOf(rule['target_label']) ?? '',
      action: (textOf(rule['action']) ?? 'replace').toLowerCase(),
      replacement: scalarOf(rule['replacement']) ?? '$1',
    }));
}

/** YAML makes a number or a boolean of `regex: true`; Prometheus reads the text. */
function scalarOf(value: unknown): string | undefined {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : textOf(value);
}

/** undefined: what it is cannot be known from the file. */
export type Labels = ReadonlyMap<string, string | undefined>;

/**
 * @param isOpen there may be labels beyond those given
 * @returns undefined when the rules drop it
 */
export function relabelled(rules: readonly Relabelling[], given: Labels, isOpen: boolean): Labels | undefined {
  const labels = new Map(given);
  for (const rule of rules) {
    const value = valueOf(rule, labels, isOpen);
    const pattern = rule.pattern();
    if (rule.action === 'keep' || rule.action === 'drop') {
      // what is not known is taken to stay: it is what people are told of
      const isHit = value === undefined || pattern === undefined ? undefined : pattern.matches(value);
      if (isHit !== undefined && isHit === (rule.action === 'drop')) return undefined;
    } else apply(rule, labels, value, pattern);
  }
  return labels;
}

/** Whatever the value is. */
const fitsAll: readonly string[] = ['(.*)', '.*'];

function apply(
  { action, target, replacement, regex }: Relabelling,
  labels: Map<string, string | undefined>,
  value: string | undefined,
  pattern: Pattern | undefined,
): void {
  switch (action) {
    case 'replace': {
      if (!`${target}${replacement}`.includes('$') && fitsAll.includes(regex)) set(labels, target, replacement);
      else if (value === undefined || pattern === undefined) labels.set(target, undefined);
      else {
        const groups = pattern.groups(value);
        if (groups !== undefined) set(labels, expand(target, groups), expand(replacement, groups));
      }
      return;
    }
    case 'lowercase':
    case 'uppercase':
      set(labels, target, action === 'lowercase' ? value?.toLowerCase() : value?.toUpperCase());
      return;
    case 'hashmod':
      labels.set(target, undefined);
      return;
    case 'labelmap':
      for (const [name, held] of [...labels]) {
        const groups = pattern?.groups(name);
        if (groups !== undefined) set(labels, expand(replacement, groups), held);
      }
      return;
    case 'labeldrop':
    case 'labelkeep':
      for (const name of [...labels.keys()]) {
        if (pattern?.matches(name) === (action === 'labeldrop')) labels.delete(name);
      }
  }
}

function set(labels: Map<string, string | undefined>, name: string, value: string | undefined): void {
  if (value === '') labels.delete(name);
  else labels.set(name, value);
}

/** undefined as soon as a part of it is not known. */
function valueOf({ sources, separator }: Relabelling, labels: Labels, isOpen: boolean): string | undefined {
  const values = sources.map((name) => (labels.has(name) ? labels.get(name) : isOpen ? undefined : ''));
  return values.includes(undefined) ? undefined : values.join(separator);
}

/**
 * As regexp.Expand of Go: `$1`, `${1}`, `$name`, the longest name, and nothing for one that is not there. `$$1`, which would
 * be the text `$1`, is how the OpenTelemetry Collector's own file writes it.
 */
function expand(text: string, groups: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$\$?(?:\{(\w+)\}|(\w+))/g,
    (_, braced?: string, name?: string) => groups.get(braced ?? name ?? '') ?? '',
  );
}

/** A job may have thousands of addresses. */
function madeOnce(regex: string): Pick<Relabelling, 'regex' | 'pattern'> {
  let made: { readonly pattern: Pattern | undefined } | undefined;
  return { regex, pattern: () => (made ??= { pattern: compiled(regex) }).pattern };
}

function compiled(regex: string): Pattern | undefined {
  try {
    return patternOf(regex);
  } catch {
    return undefined; // Prometheus refuses the file then
  }
}
