import type { Target } from '../config/inventory.ts';
import type { FactBoard } from '../facts.ts';
import { BackgroundWork } from './background.ts';
import { Connection } from './connection.ts';
import { targetBlocks } from './report.ts';
import { Sweep, type Failure, type SweepDeps } from './sweep.ts';
import type { Block } from './writer.ts';

/** What one scrape gets of one target. */
export interface TargetReport {
  /** As it was when the sweep began: with its labels the blocks were written. */
  readonly target: Target;
  readonly blocks: readonly Block[];
  readonly boards: readonly FactBoard[];
}

/** How the target was at the last scrape, for people. */
export interface TargetState {
  readonly target: Target;
  /** Undefined before the first scrape. */
  readonly seen:
    { readonly atMs: number; readonly down: Failure | undefined; readonly failed: readonly string[] } | undefined;
}

/** Sweeps one target: one sweep at a time, shared by all scrapes that come while it runs; one connection, kept. */
export class Sweeper {
  #target: Target;
  readonly #deps: SweepDeps;
  readonly #parts: Pick<ConstructorParameters<typeof Sweep>[0], 'bound' | 'connection' | 'busy' | 'sizes'>;
  readonly #background: BackgroundWork;
  #running: Sweep | undefined;
  #seen: TargetState['seen'];

  /** @param after the end of the sweeper that this one replaces */
  constructor(target: Target, deps: SweepDeps, after?: Promise<void>) {
    this.#target = target;
    this.#deps = { ...deps, log: deps.log.child({ target: target.name }) };
    const bound = target.bind();
    this.#parts = {
      bound,
      connection: new Connection(bound, this.#deps.log, after),
      busy: new Set(),
      sizes: new Map(),
    };
    this.#background = new BackgroundWork(bound, target.name, this.#deps, after);
  }

  get state(): TargetState {
    return { target: this.#target, seen: this.#seen };
  }

  /** Names of those that are on. */
  get collectors(): readonly string[] {
    return this.#parts.bound.collectors.map(({ name }) => name);
  }

  /** Takes new labels and limits; everything that the connection and the collectors are made of must be the same. */
  retarget(target: Target): void {
    this.#target = target;
  }

  /**
   * Never rejects, and answers by the deadline.
   * @param askedAtMs when the scrape began, on the monotonic clock
   * @param only collectors that are wanted; all when left out
   */
  async report(askedAtMs: number, budgetMs: number, only?: ReadonlySet<string>): Promise<TargetReport> {
    const sweep = await this.#join(askedAtMs, budgetMs, only);
    const { target } = sweep;
    await endOr(sweep.done, askedAtMs + budgetMs - this.#deps.clock.monoMs());
    if (this.#running === sweep && sweep.over) {
      // Ended here and not by its own timer, so that the next scrape does not join a sweep that is about to end.
      sweep.abort();
      await sweep.done;
    }
    const { down, outcomes } = sweep.look(only);
    const failed = outcomes.filter((o) => o.failure !== undefined).map((o) => o.collector);
    // What a part of the collectors yields says nothing of the others.
    this.#note(down, only === undefined ? failed : (this.#seen?.failed ?? failed));
    return {
      target,
      blocks: [...targetBlocks(target, down, outcomes, askedAtMs), ...outcomes.flatMap((o) => o.blocks)],
      boards: outcomes.map((o) => o.board),
    };
  }

  /** Lets a running sweep end, or not, and closes the connection. */
  async close({ abort }: { readonly abort: boolean }): Promise<void> {
    const background = this.#background.stop();
    if (abort) this.#running?.abort();
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
        running.allow(budgetMs);
        return running;
      }
      await endOr(running.done, leftMs());
      forThisMs = leftMs();
      if (forThisMs <= 0) return running;
    }
    const sweep = new Sweep({ ...this.#parts, target: this.#target, deps: this.#deps, only }, forThisMs);
    this.#running = sweep;
    void sweep.done.then(() => {
      this.#running = undefined;
    });
    return sweep;
  }

  /** Logs changes only: a target that is down for a week is not worth a line per scrape. */
  #note(down: Failure | undefined, failed: readonly string[]): void {
    const before = this.#seen;
    this.#seen = { atMs: this.#deps.clock.wallMs(), down, failed };
    const { log } = this.#deps;
    if (down !== undefined && before?.down?.class !== down.class) log.warn({ ...down }, 'target is down');
    if (down === undefined && before?.down !== undefined) log.info('target is up again');
    if (down === undefined && failed.join() !== (before?.failed.join() ?? ''))
      log.warn({ failed }, 'collectors failing');
  }
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
