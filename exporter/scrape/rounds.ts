import type { Inventory, Target } from '../config/inventory.ts';
import { FactBoard, SharedFacts } from '../facts.ts';
import type { Put } from '../families.ts';
import { targetsBudgetMs } from './deadline.ts';
import { withoutInventoryLabels } from './probe.ts';
import { SweepGate } from './gate.ts';
import { defaultLimits } from './limits.ts';
import { graphBlocks, samplesBlock } from './report.ts';
import { Sweeper, type SweeperDeps, type TargetState } from './sweeper.ts';
import { SampleWriter, type Block } from './writer.ts';

export interface RoundsDeps extends Omit<SweeperDeps, 'gate' | 'others'> {
  /** Computes the pipelines' numbers from what the targets' collectors found; `all` has those too that are not asked for. */
  readonly pipelines: (
    pipelines: Inventory['pipelines'],
    board: FactBoard,
    put: Put,
    all: Inventory['pipelines'],
  ) => void;
}

/** All targets of the inventory: one round per scrape, in which each target is swept or a running sweep is shared. */
export class Rounds {
  readonly #deps: RoundsDeps & SweeperDeps;
  #inventory: Inventory;
  #sweepers: readonly Sweeper[];
  #byName: ReadonlyMap<string, Sweeper>;
  #graph: readonly Block[];
  readonly #facts: SharedFacts;
  #sources: ReadonlyMap<string, readonly string[]>;
  /** Those that are no more in the inventory, until they have ended. */
  readonly #retiring = new Map<Sweeper, Promise<void>>();
  #settled = false;
  #isClosed = false;

  constructor(inventory: Inventory, deps: RoundsDeps) {
    this.#facts = new SharedFacts(deps.clock.monoMs);
    this.#deps = {
      ...deps,
      gate: new SweepGate((deps.limits ?? defaultLimits).maxSweeps, deps.clock),
      others: {
        facts: this.#facts,
        sourcesOf: (target) => this.#sources.get(target) ?? [],
        underWay: (target) => this.#byName.get(target)?.underWay,
      },
    };
    this.#inventory = inventory;
    this.#sources = sourcesOf(inventory);
    this.#sweepers = [...inventory.targets.values()].map((target) => new Sweeper(target, this.#deps));
    this.#byName = byName(this.#sweepers);
    this.#graph = graphBlocks(inventory);
  }

  /** Has a whole round ended? */
  get settled(): boolean {
    return this.#settled;
  }

  get states(): readonly TargetState[] {
    return this.#sweepers.map((s) => s.state);
  }

  /** Never rejects, and answers within the budget. Blocks stand in the order of the inventory. */
  async scrape(budgetMs: number): Promise<readonly Block[]> {
    const askedAtMs = this.#deps.clock.monoMs();
    const [inventory, graph, sweepers] = [this.#inventory, this.#graph, this.#sweepers];
    const forTargetsMs = targetsBudgetMs(budgetMs);
    const reports = await Promise.all(sweepers.map((s) => s.report(askedAtMs, forTargetsMs)));
    const board = new FactBoard();
    for (const report of reports) for (const part of report.boards) board.take(part);
    this.#settled = true;
    const { pipelines } = inventory;
    const blocks = [...graph, ...reports.flatMap((r) => r.blocks), ...this.#pipelines(pipelines, board, pipelines)];
    return [...samplesBlock(blocks), ...blocks];
  }

  get inventory(): Inventory {
    return this.#inventory;
  }

  /** The inventory as info series: for a page that measures nothing. */
  get graph(): readonly Block[] {
    return this.#graph;
  }

  /** Names of a target's collectors that are on. Undefined: there is no such target. */
  collectorsOf(name: string): readonly string[] | undefined {
    return this.#byName.get(name)?.collectors;
  }

  /**
   * One target, as the exporter of its kind would serve it. Undefined: there is none of this name. Never rejects for a
   * target's fault, and answers within the budget.
   */
  async probe(name: string, budgetMs: number, only?: ReadonlySet<string>): Promise<readonly Block[] | undefined> {
    const sweeper = this.#byName.get(name);
    if (sweeper === undefined) return undefined;
    const report = await sweeper.report(this.#deps.clock.monoMs(), targetsBudgetMs(budgetMs), only);
    return withoutInventoryLabels(report);
  }

  /** The numbers of one pipeline, from its targets and what they cannot work without. Undefined: there is none of this name. */
  async probePipeline(name: string, budgetMs: number): Promise<readonly Block[] | undefined> {
    const inventory = this.#inventory;
    const pipelines = inventory.pipelines.filter((p) => p.name === name);
    if (pipelines.length === 0) return undefined;
    const members = inventory.members.filter(({ pipeline }) => pipeline === name).map(({ target }) => target);
    const needed = new Set(members.flatMap((target) => [target, ...(inventory.upstreams.get(target) ?? [])]));
    const askedAtMs = this.#deps.clock.monoMs();
    const forTargetsMs = targetsBudgetMs(budgetMs);
    const sweepers = this.#sweepers.filter((s) => needed.has(s.state.target.name));
    const reports = await Promise.all(sweepers.map((s) => s.report(askedAtMs, forTargetsMs)));
    const board = new FactBoard();
    for (const report of reports) for (const part of report.boards) board.take(part);
    return this.#pipelines(pipelines, board, inventory.pipelines);
  }

  /** A target whose connection and collectors are configured as before keeps them, with what they remember. */
  replace(inventory: Inventory): void {
    if (this.#isClosed) return; // it was still being read when the program was told to end
    const before = new Map(this.#byName);
    this.#sweepers = [...inventory.targets.values()].map((target) => {
      const kept = before.get(target.name);
      before.delete(target.name);
      if (kept === undefined) return new Sweeper(target, this.#deps);
      if (sameSource(kept.state.target, target)) {
        kept.retarget(target);
        return kept;
      }
      return new Sweeper(target, this.#deps, this.#retire(kept));
    });
    this.#byName = byName(this.#sweepers);
    for (const gone of before.values()) void this.#retire(gone);
    this.#inventory = inventory;
    this.#sources = sourcesOf(inventory);
    this.#graph = graphBlocks(inventory);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#sweepers, ...this.#retiring.keys()].map((s) => s.close({ abort: true })));
    await Promise.all(this.#retiring.values());
  }

  /** Scrapes that run still want its result. */
  #retire(sweeper: Sweeper): Promise<void> {
    const { name } = sweeper.state.target;
    this.#facts.forget(name);
    const end = sweeper.close({ abort: false }).finally(() => {
      this.#facts.forget(name); // what its last sweep found; another one of this name has waited for the end
      this.#retiring.delete(sweeper);
    });
    this.#retiring.set(sweeper, end);
    return end;
  }

  #pipelines(asked: Inventory['pipelines'], board: FactBoard, all: Inventory['pipelines']): Block[] {
    const writer = new SampleWriter({ level: 'pipeline' });
    try {
      this.#deps.pipelines(asked, board, writer.put, all);
      return writer.finish();
    } catch (error) {
      this.#deps.fault('pipelines', error);
      return [];
    }
  }
}

function byName(sweepers: readonly Sweeper[]): ReadonlyMap<string, Sweeper> {
  return new Map(sweepers.map((s) => [s.state.target.name, s]));
}

function sameSource(before: Target, after: Target): boolean {
  return before.source === after.source;
}

/** Replica -> the sources that the pipelines name for it; of a cache, its primary. */
export function sourcesOf({ pipelines }: Pick<Inventory, 'pipelines'>): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  const pair = (replica: string, source: string): void =>
    void found.set(replica, (found.get(replica) ?? new Set()).add(source));
  for (const { source, replicas, cache } of pipelines) {
    for (const replica of replicas) pair(replica, source);
    for (const replica of cache?.replicas ?? []) pair(replica, cache?.primary ?? '');
  }
  return new Map([...found].map(([replica, sources]) => [replica, [...sources]]));
}
