// What a metric family is. No I/O, no domain words.

/**
 * `target`: about one inventory target; the encoder puts `target` and the inventory labels in front.
 * `pipeline`, `graph`: the labels are the family's own.
 */
export type Level = 'target' | 'pipeline' | 'graph';

export interface Family<L extends readonly string[] = readonly string[]> {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'untyped';
  readonly help: string;
  readonly labels: L;
  readonly level: Level;
  /** For a numeric family whose sample may be absent: the state family that is always there and says why. */
  readonly state?: string;
}

export type Families = Readonly<Record<string, Family>>;

/** Label values of a family; no second argument at all when it has none. */
type LabelArgs<L extends readonly string[]> = L extends readonly []
  ? []
  : [labels: Readonly<Record<L[number], string>>];

/** One function per declared family: `emit.lagBytes(12, { group: 'g' })`. */
export type Emit<F extends Families> = {
  readonly [K in keyof F]: (value: number, ...labels: LabelArgs<F[K]['labels']>) => void;
};

export interface Sample {
  readonly family: Family;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
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

export function emitter<F extends Families>(families: F, put: Put): Emit<F> {
  const entries = Object.entries(families).map(([key, family]) => [
    key,
    (value: number, labels: Sample['labels'] = {}) => {
      put({ family, value, labels });
    },
  ]);
  return Object.fromEntries(entries) as Emit<F>; // the one cast: fromEntries forgets the keys
}

/** One series per possible state, 1 for the present one: a change never makes a series vanish. */
export function emitState<S extends string>(
  emit: (value: number, state: S) => void,
  states: readonly S[],
  current: S,
): void {
  for (const state of states) emit(state === current ? 1 : 0, state);
}
