// One table, chunk by chunk.
import { messageOf, TargetError } from '../../runtime/errors.ts';
import type { MysqlClient } from '../mysql/client.ts';
import type { TablesPlan } from './address.ts';
import { compareSums, judgeChunk, nextUpper, wantsSmaller, type Chunks, type Judged } from './background-rows.ts';
import type { TableReport } from './background-reports.ts';
import type { Throttle, Work } from './background-throttle.ts';
import { readShape } from './facts-shape.ts';
import { keyText, type Range } from './facts-statements.ts';
import { placesOf, placeText, planOf, type Both, type Place, type TablePlan } from './facts-table.ts';
import { noCounts, type ConsistencyMemory, type PassProgress, type PassResult, type TableRecord } from './state.ts';

export interface TableRun {
  readonly name: string;
  readonly plan: TablesPlan;
  readonly clients: Both<MysqlClient>;
  readonly throttle: Throttle;
  readonly memory: ConsistencyMemory;
  readonly record: TableRecord;
  readonly work: Work;
  /** Keeps the place; not each time. */
  readonly keep: () => Promise<void>;
  readonly report: TableReport;
}

const leastRows = 10;
/** After so many chunks that differ, the others are looked at without waiting that long. */
const patience = 3;

/** Compares the table from its place on. @throws TargetError where a server went away: the place is kept */
export async function compareTable(run: TableRun): Promise<void> {
  const { name, record, work } = run;
  const startedAtMs = record.running?.startedAtMs ?? work.clock.wallMs();
  const end = (result: Omit<PassResult, 'completedAtMs' | 'tookMs'>): void => {
    const completedAtMs = work.clock.wallMs();
    record.last = { ...result, completedAtMs, tookMs: Math.max(0, completedAtMs - startedAtMs) };
    record.running = undefined;
  };
  try {
    const result = await compare(run, startedAtMs);
    await run.report.finish({ table: name, ...result });
    end(result);
    work.log.info({ table: name, ...result }, 'a table was compared');
  } catch (error) {
    if (!(error instanceof TargetError) || isOfServer(error, run)) throw error;
    // What this table alone does not allow: a grant, a table that was altered, a statement that takes too long
    const why = error.message;
    const counts = record.running ?? noCounts;
    const { rows, missing, extra, different, undecided } = counts;
    const verdict = missing + extra + different > 0 ? 'inconsistent' : 'unverifiable';
    const result = { rows, missing, extra, different, undecided, verdict, why, columnsSkipped: 0 } as const;
    await run.report.finish({ table: name, ...result });
    end(result);
    work.log.warn({ table: name, why }, 'a table cannot be compared');
  }
}

/** A server that is away, or a connection that is gone: everything waits for it. */
function isOfServer(error: TargetError, { clients, work }: TableRun): boolean {
  if (work.signal.aborted || !clients.source.usable() || !clients.copy.usable()) return true;
  return ['refused', 'unreachable', 'auth', 'tls', 'secret', 'bug'].includes(error.code);
}

type Result = Omit<PassResult, 'completedAtMs' | 'tookMs'>;

async function compare(run: TableRun, startedAtMs: number): Promise<Result> {
  const { clients, throttle, record } = run;
  const places = placesOf(run.name, run.plan);
  await throttle.pass();
  const shape = {
    source: await readShape(clients.source, places.source, throttle.call()),
    copy: await readShape(clients.copy, places.copy, throttle.call()),
  };
  if (shape.source === undefined) {
    throw new TargetError('unsupported', `there is no table ${placeText(places.source)} on ${run.plan.source}`);
  }
  record.rowsGuess = shape.source.rowsGuess;
  if (shape.copy === undefined) {
    const rows = await countRows(run, 'source', places.source);
    const why = `there is no table ${placeText(places.copy)} on ${run.plan.copy}`;
    return { ...noCounts, rows, missing: rows, verdict: 'inconsistent', why, columnsSkipped: 0 };
  }
  const sameFlavour = clients.source.flavour === clients.copy.flavour;
  const plan = planOf(places, { source: shape.source, copy: shape.copy }, sameFlavour);
  if (typeof plan === 'string') return countOnly(run, places, plan);
  return compareRows(run, plan, startedAtMs);
}

/** Rows that nothing tells apart: their number is all that can be compared. */
async function countOnly(run: TableRun, places: Both<Place>, why: string): Promise<Result> {
  const source = await countRows(run, 'source', places.source);
  const copy = await countRows(run, 'copy', places.copy);
  const counted = source === copy ? 'the counts agree' : `${String(source)} rows on the source, ${String(copy)} there`;
  return { ...noCounts, rows: source, verdict: 'unverifiable', why: `${why} (${counted})`, columnsSkipped: 0 };
}

async function countRows({ clients, throttle }: TableRun, side: 'source' | 'copy', place: Place): Promise<number> {
  const [row] = await clients[side].query(`SELECT COUNT(*) AS n FROM ${placeText(place)}`, [], throttle.call());
  return Number(row?.['n'] ?? 0);
}

async function compareRows(run: TableRun, plan: TablePlan, startedAtMs: number): Promise<Result> {
  const { record, clients, throttle, work } = run;
  const chunks: Chunks = { plan, clients, throttle, settleMs: run.plan.settleMs };
  let now = await placeToGoOn(run, plan, startedAtMs);
  let rows = run.plan.chunkRows;
  let confirmed = 0;
  for (;;) {
    await throttle.pass();
    const beganAtMs = work.clock.monoMs();
    try {
      const upper = await nextUpper(chunks, now.lower, rows);
      const range = { lower: now.lower, upper };
      const sum = await compareSums(chunks, range);
      const judged = sum.isSame ? [] : await differences(chunks, range, { rows, confirmed });
      if (judged.length > 0) confirmed += 1;
      now = await added(run, plan, now, { range, rows: sum.rows, judged });
      record.running = now;
      record.checkedTotal += sum.rows;
      run.memory.observedAtMs = work.clock.monoMs();
      if (upper === undefined) break;
      rows = Math.min(run.plan.chunkRows, Math.ceil(rows * 1.25));
    } catch (error) {
      if (!wantsSmaller(error)) throw error;
      if (rows <= leastRows) {
        throw new TargetError('unsupported', `${String(rows)} rows take too long: ${messageOf(error)}`, {
          cause: error,
        });
      }
      rows = Math.max(leastRows, Math.floor(rows / 2));
    }
    await run.keep();
    await throttle.rest(work.clock.monoMs() - beganAtMs);
  }
  const { missing, extra, different, undecided } = now;
  const isSame = missing + extra + different === 0;
  return {
    ...{ rows: now.rows, missing, extra, different, undecided },
    verdict: isSame ? 'consistent' : 'inconsistent',
    why: isSame
      ? 'every row is the same'
      : `${String(missing)} missing, ${String(extra)} extra, ${String(different)} different`,
    columnsSkipped: plan.skipped.length,
  };
}

async function placeToGoOn(run: TableRun, plan: TablePlan, startedAtMs: number): Promise<PassProgress> {
  const { record, name } = run;
  const before = record.running;
  if (before !== undefined && before.signature === plan.signature && (await run.report.resume(before))) return before;
  await run.report.begin({
    table: name,
    source: run.plan.source,
    copy: run.plan.copy,
    started: new Date(startedAtMs).toISOString(),
    columns_skipped: plan.skipped,
  });
  const { bytes, lines } = run.report;
  const fresh = { startedAtMs, signature: plan.signature, lower: undefined, reportBytes: bytes, reportLines: lines };
  const now = { ...noCounts, ...fresh };
  record.running = now;
  return now;
}

/** A chunk that is the same at a later look had rows on their way. */
async function differences(
  chunks: Chunks,
  range: Range,
  { rows, confirmed }: { readonly rows: number; readonly confirmed: number },
): Promise<readonly Judged[]> {
  for (const factor of confirmed < patience ? [1, 3, 9] : [1]) {
    await chunks.throttle.settle(factor * chunks.settleMs);
    if ((await compareSums(chunks, range)).isSame) return [];
  }
  return judgeChunk(chunks, range, 4 * rows);
}

async function added(
  run: TableRun,
  plan: TablePlan,
  now: PassProgress,
  found: { readonly range: Range; readonly rows: number; readonly judged: readonly Judged[] },
): Promise<PassProgress> {
  const { judged, rows, range } = found;
  const count = (verdict: Judged['verdict']): number => judged.filter((row) => row.verdict === verdict).length;
  await run.report.append(judged.map(({ key, verdict }) => ({ row: verdict, id: keyText(plan.key, key) })));
  return {
    ...now,
    rows: now.rows + rows,
    missing: now.missing + count('missing'),
    extra: now.extra + count('extra'),
    different: now.different + count('different'),
    undecided: now.undecided + count('undecided'),
    lower: range.upper ?? now.lower,
    reportBytes: run.report.bytes,
    reportLines: run.report.lines,
  };
}
