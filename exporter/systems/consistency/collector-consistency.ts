import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { ConsistencyPlan } from './address.ts';
import type { ConsistencyClient } from './client.ts';
import {
  consistencyFamilies,
  reportStates,
  resultStates,
  runStates,
  type ReportState,
  type ResultState,
  type RunState,
} from './families.ts';
import { consistencyFact, keysView, newMemory, tableView, type ConsistencyMemory, type TableView } from './state.ts';

type ConsistencyEmit = Emit<typeof consistencyFamilies>;

interface Held {
  /** Of the work beside the sweeps; undefined where there is none (doctor). */
  memory: ConsistencyMemory | undefined;
  plan: ConsistencyPlan | undefined;
}

const openMs = 5_000;

/** Serves what the work beside the sweeps has found: nobody is asked on a scrape. */
export const consistencyCollector = collectorOf<ConsistencyClient>()({
  name: 'consistency',
  help: 'Rows of a copy against its source, or a sample of keys, compared beside the scrapes.',
  keeps: 'how far the comparison has come and what it found; over a restart in its state_file',
  config: z.strictObject({}),
  families: consistencyFamilies,
  state: (): Held => ({ memory: undefined, plan: undefined }),
  async background({ state, work }) {
    const { clock } = work;
    const client = await work.open({ clock, signal: AbortSignal.timeout(openMs) });
    const { plan } = client;
    // Counters go on when the work was begun anew
    const memory = (state.memory ??= newMemory());
    // Loaded when there is such a target: they bring the clients of both systems.
    if (plan.kind === 'mysql') await (await import('./background-tables.ts')).runTables({ client, plan, memory, work });
    else await (await import('./background-keys.ts')).runKeys({ client, plan, memory, work });
  },
  collect({ client, emit, call, state }) {
    const { plan } = client;
    state.plan = plan;
    const { memory } = state;
    if (memory === undefined) {
      emitUnknown(emit, plan);
      call.board.publish(call.target, consistencyFact, unknown('the comparison is not running'));
      return Promise.resolve();
    }
    if (memory.observedAtMs !== undefined) call.observed?.(memory.observedAtMs);
    emitRun(emit, memory.run.state, memory.report.state);
    for (const [reason, ms] of memory.throttledMs) emit.throttled(ms / 1000, { reason });
    for (const [code, count] of memory.errors) emit.errors(count, { class: code });
    if (plan.kind === 'mysql') emitTables(emit, call, { plan, memory });
    else emitKeys(emit, call, { plan, memory });
    return Promise.resolve();
  },
  unknown({ emit, call, state, why }) {
    call.board.publish(call.target, consistencyFact, unknown(why));
    emitUnknown(emit, state.plan);
  },
});

interface Found<Kind extends ConsistencyPlan['kind']> {
  readonly plan: Extract<ConsistencyPlan, { readonly kind: Kind }>;
  readonly memory: ConsistencyMemory;
}

function emitTables(emit: ConsistencyEmit, call: CollectorCall, { plan, memory }: Found<'mysql'>): void {
  const nowMs = call.clock.wallMs();
  const tables = [...memory.tables].map(([name, record]) => tableView(name, record, plan.everyMs, nowMs));
  call.board.publish(call.target, consistencyFact, known({ run: memory.run, tables, keys: undefined }, nowMs));
  if (memory.tablesLeftOut !== undefined) emit.tablesLeftOut(memory.tablesLeftOut ? 1 : 0);
  for (const view of tables) emitTable(emit, view);
  // What is named stands there before it was looked for
  for (const name of namedTables(plan)) if (!memory.tables.has(name)) emitTableState(emit, name, 'unknown');
}

function emitTable(emit: ConsistencyEmit, view: TableView): void {
  const labels = { table: view.table };
  emitTableState(emit, view.table, view.state);
  emit.rowsChecked(view.checkedTotal, labels);
  if (view.hasCounts) {
    emit.missing(view.missing, labels);
    emit.extra(view.extra, labels);
    emit.different(view.different, labels);
    emit.undecided(view.undecided, labels);
  }
  if (view.columnsSkipped !== undefined) emit.columnsSkipped(view.columnsSkipped, labels);
  if (view.completedAtMs !== undefined) emit.completed(view.completedAtMs / 1000, labels);
  if (view.tookMs !== undefined) emit.duration(view.tookMs / 1000, labels);
  if (view.progressRatio !== undefined) emit.progress(view.progressRatio, labels);
}

function emitKeys(emit: ConsistencyEmit, call: CollectorCall, { plan, memory }: Found<'redis'>): void {
  const nowMs = call.clock.wallMs();
  const view = keysView(memory, plan.everyMs, nowMs);
  call.board.publish(call.target, consistencyFact, known({ run: memory.run, tables: [], keys: view }, nowMs));
  emitKeysState(emit, view.state);
  const { last, sampled, partial, undecided } = memory.keys;
  emit.keysSampled(sampled);
  emit.keysPartial(partial);
  emit.keysUndecided(undecided);
  if (last === undefined) return;
  emit.keysMissing(last.missing);
  emit.keysDifferent(last.different);
  emit.keysCompleted(last.completedAtMs / 1000);
}

function namedTables(plan: ConsistencyPlan | undefined): readonly string[] {
  return plan?.kind === 'mysql' ? [...new Set(plan.tables)].filter((name) => !name.includes('*')) : [];
}

function emitUnknown(emit: ConsistencyEmit, plan: ConsistencyPlan | undefined): void {
  emitRun(emit, 'unknown', 'unknown');
  for (const name of namedTables(plan)) emitTableState(emit, name, 'unknown');
  if (plan?.kind === 'redis') emitKeysState(emit, 'unknown');
}

function emitRun(emit: ConsistencyEmit, run: RunState, report: ReportState): void {
  emitState(
    (value, state) => {
      emit.runState(value, { state });
    },
    runStates,
    run,
  );
  emitState(
    (value, state) => {
      emit.reportState(value, { state });
    },
    reportStates,
    report,
  );
}

function emitTableState(emit: ConsistencyEmit, name: string, current: ResultState): void {
  emitState(
    (value, state) => {
      emit.state(value, { table: name, state });
    },
    resultStates,
    current,
  );
}

function emitKeysState(emit: ConsistencyEmit, current: ResultState): void {
  emitState(
    (value, state) => {
      emit.keysState(value, { state });
    },
    resultStates,
    current,
  );
}
