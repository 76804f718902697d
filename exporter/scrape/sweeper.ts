import type { Target } from '../config/inventory.ts';
import type { FactBoard } from '../facts.ts';
import { Backoff } from './backoff.ts';
import { BackgroundWork } from './background.ts';
import { Connection } from './connection.ts';
import { cut, type Cut } from './cut.ts';
import { SweepGate } from './gate.ts';
import { plainLimits, type SweepLimits } from './limits.ts';
import { LineMemory } from './line-memory.ts';
import { targetBlocks } from './report.ts';
import type { Failure, Outcome } from './outcome.ts';
import { Sweep } from './sweep.ts';
import type { SweepDeps } from './sweep-deps.ts';
import { prefixOf } from './target-labels.ts';
import type { Block } from './writer.ts';

/** What one scrape gets of one target. */
export interface TargetReport {
  /** As it was when the sweep began: with its labels the blocks were written. */
  readonly target: Target;
  readonly blocks: readonly Block[];
  readonly boards: readonly FactBoard[];
}

/** What the sweepers of one exporter have in common. */
export interface SweeperDeps extends SweepDeps {
  /** Without back-off when left out. */
  readonly limits?: SweepLimits;
  readonly gate?: SweepGate;
}

/** Names of families that are counted one by one: a target invents as many as it likes. */
const mostFamilies = 100;

/** How the target was when it was asked last, for people. */
export interface TargetState {
  readonly target: Target;
  /** Undefined before the end of the first look. */
  readonly seen:
    { readonly atMs: number; readonly down: Failure | undefined; readonly failed: readonly string[] } | undefined;
}

/** Sweeps one target: one sweep at a time, shared by all scrapes that come while it runs; one connection, kept. */
export class Sweeper {
  #target: Target;
  readonly #deps: SweepDeps;
  readonly #parts: Pick<
    ConstructorParameters<typeof Sweep>[0],
    'bound' | 'connection' | 'busy' | 'sizes' | 'memories' | 'gate'
  >;
  readonly #background: BackgroundWork;
  readonly #limits: SweepLimits;
  readonly #backoff: Backoff;
  #running: Sweep | undefined;
  readonly #reports = new Set<Promise<TargetReport>>();
  #isAborted = false;
  /** What those who wait for the end of a sweep want of the next one: it does all of it. */
  readonly #waiting = new Set<{ readonly only: ReadonlySet<string> | undefined }>();
  readonly #droppedTotal = new Map<string, number>();
  readonly #ownLines = new LineMemory();
  #seen: TargetState['seen'];
  /** Families that were too large in the last sweep of all collectors. */
  #tooLarge: readonly string[] = [];

  /** @param after the end of the sweeper that this one replaces */
  constructor(target: Target, deps: SweeperDeps, after?: Promise<void>) {
    const limits = deps.limits ?? plainLimits;
    this.#target = target;
    this.#deps = { ...deps, log: deps.log.child({ target: target.name }) };
    this.#limits = limits;
    this.#backoff = new Backoff(limits);
    const bound = target.bind();
    this.#parts = {
      bound,
      connection: new Connection(bound, this.#deps.log, after),
      busy: new Set(),
      sizes: new Map(),
      memories: new Map(),
      gate: deps.gate ?? new SweepGate(limits.maxSweeps, deps.clock),
    };
    this.#background = new BackgroundWork(bound, target.name, this.#deps, after);
  }

  /** The end of the sweep that runs now; of one that waits for its turn nothing is to be expected soon. */
  get underWay(): Promise<void> | undefined {
    return this.#running?.isWaiting === false ? this.#running.done : undefined;
  }

  get state(): TargetState {
    return { target: this.#target, seen: this.#seen };
  }

  /** Names of those that are on. */
  get collectors(): readonly string[] {
    return this.#parts.bound.collectors.map(({ name }) => name);
  }

  /**
   * Takes new labels and limits; everything that the connection and the collectors are made of must be the same. A target
   * that is left alone is asked again: whoever had the inventory read again may have mended it.
   */
  retarget(target: Target): void {
    this.#target = target;
    this.#backoff.forget();
  }

  /**
   * Never rejects, and answers by the deadline.
   * @param askedAtMs when the scrape began, on the monotonic clock
   * @param only collectors that are wanted; all when left out
   */
  async report(askedAtMs: number, budgetMs: number, only?: ReadonlySet<string>): Promise<TargetReport> {
    const report = this.#report(askedAtMs, budgetMs, only);
    this.#reports.add(report);
    try {
      return await report;
    } catch (error) {
      this.#deps.fault('report', error); // ours: it costs this target, and not the scrape of all
      return { target: this.#target, blocks: [], boards: [] };
    } finally {
      this.#reports.delete(report);
    }
  }

  async #report(askedAtMs: number, budgetMs: number, only?: ReadonlySet<string>): Promise<TargetReport> {
    const sweep = await this.#join(askedAtMs, budgetMs, only);
    const { target } = sweep;
    await endOr(sweep.done, askedAtMs + budgetMs - this.#deps.clock.monoMs());
    if (this.#running === sweep && sweep.over) {
      // Ended here and not by its own timer, so that the next scrape does not join a sweep that is about to end.
      sweep.abort();
      await sweep.done;
    }
    const { down, outcomes } = sweep.look(only);
    const served = cutOf(target, outcomes);
    const { last } = this.#backoff;
    const nowMs = this.#deps.clock.monoMs();
    // Not asked again, on purpose or because its turn did not come: what the last try has found still holds.
    const isLast = sweep.isResting || (down?.class === 'queue' && last !== undefined);
    const own = targetBlocks(target, this.#ownLines, {
      down: isLast && !sweep.isResting ? last?.failure : down,
      outcomes,
      askedAtMs,
      ageMs: isLast ? nowMs - (last?.endedAtMs ?? nowMs) : askedAtMs - sweep.startedAtMs,
      restsMs: this.#backoff.leftMs(nowMs),
      cut: served,
      droppedTotal: this.#droppedTotal,
    });
    return { target, blocks: [...own, ...served.blocks], boards: outcomes.map((o) => o.board) };
  }

  /** Lets a running sweep end, or not, and closes the connection. */
  async close({ abort }: { readonly abort: boolean }): Promise<void> {
    const background = this.#background.stop();
    this.#isAborted = abort;
    if (abort) this.#running?.abort();
    // One that waits for the running sweep to end begins its own then, and opens the connection again.
    await Promise.all(this.#reports);
    await this.#running?.done;
    await background;
    await this.#parts.connection.closed();
  }

  /** One that runs only a part of what is wanted is awaited: there is one connection. */
  async #join(askedAtMs: number, budgetMs: number, only: ReadonlySet<string> | undefined): Promise<Sweep> {
    const leftMs = (): number => askedAtMs + budgetMs - this.#deps.clock.monoMs();
    let forThisMs = budgetMs;
    for (let running = this.#running; running !== undefined; running = this.#running) {
      if (running.covers(only)) {
        running.allow(forThisMs);
        return running;
      }
      const mine = { only };
      this.#waiting.add(mine);
      await endOr(running.done, leftMs());
      this.#waiting.delete(mine);
      forThisMs = leftMs();
      if (forThisMs <= 0) return running;
    }
    const wanted = union([only, ...[...this.#waiting].map((other) => other.only)]);
    const resting = this.#backoff.resting(this.#deps.clock.monoMs(), forThisMs);
    const sweep = new Sweep(
      { ...this.#parts, target: this.#target, deps: this.#deps, only: wanted, resting },
      Math.max(forThisMs, this.#limits.leastSweepMs),
    );
    this.#running = sweep;
    if (this.#isAborted) sweep.abort();
    void sweep.done.then(() => {
      this.#running = undefined;
      if (!sweep.isResting) this.#ended(sweep);
    });
    return sweep;
  }

  /** Told once, when all is known: who leaves before that knows only that he is early. */
  #ended(sweep: Sweep): void {
    const { target, reached, unreached: failure, startedAtMs, budgetMs, only } = sweep;
    const { down, outcomes } = sweep.look(only);
    const served = cutOf(target, outcomes);
    // What a part of the collectors yields says nothing of the others, and an end by order nothing of the target.
    if (!this.#isAborted) this.#note(down, only === undefined ? { outcomes, served } : undefined);
    const endedAtMs = this.#deps.clock.monoMs();
    if (reached) this.#backoff.forget();
    else if (failure !== undefined) this.#backoff.failed({ failure, startedAtMs, endedAtMs, budgetMs });
    for (const ofCollector of served.dropped.values()) {
      for (const [name, count] of ofCollector) {
        const known = this.#droppedTotal.has(name) || this.#droppedTotal.size < mostFamilies;
        const family = known ? name : 'other';
        this.#droppedTotal.set(family, (this.#droppedTotal.get(family) ?? 0) + count);
      }
    }
  }

  /** Logs changes only: a target that is down for a week is not worth a line per scrape. */
  #note(down: Failure | undefined, whole: Whole | undefined): void {
    const before = this.#seen;
    const failing = whole?.outcomes.filter((o) => o.failure !== undefined).map((o) => o.collector);
    const failed = failing ?? before?.failed ?? [];
    this.#seen = { atMs: this.#deps.clock.wallMs(), down, failed };
    const { log } = this.#deps;
    if (down !== undefined && before?.down?.class !== down.class) {
      log.warn({ ...down }, down.class === 'queue' ? 'target was not asked' : 'target is down');
    }
    if (down === undefined && before?.down !== undefined) log.info('target is up again');
    if (down === undefined && failed.join() !== (before?.failed.join() ?? '')) {
      if (failed.length > 0) log.warn({ failed, reasons: reasonsOf(whole) }, 'collectors failing');
      // While it was down they failed for that, and that is over.
      else if (before?.down === undefined) log.info('every collector succeeds again');
    }
    // A collector that has failed tells nothing of what it has.
    if (whole !== undefined && failed.length === 0) this.#noteTooLarge(tooLargeIn(whole.served));
  }

  #noteTooLarge(families: readonly string[]): void {
    const before = this.#tooLarge;
    this.#tooLarge = families;
    if (families.join() === before.join()) return;
    const { log } = this.#deps;
    if (families.length === 0) log.info('the series of the target are within its series_limit again');
    else log.warn({ families }, 'series are left out: the target has more than its series_limit');
  }
}

/** Of a sweep of all collectors. */
interface Whole {
  readonly outcomes: readonly Outcome[];
  readonly served: Cut;
}

function cutOf(target: Target, outcomes: readonly Outcome[]): Cut {
  return cut(outcomes, target.seriesLimit, () => prefixOf(target).length);
}

/** For the log: each reason is bounded already, and so is the number of collectors. */
function reasonsOf(whole: Whole | undefined): readonly string[] {
  const { outcomes = [] } = whole ?? {};
  return outcomes.flatMap(({ collector, failure }) =>
    failure === undefined ? [] : [`${collector}, ${failure.class}: ${failure.why}`],
  );
}

/** For the log: not more than can be read. */
function tooLargeIn({ dropped }: Cut): readonly string[] {
  const names = new Set([...dropped.values()].flatMap((ofCollector) => [...ofCollector.keys()]));
  return [...names].sort().slice(0, 10);
}

function union(wanted: readonly (ReadonlySet<string> | undefined)[]): ReadonlySet<string> | undefined {
  const all = new Set<string>();
  for (const only of wanted) {
    if (only === undefined) return undefined;
    for (const name of only) all.add(name);
  }
  return all;
}

/** Waits until `done`, but no longer than `ms`. */
async function endOr(done: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, Math.floor(ms)));
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}
