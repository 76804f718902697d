// Does data move from the source to the end of a pipeline? Seen, never taken for granted: a canary that arrives, or
// records of the bus that are written and taken by every consumer group. Where neither can be seen, nothing is said.
import type { FactBoard } from '../../facts.ts';
import { canaryFact } from '../canary/facts-track.ts';
import { kafkaLagFact, type KafkaLag } from '../kafka/facts-lag.ts';
import { ChainMemory } from './facts-chain.ts';
import { gapIn } from './facts-gaps.ts';
import type { Pipeline, Stage } from './facts-pipeline.ts';
import { endsOf } from './facts-measured.ts';
import type { FlowState } from './families.ts';

export interface Flow {
  readonly state: FlowState;
  readonly why: string | undefined;
}

/** For at least so long nothing must have moved before that means anything; longer where the objective is. */
const windowSeconds = 60;

interface Moves {
  readonly firstSeenMs: number;
  /** `ends` for the topics, else a consumer group. */
  readonly sums: Map<string, { sum: number; movedAtMs: number | undefined }>;
}

/** When the offsets of each pipeline moved last, from scrape to scrape. */
export class FlowMemory {
  readonly #pipelines = new Map<string, Moves>();
  readonly #chains = new Map<string, ChainMemory>();
  #parts: ReadonlyMap<string, string> = new Map();

  chainOf(pipeline: string): ChainMemory {
    const found = this.#chains.get(pipeline) ?? new ChainMemory();
    this.#chains.set(pipeline, found);
    return found;
  }

  movesOf(pipeline: string, nowMs: number): Moves {
    const found = this.#pipelines.get(pipeline) ?? { firstSeenMs: nowMs, sums: new Map() };
    this.#pipelines.set(pipeline, found);
    return found;
  }

  /** @param all that there are: what is known of others, or of one that was made of other parts, is forgotten */
  keep(all: readonly Pipeline[]): void {
    const parts = new Map(all.map((pipeline) => [pipeline.name, partsOf(pipeline)]));
    for (const [name, before] of this.#parts) {
      if (parts.get(name) === before) continue;
      this.#pipelines.delete(name);
      this.#chains.delete(name);
    }
    this.#parts = parts;
  }
}

function partsOf({ source, cdc, bus, consumers, cache }: Pipeline): string {
  return JSON.stringify([source, cdc, bus, consumers, cache]);
}

/** @param nowMs monotonic */
export function flowOf(
  pipeline: Pipeline,
  stages: readonly Omit<Stage, 'counts'>[],
  board: FactBoard,
  memory: FlowMemory,
  nowMs: number,
): Flow {
  const withinSeconds = Math.max(windowSeconds, pipeline.objective / 1000);
  // Looked at in any case: the offsets must have been seen before, when the canary falls silent
  const moved = movedOf(pipeline, board, memory, nowMs);
  const measured = flowOfCanary(pipeline, board, withinSeconds);
  if (measured !== undefined) return measured;
  const chain = stages.filter(({ stage }) => stage !== 'replicate');
  const stopped = chain.find(({ state }) => state === 'stalled' || state === 'down');
  if (stopped !== undefined) {
    return { state: 'stuck', why: `${stopped.stage} of ${stopped.target}: ${stopped.why ?? stopped.state}` };
  }
  if (typeof moved === 'string') return { state: 'unknown', why: moved };
  const isRecent = (atMs: number | undefined): boolean => atMs !== undefined && nowMs - atMs <= withinSeconds * 1000;
  const isTaken = moved.groups.every(({ atMs, group }) => isRecent(atMs) || nothingWaits(chain, group));
  const isMoving = isTaken && (moved.groups.length === 0 || moved.groups.some(({ atMs }) => isRecent(atMs)));
  if (isRecent(moved.ends) && isMoving) return { state: 'flowing', why: undefined };
  const unknownStage = chain.find(({ state }) => state !== 'ok' && state !== 'unsplit');
  if (unknownStage !== undefined) {
    return { state: 'unknown', why: `${unknownStage.stage} of ${unknownStage.target} is ${unknownStage.state}` };
  }
  const isWatched = nowMs - moved.firstSeenMs > withinSeconds * 1000;
  const gap = gapIn(pipeline);
  if (isWatched && gap !== undefined) return { state: 'unknown', why: gap };
  if (!isWatched) return { state: 'unknown', why: 'it was not watched for long enough' };
  if (isRecent(moved.ends)) return { state: 'unknown', why: 'records are written, and a consumer group does not move' };
  const late = chain.filter(({ lagSeconds: lag }) => lag.known && lag.value > withinSeconds);
  const [first] = late;
  if (first === undefined) return { state: 'idle', why: 'nothing was written to the topics' };
  // The groups work off what was written before
  if (isMoving && late.every(({ stage }) => stage === 'consume')) return { state: 'flowing', why: undefined };
  // No proof that it is stuck: some CDC services keep the lag that they had last while their source is idle
  return { state: 'unknown', why: `nothing was written to the topics, and ${first.stage} of ${first.target} is late` };
}

/** A group whose topics nobody writes to, while others are written to. */
function nothingWaits(chain: readonly Omit<Stage, 'counts'>[], group: string): boolean {
  const of = chain.filter(({ stage, consumergroup }) => stage === 'consume' && consumergroup === group);
  return of.length > 0 && of.every(({ state, lagSeconds: lag }) => state === 'ok' && lag.known && lag.value === 0);
}

/** Undefined when the canary cannot tell. */
function flowOfCanary(pipeline: Pipeline, board: FactBoard, withinSeconds: number): Flow | undefined {
  if (pipeline.canary === undefined) return undefined;
  const view = board.read(pipeline.canary, canaryFact);
  if (!view.known) return undefined;
  const ends = endsOf(pipeline, view.value);
  const stuck = ends.find(
    ({ outstandingSeconds: age, sinceSeenSeconds: since = Infinity }) =>
      age.known && age.value > withinSeconds && since > withinSeconds,
  );
  if (stuck !== undefined) return { state: 'stuck', why: `${stuck.seenAt}: ${stuck.why ?? 'nothing arrives'}` };
  const isSeen = ends.length > 0 && ends.every(({ sinceSeenSeconds: since }) => (since ?? Infinity) <= withinSeconds);
  return isSeen ? { state: 'flowing', why: undefined } : undefined;
}

interface Moved {
  readonly firstSeenMs: number;
  readonly ends: number | undefined;
  readonly groups: readonly { readonly group: string; readonly atMs: number | undefined }[];
}

/** Or why it cannot be told. */
function movedOf(
  { name, bus, consumers }: Pipeline,
  board: FactBoard,
  memory: FlowMemory,
  nowMs: number,
): Moved | string {
  if (bus === undefined) return 'without a bus and without a canary nothing shows that data moves';
  const lag = board.read(bus.target, kafkaLagFact);
  if (!lag.known) return `${bus.target}: ${lag.why}`;
  const { sums, firstSeenMs } = memory.movesOf(name, nowMs);
  const movedAt = (key: string, sum: number | undefined): number | undefined => {
    const before = sums.get(key);
    if (sum === undefined || sum === before?.sum) return before?.movedAtMs;
    const movedAtMs = before === undefined ? undefined : nowMs;
    sums.set(key, { sum, movedAtMs });
    return movedAtMs;
  };
  return {
    firstSeenMs,
    ends: movedAt('ends', endSumOf(lag.value, bus.topics)),
    groups: consumers.map(({ group, topics = bus.topics }) => ({
      group,
      atMs: movedAt(`group ${group}`, commitSumOf(lag.value, group, topics)),
    })),
  };
}

/** Undefined when one of them is not known: a partition that is not seen this time must not look like a move. */
function endSumOf({ offsets }: KafkaLag, topics: readonly string[]): number | undefined {
  let sum = 0;
  for (const topic of topics) {
    const partitions = offsets.get(topic);
    if (partitions === undefined) return undefined;
    for (const { end } of partitions.values()) {
      if (!end.known) return undefined;
      sum += end.value;
    }
  }
  return sum;
}

function commitSumOf({ groups }: KafkaLag, group: string, topics: readonly string[]): number | undefined {
  const found = groups.get(group);
  if (found?.topics.known !== true) return undefined;
  let sum = 0;
  for (const topic of topics) {
    for (const { committed } of found.topics.value.get(topic)?.partitions.values() ?? []) {
      if (!committed.known) return undefined;
      if (committed.value !== 'none') sum += committed.value;
    }
  }
  return sum;
}
