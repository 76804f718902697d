import { factKey } from '../../facts.ts';
import type { TargetErrorCode } from '../../runtime/errors.ts';
import type { RowVerdict } from './facts-rows.ts';
import type { Key } from './facts-table.ts';
import type { ReportState, ResultState, RunState, WaitReason } from './families.ts';

export interface Counts extends Readonly<Record<RowVerdict, number>> {
  /** Of the source. */
  readonly rows: number;
}

export const noCounts: Counts = { rows: 0, missing: 0, extra: 0, different: 0, undecided: 0 };

/** A pass over one table that has ended. */
export interface PassResult extends Counts {
  readonly completedAtMs: number;
  readonly tookMs: number;
  readonly verdict: Extract<ResultState, 'consistent' | 'inconsistent' | 'unverifiable'>;
  /** For people. */
  readonly why: string;
  readonly columnsSkipped: number;
}

/** A pass over one table that is under way. */
export interface PassProgress extends Counts {
  readonly startedAtMs: number;
  /** See TablePlan. */
  readonly signature: string;
  /** The last key that was compared. */
  readonly lower: Key | undefined;
  /** What of the report belongs to the rows up to there; what stands behind is of a process that has ended. */
  readonly reportBytes: number;
  readonly reportLines: number;
}

export interface TableRecord {
  last?: PassResult | undefined;
  running?: PassProgress | undefined;
  /** As the engine guesses it. */
  rowsGuess?: number | undefined;
  /** Since the start of the exporter. */
  checkedTotal: number;
}

export interface KeysSample {
  readonly completedAtMs: number;
  readonly sampled: number;
  readonly missing: number;
  readonly different: number;
  readonly undecided: number;
}

export interface ConsistencyMemory {
  /** What is said of the run; `why` is for people. */
  run: { readonly state: RunState; readonly why: string };
  readonly tables: Map<string, TableRecord>;
  tablesLeftOut: boolean | undefined;
  /** Of the pass that runs, or ran last. */
  passStartedAtMs: number | undefined;
  report: { readonly state: ReportState; readonly why: string };
  readonly throttledMs: Map<WaitReason, number>;
  readonly errors: Map<TargetErrorCode, number>;
  readonly keys: {
    sampled: number;
    partial: number;
    undecided: number;
    last?: KeysSample;
    why: string;
  };
  /** When anything was last learnt, monotonic. */
  observedAtMs: number | undefined;
}

export function newMemory(): ConsistencyMemory {
  return {
    run: { state: 'unknown', why: 'nothing was compared yet' },
    tables: new Map(),
    tablesLeftOut: undefined,
    passStartedAtMs: undefined,
    report: { state: 'unknown', why: '' },
    throttledMs: new Map(),
    errors: new Map(),
    keys: { sampled: 0, partial: 0, undecided: 0, why: '' },
    observedAtMs: undefined,
  };
}

export interface TableView extends Omit<Counts, 'rows'> {
  readonly table: string;
  readonly state: ResultState;
  readonly why: string;
  /** Whether the counts are known: not before a difference was found or a pass was completed. */
  readonly hasCounts: boolean;
  readonly completedAtMs: number | undefined;
  readonly tookMs: number | undefined;
  readonly columnsSkipped: number | undefined;
  readonly progressRatio: number | undefined;
  readonly checkedTotal: number;
}

/** What is known of a table now. A difference shows at once; a pass that runs does not hide what the last one found. */
export function tableView(table: string, record: TableRecord, everyMs: number, nowMs: number): TableView {
  const { last, running, rowsGuess, checkedTotal } = record;
  const found = { missing: 0, extra: 0, different: 0, undecided: 0 };
  const passes = [last, running].filter((pass) => pass !== undefined);
  for (const pass of passes) {
    for (const what of ['missing', 'extra', 'different', 'undecided'] as const) {
      found[what] = Math.max(found[what], pass[what]);
    }
  }
  const now = { last, running, everyMs, nowMs };
  return {
    table,
    ...found,
    ...stateOf(now),
    hasCounts: (last !== undefined && last.verdict !== 'unverifiable') || hasDifference(running),
    completedAtMs: last?.completedAtMs,
    tookMs: last?.tookMs,
    columnsSkipped: last?.columnsSkipped,
    progressRatio:
      running === undefined
        ? last === undefined
          ? undefined
          : 1
        : rowsGuess === undefined || rowsGuess === 0
          ? undefined
          : Math.min(1, running.rows / rowsGuess),
    checkedTotal,
  };
}

function hasDifference(counts: Counts | undefined): boolean {
  return counts !== undefined && counts.missing + counts.extra + counts.different > 0;
}

function stateOf(now: {
  readonly last: PassResult | undefined;
  readonly running: PassProgress | undefined;
  readonly everyMs: number;
  readonly nowMs: number;
}): { readonly state: ResultState; readonly why: string } {
  const { last, running, everyMs, nowMs } = now;
  if (hasDifference(running)) return { state: 'inconsistent', why: 'the present pass has found differences' };
  if (last === undefined) {
    return running === undefined
      ? { state: 'unknown', why: 'not compared yet' }
      : { state: 'running', why: 'the first pass' };
  }
  const { verdict, why } = last;
  // A pass begins `every` after the one before, or when that one has ended
  const lateMs = nowMs - last.completedAtMs - everyMs - 2 * Math.max(everyMs, last.tookMs);
  if (verdict === 'consistent' && lateMs > 0) return { state: 'stale', why: 'the last complete pass is too long ago' };
  return { state: verdict, why };
}

export interface ConsistencyView {
  readonly run: { readonly state: RunState; readonly why: string };
  /** Empty for Redis. */
  readonly tables: readonly TableView[];
  readonly keys: { readonly state: ResultState; readonly why: string } | undefined;
}

export function keysView(
  { keys }: ConsistencyMemory,
  everyMs: number,
  nowMs: number,
): { readonly state: ResultState; readonly why: string } {
  const { last, why } = keys;
  if (last === undefined) return { state: 'unknown', why: why === '' ? 'no key was sampled yet' : why };
  if (last.missing + last.different > 0) {
    return { state: 'inconsistent', why: `${String(last.missing)} keys are missing, ${String(last.different)} differ` };
  }
  if (nowMs - last.completedAtMs > 3 * everyMs + 60_000) {
    return { state: 'stale', why: 'the last complete sample is too long ago' };
  }
  if (last.sampled === 0) return { state: 'unverifiable', why: 'there is no key to sample' };
  return { state: 'consistent', why: 'what was sampled is the same' };
}

/** Before the first look, and where the comparison does not run: unknown. */
export const consistencyFact = factKey<ConsistencyView>('consistency.result');
