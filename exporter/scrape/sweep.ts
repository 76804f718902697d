import type { CollectorCall } from '../collector.ts';
import type { Target } from '../config/inventory.ts';
import { FactBoard } from '../facts.ts';
import { until } from '../runtime/deadline.ts';
import type { BoundCollector, BoundTarget, TargetClient } from '../system.ts';
import { attempt, type Connection } from './connection.ts';
import type { SweepGate } from './gate.ts';
import { SeriesGuard } from './guard.ts';
import { failureOf, queued, replacing, type Failure, type Outcome } from './outcome.ts';
import { LineMemory } from './line-memory.ts';
import { peersOf, type SweepDeps } from './sweep-deps.ts';
import { labelsOf } from './target-labels.ts';
import { SampleWriter, shareSeries, type Block } from './writer.ts';

interface SweepParts {
  readonly target: Target;
  readonly bound: BoundTarget;
  readonly connection: Connection;
  /** Collectors whose run in an earlier sweep has not ended yet. */
  readonly busy: Set<string>;
  /** Bytes of each family in the sweep before. */
  readonly sizes: Map<string, number>;
  /** What each collector has written in earlier sweeps. */
  readonly memories: Map<string, LineMemory>;
  /** Collectors to run; all when left out. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Known to be down: nothing is asked. */
  readonly resting?: Failure | undefined;
  readonly gate: SweepGate;
  readonly deps: SweepDeps;
}

/** One sweep of one target. Never rejects; it can be looked at before it has ended. */
export class Sweep {
  readonly startedAtMs: number;
  readonly done: Promise<void>;
  readonly #parts: SweepParts;
  readonly #chosen: readonly BoundCollector[];
  readonly #abort = new AbortController();
  readonly #outcomes = new Map<string, Outcome>();
  /** What they yielded, by family: to look for each among all others would take longer than to write it. */
  readonly #settled = new Map<string, { readonly collector: string; readonly block: Block }[]>();
  /** Facts of the collectors that have ended well, for those of the same target that end later. */
  readonly #board = new FactBoard();
  #answered = false;
  /** Why the target has not been asked yet. */
  #waitsFor: Failure | undefined;
  #collecting = false;
  #unreached: Failure | undefined;
  #down: Failure | undefined;
  #budgetMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: SweepParts, budgetMs: number) {
    this.#parts = parts;
    this.#chosen = chosenOf(parts.bound, parts.only);
    this.startedAtMs = parts.deps.clock.monoMs();
    this.allow(budgetMs);
    this.done = this.#run().finally(() => {
      clearTimeout(this.#timer);
    });
  }

  /**
   * A scrape that joins may have more patience than the one that began the sweep. Only its budget counts, not its later
   * deadline: overlapping scrapes must not keep a hung sweep alive for ever.
   */
  allow(budgetMs: number): void {
    if (budgetMs <= this.#budgetMs) return;
    this.#budgetMs = budgetMs;
    clearTimeout(this.#timer);
    const leftMs = this.startedAtMs + budgetMs - this.#parts.deps.clock.monoMs();
    this.#timer = setTimeout(
      () => {
        this.abort();
      },
      Math.max(0, Math.ceil(leftMs)),
    );
  }

  /** Whether its time is over, but for the few milliseconds by which timers differ. */
  get over(): boolean {
    return this.#parts.deps.clock.monoMs() >= this.startedAtMs + this.#budgetMs - 5;
  }

  /** Has its turn not come yet? */
  get isWaiting(): boolean {
    return this.#waitsFor !== undefined;
  }

  get target(): Target {
    return this.#parts.target;
  }

  /** The collectors that it runs; all when undefined. */
  get only(): ReadonlySet<string> | undefined {
    return this.#parts.only;
  }

  /** From its start; the longest that was allowed. */
  get budgetMs(): number {
    return this.#budgetMs;
  }

  /** Why there was no connection to collect by. */
  get unreached(): Failure | undefined {
    return this.#unreached;
  }

  /** Was there something to collect by? */
  get reached(): boolean {
    return this.#collecting;
  }

  /** Was the target left alone? */
  get isResting(): boolean {
    return this.#parts.resting !== undefined;
  }

  /** Whether it runs all that is asked for. */
  covers(only: ReadonlySet<string> | undefined): boolean {
    const mine = this.#parts.only;
    return mine === undefined || (only !== undefined && [...only].every((name) => mine.has(name)));
  }

  abort(): void {
    this.#abort.abort(new DOMException('the time for this sweep is over', 'TimeoutError'));
  }

  /** What is known now; a part that has not ended, or was not run, counts as late. */
  look(only?: ReadonlySet<string>): { readonly down: Failure | undefined; readonly outcomes: readonly Outcome[] } {
    const late = this.#waitsFor ?? ({ class: 'deadline', why: `no answer in time` } as const);
    const down = this.#answered ? undefined : (this.#down ?? late);
    const outcomes = chosenOf(this.#parts.bound, only).map(
      (collector) =>
        this.#outcomes.get(collector.name) ??
        this.#failed(collector, this.#collecting ? late : (down ?? late), undefined),
    );
    return { down, outcomes };
  }

  async #run(): Promise<void> {
    const { gate, resting, connection } = this.#parts;
    if (resting !== undefined) {
      this.#fail(resting);
      return;
    }
    const { signal } = this.#abort;
    const { predecessor } = connection;
    if (predecessor !== undefined) {
      this.#waitsFor = replacing;
      await until(signal, 'waiting for the end of the same target before the reload', predecessor).catch(
        () => undefined,
      );
      if (signal.aborted) {
        this.#fail(replacing);
        return;
      }
    }
    this.#waitsFor = queued;
    const turn = await gate.enter(this.startedAtMs + this.#budgetMs, signal);
    this.#waitsFor = undefined;
    if (turn === undefined) this.#fail(queued);
    else await this.#sweep().finally(turn.end);
  }

  async #sweep(): Promise<void> {
    const { connection } = this.#parts;
    const { clock } = this.#parts.deps;
    const { signal } = this.#abort;
    try {
      const client = await connection.ready({ signal, clock });
      if (connection.silence === undefined) this.#answered = true;
      else this.#down = failureOf(connection.silence, signal);
      this.#collecting = true;
      await Promise.all(this.#chosen.map((collector) => this.#collect(collector, client)));
    } catch (error) {
      this.#unreached = failureOf(error, signal);
      if (this.#unreached.class === 'bug') this.#parts.deps.fault(`open ${this.#parts.target.kind}`, error);
      this.#fail(this.#unreached);
    }
    // Late queries end only with their connection.
    if (signal.aborted) connection.close();
    else connection.release();
  }

  #fail(down: Failure): void {
    this.#down = down;
    for (const c of this.#chosen) this.#settle(this.#failed(c, down, undefined));
  }

  async #collect(collector: BoundCollector, client: TargetClient): Promise<void> {
    const { busy, deps } = this.#parts;
    if (busy.has(collector.name)) {
      const failure = { class: 'deadline', why: 'its run in an earlier sweep has not ended' } as const;
      this.#settle(this.#failed(collector, failure, undefined));
      return;
    }
    const { clock } = deps;
    const startedAtMs = clock.monoMs();
    const writer = this.#writer(this.#memoryOf(collector.name));
    const guard = new SeriesGuard(this.#parts.target.seriesLimit, writer.put);
    const board = new FactBoard(this.#board);
    const { signal } = this.#abort;
    let observedAtMs = startedAtMs;
    const call: CollectorCall = {
      ...this.#callOf(signal, board),
      observed: (atMonoMs) => {
        observedAtMs = Math.min(observedAtMs, atMonoMs);
      },
    };
    busy.add(collector.name);
    const work = attempt(() => collector.collect(client, guard.put, call)).finally(() => busy.delete(collector.name));
    let outcome: Outcome;
    try {
      await until(signal, collector.name, work);
      const blocks = this.#finish(writer);
      const durationMs = clock.monoMs() - startedAtMs;
      this.#board.take(board);
      const { refused } = guard;
      outcome = { collector: collector.name, failure: undefined, durationMs, observedAtMs, blocks, board, refused };
    } catch (error) {
      const fault = writer.fault;
      const failure = fault === undefined ? failureOf(error, signal) : { class: 'bug' as const, why: fault.message };
      if (failure.class === 'bug') deps.fault(`collector ${collector.name}`, fault ?? error);
      writer.discard();
      outcome = this.#failed(collector, failure, clock.monoMs() - startedAtMs);
    }
    this.#settle(outcome);
  }

  #settle(outcome: Outcome): void {
    const { collector, blocks } = outcome;
    this.#outcomes.set(collector, outcome);
    for (const block of blocks) {
      const same = this.#settled.get(block.header.name);
      if (same === undefined) this.#settled.set(block.header.name, [{ collector, block }]);
      else same.push({ collector, block });
    }
    const { others, clock } = this.#parts.deps;
    others?.facts.share(outcome.board, clock.monoMs());
  }

  /** The series of a collector that has ended well. @throws when another one of this target has emitted one of them */
  #finish(writer: SampleWriter): Block[] {
    const blocks = writer.finish();
    for (const block of blocks) {
      for (const { collector, block: other } of this.#settled.get(block.header.name) ?? []) {
        if (!shareSeries(other, block)) continue;
        throw new Error(`${block.header.name}: collector ${collector} has emitted a series of the same labels`);
      }
    }
    return blocks;
  }

  #failed(collector: BoundCollector, failure: Failure, durationMs: number | undefined): Outcome {
    const { deps } = this.#parts;
    const writer = this.#writer();
    const guard = new SeriesGuard(this.#parts.target.seriesLimit, writer.put);
    const board = new FactBoard(this.#board);
    const observedAtMs = deps.clock.monoMs();
    const outcome = { collector: collector.name, failure, durationMs, observedAtMs, refused: guard.refused };
    try {
      collector.unknown(failure.why, guard.put, this.#callOf(this.#abort.signal, board));
      return { ...outcome, blocks: this.#finish(writer), board };
    } catch (error) {
      writer.discard();
      deps.fault(`collector ${collector.name}`, error);
      return { ...outcome, blocks: [], board: new FactBoard() };
    }
  }

  #writer(memory?: LineMemory): SampleWriter {
    const { target, sizes } = this.#parts;
    return new SampleWriter({ level: 'target', constant: labelsOf(target), sizes, memory });
  }

  #memoryOf(collector: string): LineMemory {
    const memory = this.#parts.memories.get(collector) ?? new LineMemory(this.#parts.target.seriesLimit);
    this.#parts.memories.set(collector, memory);
    return memory;
  }

  #callOf(signal: AbortSignal, board: FactBoard): CollectorCall {
    const target = this.#parts.target.name;
    const patienceMs = this.#budgetMs * peerShare;
    const peers = peersOf(this.#parts.deps, target, { sinceMs: this.startedAtMs, signal, patienceMs });
    return { signal, clock: this.#parts.deps.clock, target, board, ...peers };
  }
}

/** Of the time of a sweep, for what another target is about to tell: enough is left for what is made of it. */
const peerShare = 1 / 3;

function chosenOf({ collectors }: BoundTarget, only: ReadonlySet<string> | undefined): readonly BoundCollector[] {
  return only === undefined ? collectors : collectors.filter(({ name }) => only.has(name));
}
