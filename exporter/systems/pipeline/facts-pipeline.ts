// How far behind is the end of a pipeline, and which stage holds it up? Pure: made of what the collectors of its targets
// found in the same sweep.
//
// Of each stage the number is the time that the oldest change in it has waited there. The lag is the age of the oldest
// change in any of them: what it waits in now, and how late the stages before were when it came there (facts-chain.ts).
// Of stages beside each other (several groups, several replicas) the slowest counts. The two halves of the CDC process,
// cdc_read and cdc_publish, count as one where the process tells the age of the oldest change that it has not passed on
// (Maxwell: its position): the change that is that old is in one of them. Where they are not told apart, cdc_read is that.
import type { FactBoard } from '../../facts.ts';
import { unknown, type Known } from '../../runtime/known.ts';
import { kafkaLagFact } from '../kafka/facts-lag.ts';
import { binlogAgesFact } from '../mysql/facts-binlog-history.ts';
import { replicationFact } from '../mysql/facts-replication.ts';
import { redisReplicationFact, redisStreamFact } from '../redis/facts-replication.ts';
import { cdcFactsOf } from './facts-cdc.ts';
import type { ChainLink, ChainMemory } from './facts-chain.ts';
import { gapIn } from './facts-gaps.ts';
import { cacheStage } from './facts-stages-cache.ts';
import { cdcStages, consumeStage, larger, replicaStage, type StageFound } from './facts-stages.ts';

/** A pipeline as the inventory has it; what is not needed here is left out. */
export interface Pipeline {
  readonly name: string;
  /** ms */
  readonly objective: number;
  readonly source: string;
  readonly replicas: readonly string[];
  readonly cdc?: string | undefined;
  readonly bus?: { readonly target: string; readonly topics: readonly string[] } | undefined;
  readonly consumers: readonly { readonly group: string; readonly topics?: readonly string[] | undefined }[];
  readonly cache?: { readonly primary: string; readonly replicas: readonly string[] } | undefined;
  /** Of kind canary: written to the source and looked for at the end. */
  readonly canary?: string | undefined;
}

export type StageName = 'cdc_read' | 'cdc_publish' | 'consume' | 'cache_replicate' | 'replicate';

export interface Stage extends StageFound {
  readonly stage: StageName;
  /** Who owns the stage. */
  readonly target: string;
  /** Empty but for `consume`. */
  readonly consumergroup: string;
  /** What it counts for in the lag of the pipeline, when that is something else than its own; undefined: nothing. */
  readonly counts: Pick<StageFound, 'lagSeconds' | 'atLeastSeconds'> | undefined;
}

export interface PipelineLag {
  readonly pipeline: string;
  readonly objectiveSeconds: number;
  readonly stages: readonly Stage[];
  /** Unknown while a stage of the chain is, or one is missing (gapIn), and see ChainMemory. */
  readonly lagSeconds: Known<number>;
  /** The oldest change that is known to wait in any stage of the chain: the pipeline is at least that late. */
  readonly atLeastSeconds: Known<number>;
}

/** Stages through which every change goes, in this order; `replicate` leads elsewhere. */
const chain = ['cdc_read', 'cdc_publish', 'consume', 'cache_replicate'] as const;

/** @param nowMs monotonic */
export function pipelineLagOf(pipeline: Pipeline, board: FactBoard, memory: ChainMemory, nowMs: number): PipelineLag {
  const stages = stagesOf(pipeline, board);
  const lagSeconds = memory.look(linksOf(stages), nowMs);
  const gap = gapIn(pipeline);
  return {
    pipeline: pipeline.name,
    objectiveSeconds: pipeline.objective / 1000,
    stages,
    lagSeconds: gap === undefined ? lagSeconds : unknown(gap),
    atLeastSeconds: stages
      .filter((s) => (chain as readonly StageName[]).includes(s.stage))
      .flatMap(({ counts }) => (counts === undefined ? [] : [counts.atLeastSeconds]))
      .reduce(larger, unknown('no stage of the chain is known')),
  };
}

function stagesOf(pipeline: Pipeline, board: FactBoard): Stage[] {
  const objectiveSeconds = pipeline.objective / 1000;
  const { cdc, bus, cache } = pipeline;
  const stages: Stage[] = [];
  const ages = board.read(pipeline.source, binlogAgesFact);
  for (const target of pipeline.replicas) {
    stages.push(stage('replicate', target, replicaStage(board.read(target, replicationFact), ages)));
  }
  if (cdc !== undefined) {
    const { read, publish, whole, isOne } = cdcStages(cdcFactsOf(board, cdc, pipeline.source), objectiveSeconds);
    // Without a bus there is nothing between the process and the end to publish to.
    stages.push({ ...stage('cdc_read', cdc, bus === undefined ? whole : read), counts: isOne ? whole : read });
    if (bus !== undefined) stages.push({ ...stage('cdc_publish', cdc, publish), counts: isOne ? undefined : publish });
  }
  if (bus !== undefined) {
    const lag = board.read(bus.target, kafkaLagFact);
    for (const { group, topics = bus.topics } of pipeline.consumers) {
      stages.push(stage('consume', bus.target, consumeStage(lag, group, topics, objectiveSeconds), group));
    }
  }
  if (cache !== undefined) {
    const primary = board.read(cache.primary, redisReplicationFact);
    const stream = board.read(cache.primary, redisStreamFact);
    for (const target of cache.replicas) {
      const replica = board.read(target, redisReplicationFact);
      stages.push(stage('cache_replicate', target, cacheStage(primary, replica, objectiveSeconds, stream)));
    }
  }
  return stages;
}

function stage(name: StageName, target: string, found: StageFound, consumergroup = ''): Stage {
  return { stage: name, target, consumergroup, ...found, counts: found };
}

function linksOf(stages: readonly Stage[]): ChainLink[] {
  return chain.flatMap((name) => {
    const beside = stages.flatMap(({ stage: of, target, counts }) =>
      of === name && counts !== undefined ? [{ target, lag: counts.lagSeconds }] : [],
    );
    for (const { target, lag } of beside) {
      if (!lag.known) return [{ name, lagSeconds: unknown(`${name} of ${target}: ${lag.why}`) }];
    }
    return beside.length === 0 ? [] : [{ name, lagSeconds: beside.map(({ lag }) => lag).reduce(larger) }];
  });
}
