// What a metric family is. No I/O, no domain words.

/**
 * `target`: about one inventory target; the encoder puts `target` and the inventory labels in front.
 * `pipeline`, `graph`: the labels are the family's own.
 */
export type Level = 'target' | 'pipeline' | 'graph';

export interface Family<L extends readonly string[] = readonly string[]> {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'untyped' | 'summary';
  readonly help: string;
  readonly labels: L;
  readonly level: Level;
  /** For a numeric family whose sample may be absent: the state family that is always there and says why. */
  readonly state?: string;
  /** See PassedFamilies. */
  readonly passed?: true;
  /** Of a summary that has quantiles too. */
  readonly quantiles?: true;
}

/** A count and a sum, the series `<name>_count` and `<name>_sum`, and if it is declared so, `<name>{quantile}`. */
export interface SummaryFamily<L extends readonly string[] = readonly string[]> extends Family<L> {
  readonly type: 'summary';
}

export interface SummaryValue {
  readonly count: number;
  readonly sum: number;
  /** By the text of the label. */
  readonly quantiles?: ReadonlyMap<string, number>;
}

export type Families = Readonly<Record<string, Family>>;

/**
 * Families whose names only the target knows (`mysql_global_status_<variable>`): everything but the name is declared,
 * and every name begins with the prefix.
 */
export interface OpenFamily<L extends readonly string[] = readonly string[]> {
  readonly prefix: string;
  readonly type: Exclude<Family['type'], 'summary'>;
  readonly help: string;
  readonly labels: L;
}

/**
 * What the target itself serves to Prometheus and that is passed on: name, type, help and labels are its own. A label
 * that is taken gets `exported_` in front, as Prometheus does it.
 */
export interface PassedFamilies {
  readonly prefix: string;
  readonly passed: true;
  readonly help: string;
  /** None that is known. */
  readonly labels: readonly string[];
}

/** One name that is passed on, with all its series. */
export interface PassedSeries {
  readonly name: string;
  readonly type: OpenFamily['type'];
  readonly help: string;
  readonly samples: readonly { readonly labels: ReadonlyMap<string, string>; readonly value: number }[];
}

export type OpenFamilies = Readonly<Record<string, OpenFamily | PassedFamilies>>;

/** Label values of a family; no second argument at all when it has none. */
type LabelArgs<L extends readonly string[]> = L extends readonly []
  ? []
  : [labels: Readonly<Record<L[number], string>>];

/** One function per declared family: `emit.lagBytes(12, { group: 'g' })`. */
export type Emit<F extends Families> = {
  readonly [K in keyof F]: (
    value: F[K] extends SummaryFamily ? SummaryValue : number,
    ...labels: LabelArgs<F[K]['labels']>
  ) => void;
};

/** One function per group of open names: `emit.status('mysql_global_status_uptime', 12)`. */
export type EmitOpen<O extends OpenFamilies> = {
  readonly [K in keyof O]: O[K] extends PassedFamilies
    ? (series: PassedSeries) => void
    : (name: string, value: number, ...labels: LabelArgs<O[K]['labels']>) => void;
};

export interface Sample {
  readonly family: Family;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** What the name of the series has behind that of the family: a summary has one sample of each. */
  readonly part?: '_count' | '_sum';
  /** Of a summary, instead of a part. */
  readonly quantile?: string;
}

export type Put = (sample: Sample) => void;

interface FamilyOptions {
  readonly level?: Level;
  readonly state?: string;
}

// `labels` is required ([] for none): left out, TypeScript would take `string[]` from the context and accept any label.
export function gauge<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
  options: FamilyOptions = {},
): Family<L> {
  return { name, type: 'gauge', help, labels, level: 'target', ...options };
}

export function counter<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
  options: FamilyOptions = {},
): Family<L> {
  return { name, type: 'counter', help, labels, level: 'target', ...options };
}

/** For names that a peer exporter serves as untyped (mysqld_exporter's status columns). */
export function untyped<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
  options: FamilyOptions = {},
): Family<L> {
  return { name, type: 'untyped', help, labels, level: 'target', ...options };
}

export function summary<const L extends readonly string[]>(
  name: string,
  help: string,
  labels: L,
  options: FamilyOptions & { readonly quantiles?: true } = {},
): SummaryFamily<L> {
  return { name, type: 'summary', help, labels, level: 'target', ...options };
}

/** The names of its series, each with the type that a query sees. */
export function seriesOf({
  name,
  type,
  quantiles,
}: Family): readonly (readonly [name: string, type: OpenFamily['type']])[] {
  if (type !== 'summary') return [[name, type]];
  return [
    ...(quantiles === true ? ([[name, 'gauge']] as const) : []),
    [`${name}_count`, 'counter'],
    [`${name}_sum`, 'counter'],
  ];
}

/** `type` is that of every name under the prefix. */
export function openFamily<const L extends readonly string[]>(
  prefix: string,
  type: OpenFamily['type'],
  help: string,
  labels: L,
): OpenFamily<L> {
  return { prefix, type, help, labels };
}

export function passedFamilies(prefix: string, help: string): PassedFamilies {
  return { prefix, passed: true, help, labels: [] };
}

export function emitter<F extends Families>(families: F, put: Put): Emit<F> {
  const Made = emitters.get(families) ?? Emitter.of(families);
  emitters.set(families, Made);
  return new Made(put) as unknown as Emit<F>; // the one cast: its properties are defined by name
}

/** A collector has up to two hundred families: the function of each is made when it is used, not all of them at each sweep. */
class Emitter {
  readonly #put: Put;

  constructor(put: Put) {
    this.#put = put;
  }

  static of(families: Families): typeof Emitter {
    const Made = class extends Emitter {};
    for (const [key, family] of Object.entries(families)) {
      Object.defineProperty(Made.prototype, key, {
        get(this: Emitter) {
          return emitOf(family, this.#put);
        },
      });
    }
    return Made;
  }
}

const emitters = new WeakMap<Families, typeof Emitter>();

const noLabels: Sample['labels'] = Object.freeze({});

function emitOf(family: Family, put: Put): (value: number | SummaryValue, labels?: Sample['labels']) => void {
  return (value, labels = noLabels) => {
    if (typeof value === 'number') {
      put({ family, value, labels });
      return;
    }
    for (const [quantile, at] of value.quantiles ?? []) put({ family, value: at, labels, quantile });
    put({ family, value: value.count, labels, part: '_count' });
    put({ family, value: value.sum, labels, part: '_sum' });
  };
}

/** Families are made per sweep: names that a hostile target invents are forgotten with it. */
export function openEmitter<O extends OpenFamilies>(groups: O, put: Put): EmitOpen<O> {
  const made = new Map<string, Family>();
  const entries = Object.entries(groups).map(([key, group]) => [
    key,
    'passed' in group
      ? (series: PassedSeries) => {
          pass(group, series, put);
        }
      : (name: string, value: number, labels: Sample['labels'] = {}) => {
          begins(name, group.prefix);
          const before = made.get(`${key} ${name}`);
          const { type, help, labels: names } = group;
          const family: Family = before ?? { name, type, help, labels: names, level: 'target' };
          if (before === undefined) made.set(`${key} ${name}`, family);
          put({ family, value, labels });
        },
  ]);
  return Object.fromEntries(entries) as EmitOpen<O>;
}

/** All series of a name get the same labels: an empty one is the same as none. */
function pass(group: PassedFamilies, { name, type, help: own, samples }: PassedSeries, put: Put): void {
  begins(name, group.prefix);
  const help = own === '' ? group.help : own;
  const labels = [...new Set(samples.flatMap((s) => [...s.labels.keys()]))].sort();
  const family: Family = { name, type, help, labels, level: 'target', passed: true };
  for (const sample of samples) {
    const values = Object.fromEntries(labels.map((label) => [label, sample.labels.get(label) ?? '']));
    put({ family, value: sample.value, labels: values });
  }
}

function begins(name: string, prefix: string): void {
  if (!name.startsWith(prefix)) throw new Error(`${name} does not begin with ${prefix}`);
}

/** One series per possible state, 1 for the present one: a change never makes a series vanish. */
export function emitState<S extends string>(
  emit: (value: number, state: S) => void,
  states: readonly S[],
  current: S,
): void {
  for (const state of states) emit(state === current ? 1 : 0, state);
}
