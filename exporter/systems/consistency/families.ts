import { counter, gauge } from '../../families.ts';

/**
 * running: the first pass, without a difference yet. stale: was consistent, too long ago. unverifiable: cannot be compared
 * row by row (no key, no grant, other columns).
 */
export const resultStates = ['consistent', 'inconsistent', 'running', 'stale', 'unverifiable', 'unknown'] as const;
export type ResultState = (typeof resultStates)[number];

/** What the comparison is doing. lag_unknown: the copy replicates, and its lag cannot be read. */
export const runStates = ['checking', 'idle', 'lag', 'lag_unknown', 'load', 'failed', 'unknown'] as const;
export type RunState = (typeof runStates)[number];

export type WaitReason = 'lag' | 'lag_unknown' | 'load';

/** none: no folder is set for it. failed: it cannot be written; what is found is counted all the same. */
export const reportStates = ['ok', 'failed', 'none', 'unknown'] as const;
export type ReportState = (typeof reportStates)[number];

const table = ['table'] as const;
const ofTable = { state: 'consistency_state' };
const ofRun = { state: 'consistency_run_state' };
const ofKeys = { state: 'consistency_keys_state' };

export const consistencyFamilies = {
  state: gauge('consistency_state', 'State of each table: one series per state, 1 for the present one.', [
    ...table,
    'state',
  ] as const),
  runState: gauge(
    'consistency_run_state',
    'What the comparison is doing, or waits for: one series per state, 1 for the present one.',
    ['state'],
  ),
  reportState: gauge(
    'consistency_report_state',
    'Whether reports and the place in the tables are kept on disk: one series per state, 1 for the present one.',
    ['state'],
  ),
  rowsChecked: counter(
    'consistency_rows_checked_total',
    'Rows of the source that were compared since the start.',
    table,
    ofTable,
  ),
  missing: gauge(
    'consistency_rows_missing',
    'Rows that the copy lacks, by the last pass, or by the present one if that has found more.',
    table,
    ofTable,
  ),
  extra: gauge(
    'consistency_rows_extra',
    'Rows that only the copy has, by the last pass, or by the present one if that has found more.',
    table,
    ofTable,
  ),
  different: gauge(
    'consistency_rows_different',
    'Rows that are other ones on the copy, by the last pass, or by the present one if that has found more.',
    table,
    ofTable,
  ),
  undecided: gauge(
    'consistency_rows_undecided',
    'Rows of the last pass that changed too often to be compared.',
    table,
    ofTable,
  ),
  columnsSkipped: gauge(
    'consistency_columns_skipped',
    'Columns that are not compared; the report names them.',
    table,
    ofTable,
  ),
  completed: gauge(
    'consistency_last_completed_timestamp_seconds',
    'When a pass over the table was last completed.',
    table,
    ofTable,
  ),
  duration: gauge('consistency_last_duration_seconds', 'How long that pass took.', table, ofTable),
  progress: gauge(
    'consistency_progress_ratio',
    'Part of the table that the present pass is through with, by the server’s guess of its rows.',
    table,
    ofTable,
  ),
  tablesLeftOut: gauge(
    'consistency_tables_left_out',
    '1 when the patterns name more tables than are compared (200).',
    [],
    ofRun,
  ),
  throttled: counter(
    'consistency_throttled_seconds_total',
    'Time that was waited because of the copy’s lag, or the load of a server.',
    ['reason'],
    ofRun,
  ),
  errors: counter('consistency_errors_total', 'What ended a look, by class.', ['class'], ofRun),
  keysState: gauge(
    'consistency_keys_state',
    'State of the sampled keys: one series per state, 1 for the present one.',
    ['state'],
  ),
  keysSampled: counter('consistency_keys_sampled_total', 'Keys of the primary that were compared.', [], ofKeys),
  keysPartial: counter(
    'consistency_keys_partial_total',
    'Of these, the large ones: only their length and a part was compared.',
    [],
    ofKeys,
  ),
  keysUndecided: counter(
    'consistency_keys_undecided_total',
    'Of these, the ones that changed too often to be compared.',
    [],
    ofKeys,
  ),
  keysMissing: gauge('consistency_keys_missing', 'Keys of the last sample that the copy lacks.', [], ofKeys),
  keysDifferent: gauge(
    'consistency_keys_different',
    'Keys of the last sample that are others on the copy.',
    [],
    ofKeys,
  ),
  keysCompleted: gauge(
    'consistency_keys_last_completed_timestamp_seconds',
    'When a sample was last completed.',
    [],
    ofKeys,
  ),
} as const;
