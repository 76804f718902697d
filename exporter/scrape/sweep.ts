import type { CollectorCall, Peers } from '../collector.ts';
import type { Target } from '../config/inventory.ts';
import { FactBoard, type SharedFacts } from '../facts.ts';
import { classOf, messageOf, type TargetErrorCode } from '../runtime/errors.ts';
import { until } from '../runtime/deadline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { BoundCollector, BoundTarget, TargetClient } from '../system.ts';
import { attempt, type Connection } from './connection.ts';
import { SampleWriter, seriesRoom, shareSeries, type Block, type SeriesRoom } from './writer.ts';

export interface SweepDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** A part of this program threw what it must not: counted, and served as a metric. */
  readonly fault: (part: string, error: unknown) => void;
  /** The other targets of the inventory; a sweep by itself has none. */
  readonly others?: { readonly facts: SharedFacts; readonly sourcesOf: (target: string) => readonly string[] };
}

/** Why something was not had. */
export interface Failure {
  readonly class: TargetErrorCode;
  readonly why: string;
}

/** What one collector yielded. */
export interface Outcome {
  readonly collector: string;
  /** Undefined when it succeeded. */
  readonly failure: Failure | undefined;
  /** Undefined when it was not run. */
  readonly durationMs: number | undefined;
  /** On the monotonic clock: when what it yielded was observed. */
  readonly observedAtMs: number;
  readonly blocks: readonly Block[];
  readonly board: FactBoard;
  readonly dropped: number;
}

interface SweepParts {
  readonly target: Target;
  readonly bound: BoundTarget;
  readonly connection: Connection;
  /** Collectors whose run in an earlier sweep has not ended yet. */
  readonly busy: Set<string>;
  /** Bytes of each family in the sweep before. */
  readonly sizes: Map<string, number>;
  /** Collectors to run; all when left out. */
  readonly only?: ReadonlySet<string> | undefined;
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
  readonly #room: SeriesRoom;
  /** Facts of the collectors that have ended well, for those of the same target that end later. */
  readonly #board = new FactBoard();
  #answered = false;
  #collecting = false;
  #down: Failure | undefined;
  #budgetMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: SweepParts, budgetMs: number) {
    this.#parts = parts;
    this.#chosen = chosenOf(parts.bound, parts.only);
    this.#room = seriesRoom(parts.target.seriesLimit);
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

  get target(): Target {
    return this.#parts.target;
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
    const late = { class: 'deadline', why: `no answer in time` } as const;
    const down = this.#answered ? undefined : (this.#down ?? late);
    const outcomes = chosenOf(this.#parts.bound, only).map(
      (collector) =>
        this.#outcomes.get(collector.name) ??
        this.#failed(collector, this.#collecting ? late : (down ?? late), undefined),
    );
    return { down, outcomes };
  }

  async #run(): Promise<void> {
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
      this.#down = failureOf(error, signal);
      if (this.#down.class === 'bug') this.#parts.deps.fault(`open ${this.#parts.target.kind}`, error);
      for (const c of this.#chosen) this.#settle(this.#failed(c, this.#down, undefined));
    }
    // Late queries end only with their connection.
    if (signal.aborted) connection.close();
    else connection.release();
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
    const writer = this.#writer(this.#room);
    const board = new FactBoard(this.#board);
    const signal = AbortSignal.any([this.#abort.signal]);
    let observedAtMs = startedAtMs;
    const call: CollectorCall = {
      ...this.#callOf(signal, board),
      observed: (atMonoMs) => {
        observedAtMs = Math.min(observedAtMs, atMonoMs);
      },
    };
    busy.add(collector.name);
    const work = attempt(() => collector.collect(client, writer.put, call)).finally(() => busy.delete(collector.name));
    let outcome: Outcome;
    try {
      await until(signal, collector.name, work);
      const blocks = this.#finish(writer);
      const durationMs = clock.monoMs() - startedAtMs;
      this.#board.take(board);
      const { dropped } = writer;
      outcome = { collector: collector.name, failure: undefined, durationMs, observedAtMs, blocks, board, dropped };
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
    this.#outcomes.set(outcome.collector, outcome);
    const { others, clock } = this.#parts.deps;
    others?.facts.share(outcome.board, clock.monoMs());
  }

  /** The series of a collector that has ended well. @throws when another one of this target has emitted one of them */
  #finish(writer: SampleWriter): Block[] {
    const blocks = writer.finish();
    for (const block of blocks) {
      for (const [name, other] of this.#outcomes) {
        const same = other.blocks.find((b) => b.header.name === block.header.name);
        if (same === undefined || !shareSeries(same, block)) continue;
        throw new Error(`${block.header.name}: collector ${name} has emitted a series of the same labels`);
      }
    }
    return blocks;
  }

  #failed(collector: BoundCollector, failure: Failure, durationMs: number | undefined): Outcome {
    const { deps } = this.#parts;
    // A room of its own: what says why must not be crowded out by what another collector yielded.
    const writer = this.#writer(seriesRoom(this.#parts.target.seriesLimit));
    const board = new FactBoard(this.#board);
    const outcome = { collector: collector.name, failure, durationMs, observedAtMs: deps.clock.monoMs(), dropped: 0 };
    try {
      collector.unknown(failure.why, writer.put, this.#callOf(this.#abort.signal, board));
      return { ...outcome, blocks: this.#finish(writer), board };
    } catch (error) {
      writer.discard();
      deps.fault(`collector ${collector.name}`, error);
      return { ...outcome, blocks: [], board: new FactBoard() };
    }
  }

  #writer(room: SeriesRoom): SampleWriter {
    const { target, sizes } = this.#parts;
    return new SampleWriter({ level: 'target', constant: labelsOf(target), room, sizes });
  }

  #callOf(signal: AbortSignal, board: FactBoard): CollectorCall {
    const target = this.#parts.target.name;
    const peers = peersOf(this.#parts.deps, target, { sinceMs: this.startedAtMs, signal });
    return { signal, clock: this.#parts.deps.clock, target, board, ...peers };
  }
}

function chosenOf({ collectors }: BoundTarget, only: ReadonlySet<string> | undefined): readonly BoundCollector[] {
  return only === undefined ? collectors : collectors.filter(({ name }) => only.has(name));
}

/** @param round what is shared since then is of the present round; until its signal aborts it is awaited */
export function peersOf(
  { others }: SweepDeps,
  target: string,
  round: { readonly sinceMs: number; readonly signal: AbortSignal },
): { readonly peers?: Peers } {
  if (others === undefined) return {};
  return {
    peers: {
      sources: others.sourcesOf(target),
      fact: (of, key, waitMs) => others.facts.newest(of, key, { ...round, waitMs }),
    },
  };
}

/** In front of every series of the target. */
export function labelsOf(target: Target): Readonly<Record<string, string>> {
  return { target: target.name, ...target.labels };
}

/** Whatever a client throws once its time is over, its time being over is the reason. */
export function failureOf(error: unknown, signal: AbortSignal): Failure {
  return { class: signal.aborted ? 'deadline' : classOf(error), why: messageOf(error) };
}
