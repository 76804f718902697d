// Compares tables of two servers beside the sweeps: read only, on two connections of its own, one chunk at a time, with
// rests in between, resumed where it was left.
import { within } from '../../runtime/deadline.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import { paused } from '../../runtime/repeat.ts';
import type { MysqlClient } from '../mysql/client.ts';
import type { TablesPlan } from './address.ts';
import { tableReport } from './background-reports.ts';
import { loadPlace, savePlace } from './background-store.ts';
import { compareTable } from './background-table.ts';
import { callMs, Throttle, type Work } from './background-throttle.ts';
import { openBoth, type ConsistencyClient } from './client.ts';
import { findTables } from './facts-shape.ts';
import type { Both } from './facts-table.ts';
import type { ConsistencyMemory } from './state.ts';

/** More would be more series than a comparison is worth. */
const maxTables = 200;
const keepEveryMs = 2_000;
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
interface Comparison {
  readonly client: ConsistencyClient;
  readonly plan: TablesPlan;
  readonly memory: ConsistencyMemory;
  readonly work: Work;
}

/** Runs until the signal aborts, whatever its targets do. @throws only for a fault of this program */
export async function runTables(of: Comparison): Promise<void> {
  const { memory, plan, work } = of;
  const keeper = new Keeper(of);
  await keeper.load();
  let pauseMs = firstPauseMs;
  try {
    while (!work.signal.aborted) {
      const dueMs = (memory.passStartedAtMs ?? -Infinity) + plan.everyMs;
      const nowMs = work.clock.wallMs();
      const isUnderWay = memory.passStartedAtMs !== undefined && !keeper.isComplete;
      // A clock that went back makes no pass wait for longer than `every`
      if (!isUnderWay && nowMs < dueMs && dueMs - nowMs <= plan.everyMs) {
        memory.run = { state: 'idle', why: `the next pass begins at ${new Date(dueMs).toISOString()}` };
        await paused(Math.min(dueMs - nowMs, longestPauseMs), work.signal);
        continue;
      }
      if (!isUnderWay) memory.passStartedAtMs = nowMs;
      keeper.isComplete = false;
      const why = await pass(of, keeper);
      if (why === undefined) {
        keeper.isComplete = true;
        pauseMs = firstPauseMs;
        continue;
      }
      await paused(pauseMs, work.signal);
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
  } finally {
    await keeper.save();
  }
}

/** @returns why it was broken off; undefined when all tables are through */
async function pass(of: Comparison, keeper: Keeper): Promise<string | undefined> {
  const { memory, work } = of;
  const last = memory.run;
  try {
    await using clients = await openBoth(of.client.openTables, {
      clock: of.work.clock,
      signal: within(callMs, of.work.signal),
    });
    memory.run = { state: 'checking', why: '' };
    await compareAll(of, clients, keeper);
    return undefined;
  } catch (error) {
    if (work.signal.aborted) return 'ended';
    if (!(error instanceof TargetError)) throw error;
    const why = error.message;
    memory.errors.set(error.code, (memory.errors.get(error.code) ?? 0) + 1);
    memory.run = { state: 'failed', why };
    // Once, not at each try
    if (last.state !== 'failed' || last.why !== why) work.log.warn({ why }, 'the comparison was broken off');
    return why;
  }
}

async function compareAll(of: Comparison, clients: Both<MysqlClient>, keeper: Keeper): Promise<void> {
  const { memory, plan, work } = of;
  const throttle = new Throttle({ plan, clients, memory, work });
  const { tables, more } = await findTables(clients.source, plan.tables, maxTables, throttle.call());
  memory.tablesLeftOut = more;
  const names = tables.map(({ database, table }) => `${database}.${table}`);
  for (const name of [...memory.tables.keys()]) if (!names.includes(name)) memory.tables.delete(name);
  for (const name of names) if (!memory.tables.has(name)) memory.tables.set(name, { checkedTotal: 0 });
  for (const name of names) {
    const record = memory.tables.get(name);
    if (record === undefined || isDone(record.last?.completedAtMs, record.running !== undefined, memory)) continue;
    const report = tableReport(plan.reportDir, `${work.target}.${name}`, (why) => {
      keeper.told('report', why);
    });
    const keep = (): Promise<void> => keeper.keep();
    await compareTable({ name, plan, clients, throttle, memory, record, work, keep, report });
    memory.observedAtMs = work.clock.monoMs();
    await keeper.save();
  }
}

/** In the present pass. */
function isDone(
  completedAtMs: number | undefined,
  isRunning: boolean,
  { passStartedAtMs }: ConsistencyMemory,
): boolean {
  return !isRunning && completedAtMs !== undefined && completedAtMs >= (passStartedAtMs ?? Infinity);
}

/** The place in the tables, on disk. */
class Keeper {
  isComplete = false;
  readonly #of: Comparison;
  readonly #pair: string;
  readonly #wrong = new Map<'report' | 'place', string>();
  #savedAtMs = -Infinity;

  constructor(of: Comparison) {
    this.#of = of;
    this.#pair = `${of.plan.source} and ${of.plan.copy}`;
    const isKept = of.plan.reportDir !== undefined || of.plan.stateFile !== undefined;
    of.memory.report = { state: isKept ? 'ok' : 'none', why: '' };
  }

  async load(): Promise<void> {
    const { plan, memory, work } = this.#of;
    if (plan.stateFile === undefined) return;
    const why = await loadPlace(plan.stateFile, this.#pair, memory);
    if (why !== undefined)
      work.log.warn({ file: plan.stateFile, why }, 'the state file is not used: all is compared anew');
    const { passStartedAtMs: startedAtMs, tables } = memory;
    this.isComplete = [...tables.values()].every(
      ({ last, running }) => last !== undefined && isDone(last.completedAtMs, running !== undefined, memory),
    );
    if (startedAtMs !== undefined && startedAtMs > work.clock.wallMs()) memory.passStartedAtMs = undefined;
  }

  /** Not more often than it is worth. */
  async keep(): Promise<void> {
    if (this.#of.work.clock.monoMs() - this.#savedAtMs >= keepEveryMs) await this.save();
  }

  async save(): Promise<void> {
    const { plan, memory, work } = this.#of;
    this.#savedAtMs = work.clock.monoMs();
    if (plan.stateFile === undefined) return;
    try {
      await savePlace(plan.stateFile, this.#pair, memory);
      this.told('place', undefined);
    } catch (error) {
      this.told('place', messageOf(error));
    }
  }

  told(what: 'report' | 'place', why: string | undefined): void {
    const { memory, work } = this.#of;
    if (why === undefined) {
      this.#wrong.delete(what);
    } else {
      if (!this.#wrong.has(what)) work.log.warn({ what, why }, 'what was found cannot be kept on disk');
      this.#wrong.set(what, why);
    }
    const [wrong] = this.#wrong.values();
    memory.report = wrong === undefined ? { state: 'ok', why: '' } : { state: 'failed', why: wrong };
  }
}
