// What all lines of a family have in common, made once and not at each sweep.
import type { Family } from '../families.ts';

export const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
export const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Labels in front of those of every series. */
export interface ConstantLabels {
  readonly names: readonly string[];
  /** The names as one text. */
  readonly key: string;
  /** `target="db1",dc="a"` */
  readonly text: string;
  readonly bytes: Buffer;
}

export function constantLabels(labels: Readonly<Record<string, string>>): ConstantLabels {
  const names = Object.keys(labels);
  const text = names.map((name) => `${name}="${escapeLabel(labels[name] ?? '')}"`).join(',');
  return { names, key: names.join(), text, bytes: Buffer.from(text) };
}

/** A line is `begin`, the constant labels, then for each label an `open` and its value, then `tail` and the number. */
export interface FamilyPlan {
  /** The name, and where there are labels a brace. */
  readonly begin: string;
  readonly beginBytes: Uint8Array;
  /** Before each label value: closes the one before. */
  readonly opens: readonly string[];
  readonly openBytes: readonly Uint8Array[];
  readonly tail: string;
  readonly tailBytes: Uint8Array;
}

/** By the names of the constant labels, which are few: those that the inventory gives to targets. */
const plans = new WeakMap<Family, Map<string, FamilyPlan>>();

/** @throws when a name is none, or there twice */
export function planOf(family: Family, constant: ConstantLabels): FamilyPlan {
  const kept = plans.get(family);
  const before = kept?.get(constant.key);
  if (before !== undefined) return before;
  const made = makePlan(family, constant.names);
  if (kept === undefined) plans.set(family, new Map([[constant.key, made]]));
  else kept.set(constant.key, made);
  return made;
}

function makePlan(family: Family, constant: readonly string[]): FamilyPlan {
  if (!metricName.test(family.name)) throw new Error(`${family.name} is not a metric name`);
  const labels = family.passed === true ? exported(family.labels, constant) : family.labels;
  const names = [...constant, ...labels];
  for (const name of names) {
    if (!labelName.test(name)) throw new Error(`${family.name}: ${name} is not a label name`);
  }
  if (family.quantiles === true && names.includes('quantile')) throw new Error(`${family.name}: quantile is taken`);
  if (new Set(names).size < names.length) throw new Error(`${family.name}: a label is there twice: ${names.join()}`);
  const begin = names.length === 0 ? family.name : `${family.name}{`;
  const opens = labels.map((name, i) => `${i > 0 ? '",' : constant.length > 0 ? ',' : ''}${name}="`);
  const tail = names.length === 0 ? ' ' : labels.length === 0 ? '} ' : '"} ';
  return {
    begin,
    beginBytes: Buffer.from(begin),
    opens,
    openBytes: opens.map((text) => Buffer.from(text)),
    tail,
    tailBytes: Buffer.from(tail),
  };
}

/** On no family of a target but those of the encoder, whether they stand there in this exposition or not. */
const ours = ['target', 'pipeline'];

/** Labels of a target's own page that are taken here, renamed as Prometheus does it without honor_labels. */
function exported(labels: readonly string[], taken: readonly string[]): string[] {
  const names = new Set(labels);
  return labels.map((label) => {
    if (!taken.includes(label) && !ours.includes(label)) return label;
    let name = label;
    do name = `exported_${name}`;
    while (names.has(name) || taken.includes(name));
    names.add(name);
    return name;
  });
}

// The text formats escape \ " and newline, and nothing else: other control characters, NUL too, pass as they are (seen
// on Prometheus 2.42, in both formats). Lone surrogates (Cs) have no UTF-8.
const special = /[\\"\n\p{Cs}]/u;

export function escapeLabel(value: string): string {
  if (!special.test(value)) return value;
  return Buffer.from(value).toString().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
